"""Gaussian-Poincare normalization: an affine map around an activation that keeps signal and gradient at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from penstock.activations import canonical, named
from penstock.errors import ArgumentError, message
from penstock.moments import moments
from penstock.quadrature import Function
from penstock.recipes.arguments import one_of
from penstock.recipes.entry import CatalogueEntry


@dataclass(frozen=True, slots=True)
class Affine:
    """x -> scale * x + shift, applied to an activation's output."""

    scale: float
    shift: float


def gaussian_poincare(activation: str | Function, *, shift: Literal["positive", "negative"] = "positive") -> Affine:
    r"""The affine map a phi(x) + b with E[phi~^2] = E[phi~'^2] = 1 at x ~ N(0, 1).

    .. math::  a = 1 / \sqrt{E[\phi'^2]}, \quad b = -a E[\phi] \pm \sqrt{1 - a^2 \mathrm{Var}[\phi]}

    By the Gaussian Poincaré inequality Var[phi] <= E[phi'^2] there always are two solutions. With orthogonal weights
    the forward and the backward signal then both keep their size; with a ReLU a is sqrt(2) and one b is 0.

    Args:
        activation: a name ("tanh") or an elementwise function of a float64 array.
        shift: which root.

    Returns:
        a and b.

    Raises:
        ArgumentError: if the activation is constant or has jumps, so that no finite slope exists.

    Examples:
        >>> pair = gaussian_poincare("tanh")
        >>> round(pair.scale, 6), round(pair.shift, 6)
        (1.467414, 0.388542)

    Source:
        Lu, Gould, Ajanthan 2020, https://arxiv.org/abs/2006.12169
    """
    one_of("gaussian_poincare", "shift", shift, ("positive", "negative"))
    m = moments(named(canonical(activation)) if isinstance(activation, str) else activation)
    if not 0.0 < m.slope_second < math.inf:
        raise ArgumentError(
            message(f"gaussian_poincare: activation must have a slope that is finite and not 0; got {activation!r}.")
        )
    scale = 1.0 / math.sqrt(m.slope_second)
    # Rounding alone can leave a linear function, whose root is 0, just below it.
    root = math.sqrt(max(0.0, 1.0 - scale**2 * m.variance))
    return Affine(scale, -scale * m.mean + (root if shift == "positive" else -root))


ENTRIES = (
    CatalogueEntry(
        "gaussian_poincare",
        "a = 1/sqrt(E[phi'^2]), b = -a E[phi] +- sqrt(1 - a^2 Var[phi]) around phi",
        "deep plain networks with orthogonal weights whose activation may be changed",
        "Lu, Gould, Ajanthan 2020, arXiv:2006.12169",
        "named rule",
    ),
)
