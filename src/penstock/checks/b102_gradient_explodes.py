"""B102: the gradient explodes on its way back."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, place_of, signal_finding
from penstock.checks.thresholds import EXPLODE_ERROR, EXPLODE_WARNING, FLAT_DATA
from penstock.checks.walk import Level, backward_levels
from penstock.signals import Measured

_CAUSE = "weights too large for the slopes of their functions, or norms whose inputs are tiny"
_HINT = "penstock.initialize(model, batch)"


def _cause(measured: Measured, high: list[Level]) -> tuple[str, str]:
    """The usual cause and hint; or the batch, where its numbers hardly differ and the first norm makes up for it.

    No start of the weights mends that. It is what a model that rescales pixels of 0 to 255 makes of other numbers.
    """
    graph = measured.graph
    norm = next((i for i in graph.trunk if graph.nodes[i].kind == "norm"), None)
    weights = next((i for i in graph.trunk if graph.nodes[i].kind == "contraction"), None)
    if norm is None or weights is None or not weights < norm or any(level.index >= norm for level in high):
        return _CAUSE, _HINT
    fed = graph.nodes[graph.nodes[weights].inputs[0]] if graph.nodes[weights].inputs else None
    while fed is not None and fed.kind == "move" and fed.inputs:
        fed = graph.nodes[fed.inputs[0]]  # what pads or reshapes leaves the numbers as they are
    stats = measured.signals[fed.index] if fed is not None else None
    if fed is None or stats is None:
        return _CAUSE, _HINT
    spread = math.sqrt(max(stats.rms**2 - stats.mean**2, 0.0))
    if not spread < FLAT_DATA:
        return _CAUSE, _HINT
    numbers = f"mean {number(stats.mean)}, standard deviation {number(spread)}; the norm behind the first weights"
    if fed.kind == "input":
        return f"the data hardly differ: {numbers} blows that up", "penstock.check(model, batch / batch.std())"
    return (
        f"what the model makes of the data ({place_of(measured, fed.index)}) hardly differs: {numbers} blows that up",
        "penstock.check(model, pixels)  # numbers as large as the model expects: pixels of 0 to 255, if it rescales",
    )


def _run(measured: Measured) -> Iterator[Finding]:
    high = [level for level in backward_levels(measured) if level.above > math.log10(EXPLODE_WARNING)]
    if not high:
        return
    worst = max(high, key=lambda level: level.above)
    growth = 10.0**worst.above
    limit = EXPLODE_ERROR if growth > EXPLODE_ERROR else EXPLODE_WARNING
    cause, hint = _cause(measured, high)
    first = next(level for level in high if level.above > math.log10(limit))
    yield signal_finding(
        CHECK,
        measured,
        first.index,
        others=[level.index for level in high],
        severity="error" if limit == EXPLODE_ERROR else "warning",
        observation=f"Here the gradient's norm is {number(10.0**first.above)} times that nearer the output, and grows "
        f"to {number(growth)} times; more than {number(limit)} is too much.",
        cause=cause,
        hint=hint,
        value=growth,
        threshold=limit,
    )


CHECK = Check(
    code="B102",
    title="gradient explodes",
    what="The norm of the loss's gradient along the trunk, relative to its smallest nearer the output. 1e3 times is a "
    "warning, 1e4 times an error.",
    why="The first layers' steps are thousands of times those of the last ones. A learning rate that suits one end "
    "destroys or freezes the other; gradient clipping then scales everything by the worst layer.",
    picture="""
      [L1] <========== [L2] <===== [L3] <== [L4] <- loss
      4096             512         64       8       1
    """,
    fix="`penstock.initialize(model, batch)`: std * sqrt(fan_out) times the RMS slope near 1 in each layer. Batch norm "
    "multiplies gradients by about 1.2 a layer in plain stacks: add residual connections beyond fifty. Where the data "
    "hardly differ, as pixels of 0 to 1 in a model that divides by 255 itself, it is the batch that wants mending.",
    silent="Embeddings of N(0, 0.02) in front of a norm (50 times); growth with the square root of the depth.",
    source="Yang et al., A Mean Field Theory of Batch Normalization (2019), https://arxiv.org/abs/1902.08129; "
    "Pascanu et al. (2013), https://arxiv.org/abs/1211.5063",
    run=_run,
)
