"""The page on mean field: explained once, with a table of all activations that is computed when this runs.

Run it alone: python docs/meanfield_page.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from penstock.activations import names
from penstock.meanfield import EdgePoint, LeakyShape, Overview, Tailored, half_stable_point, overview, trainable_depth
from penstock.meanfield.overview import layers

PAGE = Path(__file__).resolve().parent / "meanfield.md"
LEFT_OUT = ("exp", "hardshrink", "softshrink")  # no layer of a network is made of these

WORDS = """\
# How deep can a plain network be?

Take a stack of layers, each a random weight matrix and a function phi, without skips and without normalisation. If the
layers are wide, each unit's input is a sum of many random terms, so it is Gaussian. Then a layer does only two things
that matter, and both can be computed without any network. This is called **mean field**.

**1. The size of a signal.** With weights of standard deviation sigma_w / sqrt(fan_in) and biases of standard deviation
sigma_b, one layer changes the variance q of its units to

```text
V(q) = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2          z ~ N(0, 1)
```

After some layers the variance has come to a fixed point q* = V(q*), or has died out, or exploded. The **exact gain**
sigma_w = 1 / sqrt(E[phi^2]) makes q* = 1. Where V'(q*) > 1 the fixed point is not stable: the size drifts away from it.

**2. How alike two inputs are.** Two inputs with correlation c have, one layer later, the correlation

```text
(sigma_w^2 E[phi(x) phi(y)] + sigma_b^2) / q*             x, y ~ N(0, q*) with correlation c
```

Its slope at c = 1 decides everything, and it is also the factor by which a layer multiplies the squared gradient:

```text
chi_1 = sigma_w^2 E[phi'(sqrt(q*) z)^2]
```

| | what happens with depth |
| --- | --- |
| chi_1 < 1, ordered | all inputs become the same signal (c* = 1), gradients vanish |
| chi_1 = 1, **edge of chaos** | both stay, for a long way |
| chi_1 > 1, chaotic | inputs that are nearly the same end as strangers (c* < 1), gradients explode |

Neither goes at once. Over **xi_c** = -1 / log(chi_c) layers (chi_c: the slope at c*) what is left of a difference falls
by a factor of e, and over 1 / |log chi_1| layers the gradient does. Networks were found to train up to about six of
these ([Schoenholz et al. 2017](https://arxiv.org/abs/1611.01232)). So

```python
>>> import penstock
>>> print(penstock.meanfield.trainable_depth("gelu", start="torch"))
{torch_gelu}
```

"Any depth" below means chi_1 = 1: nothing is lost exponentially. It does not mean that nothing is lost. With ReLU two
unrelated inputs have correlation 0.87 after 10 layers and 0.996 after 100. **Kernel shaping** removes that as well: it
uses phi at another place of its curve, gamma (phi(alpha z + beta) + delta), where the whole stack stretches small
differences by a factor zeta and no more ([Martens et al. 2021](https://arxiv.org/abs/2110.01765); what penstock does
with it is in [How it works](how_it_works.md)). The numbers below are for 40 layers and zeta = 1.5. "Not balanced": of
the four conditions one, V'(1) = 1, cannot be had with this function.

`penstock gain NAME` shows the same for one activation, `penstock.meanfield` computes it for any function.

## Starts

Depth: layers that a wide plain network can have, with PyTorch's default (fan_in 256), He's gain sqrt(2), and the exact
gain. c* and V' are those of the exact gain. Where a signal dies out or grows without bound, what is lost is added up
layer by layer.
"""

EDGES = """\
## Edge of chaos

sigma_w with which chi_1 = 1, and q* there. At sigma_b = 0 many functions have theirs only in the limit q -> 0, where
they are straight lines. The half-stable point is where chi_1 = V' = 1
([Roberts et al. 2021](https://arxiv.org/abs/2106.10165)); none is written where it is that limit.
"""

SHAPES = """\
## Kernel shaping for 40 layers

Deep kernel shaping with zeta = 1.5, and the tailored transformation
([Zhang et al. 2022](https://arxiv.org/abs/2203.08120)) with tau = 0.3; for ReLU and leaky ReLU the negative slope with
which two unrelated inputs end at correlation 0.9.
"""


def page() -> str:
    """The page."""
    found = [overview(name) for name in names() if name not in LEFT_OUT]
    parts = [
        WORDS.replace("{torch_gelu}", str(trainable_depth("gelu", start="torch"))),
        _table("activation | exact gain | chi_1 | V' | c* | depth: PyTorch | He | exact gain", map(start_row, found)),
        "\n" + EDGES,
        _table("activation | sigma_b 0 | sigma_b 0.1 | sigma_b 0.3 | half-stable", map(edge_row, found)),
        "\n" + SHAPES,
        _table("activation | alpha | beta | gamma | delta | | tailored", map(shape_row, found)),
    ]
    return "\n".join(parts) + "\n"


def start_row(found: Overview) -> str:
    """Gains and depths of one activation."""
    exact = found.depths["exact"].field
    depths = [layers(found.depths[start]) for start in ("torch", "he", "exact")]
    cells = [
        found.name,
        f"{exact.weight_std:.5f}",
        f"{exact.chi_1:.4f}",
        f"{exact.variance_slope:.4f}",
        f"{exact.correlation:.3f}",
    ]
    return " | ".join([*cells, *depths])


def edge_row(found: Overview) -> str:
    """The edge of chaos of one activation, as sigma_w (q*)."""
    cells = {edge.bias_std: _edge(edge) for edge in found.edges}
    half = half_stable_point(found.name)
    point = "" if half is None or not half.variance > 0.0 else f"{_edge(half)}, sigma_b {half.bias_std:.4f}"
    return " | ".join([found.name, *(cells.get(bias, "none") for bias in (0.0, 0.1, 0.3)), point])


def shape_row(found: Overview) -> str:
    """The shapes of one activation."""
    shape, tailored = found.shaped, found.tailored
    if shape is None:
        numbers = ["", "", "", "", "a straight line"]
    else:
        values = (shape.alpha, shape.beta, shape.gamma, shape.delta)
        numbers = [*(f"{value:.4g}" for value in values), "" if shape.balanced else "not balanced"]
    if isinstance(tailored, LeakyShape):
        numbers.append(f"negative slope {tailored.negative_slope:.4f}")
    else:
        numbers.append("" if tailored is None else _tailored(tailored))
    return " | ".join([found.name, *numbers])


def _tailored(found: Tailored) -> str:
    return ", ".join(f"{value:.4g}" for value in (found.alpha, found.beta, found.gamma, found.delta))


def _edge(edge: EdgePoint) -> str:
    where = "any q" if math.isnan(edge.variance) else "q -> 0" if edge.variance == 0.0 else f"q* {edge.variance:.4g}"
    return f"{edge.weight_std:.4f} ({where})"


def _table(head: str, rows: Iterable[str]) -> str:
    lines = [f"| {head} |", "|" + " --- |" * (head.count("|") + 1), *(f"| {row} |" for row in rows)]
    return "\n".join(lines)


def write() -> list[Path]:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return [PAGE]


if __name__ == "__main__":
    for path in write():
        print(path)
