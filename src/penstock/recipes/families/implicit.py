"""Networks over coordinates and networks of splines."""

from __future__ import annotations

import math

from penstock.recipes.arguments import count
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.recipe import finite
from penstock.recipes.siren import Siren
from penstock.recipes.uniform import Uniform


def siren(*, omega: float = 30.0) -> Family:
    """The first layer and all others of a network of sines. The published code leaves biases at U(+-1 / sqrt(fan_in)).

    Examples:
        >>> siren()["first"].describe()
        'siren(first=True, omega=30, gain=1)'

    Source:
        Sitzmann et al. 2020, section 3.2, https://arxiv.org/abs/2006.09661
    """
    return {"first": Siren(first=True, omega=omega), "hidden": Siren(first=False, omega=omega)}


def kan(*, fan_in: int, grid: int, noise: float = 0.5, base: float = 1.0) -> Family:
    """One layer of a Kolmogorov-Arnold network: spline noise, and the scales of the spline and the base function.

    Args:
        fan_in: inputs of the layer.
        grid: grid intervals of a spline.
        noise: the spline's values at the grid are uniform on +-noise / (2 grid) at the start. The layer's own default
            is 0.5, that of the whole model 0.3.
        base: the base function's scales are uniform on +-base / sqrt(fan_in).

    Limits: "spline" holds the values at the grid points; the coefficients follow by the library's own least squares.

    Source:
        Liu et al. 2024, https://arxiv.org/abs/2404.19756, and pykan's KANLayer
    """
    root = math.sqrt(count("kan", "fan_in", fan_in))
    noise = finite("kan", "noise", noise, at_least=0.0)
    return {
        "spline": Uniform(noise / (2.0 * count("kan", "grid", grid))),
        "scale_base": Uniform(finite("kan", "base", base, at_least=0.0) / root),
        "scale_spline": Constant(1.0 / root),
    }


ENTRIES = (
    entry("siren", "first U(+-1/n), others U(+-sqrt(6/n)/omega)", "networks of sines", "arXiv:2006.09661"),
    entry(
        "kan",
        "spline ~ U(+-noise/(2 grid)), base ~ U(+-1/sqrt(in)), spline scale 1/sqrt(in)",
        "Kolmogorov-Arnold networks",
        "arXiv:2404.19756, pykan",
    ),
)
