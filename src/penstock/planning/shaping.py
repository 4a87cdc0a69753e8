r"""Where on its curve a function must be used so that a deep stack keeps inputs apart and can be trained.

Deep kernel shaping (Martens et al. 2021, https://arxiv.org/abs/2110.01765, section 4) replaces phi by
gamma (phi(alpha z + beta) + delta). None of the four numbers has to touch the model: a layer whose units have mean
beta and standard deviation alpha shows phi where it is used so, and the next layer's own scale and bias take up gamma
and delta. With phi^ the function of mean 0 and variance 1 that comes out, and z ~ N(0, 1), three numbers count:

    slope   E[phi^'^2]         how fast inputs that are close drift apart, a layer: zeta^(1/n) at most
    radial  E[z phi^ phi^']    how fast an input's size drifts; above 1 it runs away once training moves it
    offset  E[phi]^2 / Var[phi]

The offset is not in the paper, whose delta takes it out of the function. Here the next layer's bias takes it out of the
signal, but the gradient of that layer's weights still sees it: one direction is 1 + offset times as steep as the others
and bounds the learning rate for all. So among all places with the same slope the one with the smallest offset is taken.

Units in pairs of opposite sign (Balduzzi et al. 2017, https://arxiv.org/abs/1702.08591) open more places: the next
layer reads phi(beta + u) - phi(beta - u), in which all even powers cancel. For ReLU, GELU, SiLU and softplus it is u
itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.graph import ScalarFunction

Array = npt.NDArray[np.float64]

ALPHAS = np.geomspace(0.02, 1.0, 40)
"""From nearly straight to unit variance, which is where people expect pre-activations."""

BETAS = np.array([0.0, *(s * b for b in np.linspace(0.1, 3.0, 30) for s in (1.0, -1.0))])
"""Further out functions are straight lines, constants, or overflow. Zero first: of equals, the first is taken."""

MIRROR_COST = 1.5
"""Pairs halve what a layer's width can tell apart, so the mirror must make up for it. Depth 40 and 120, digits: tanh,
sin and elu, whose offset is 0 without it, train in 10 steps, mirrored in 20; relu in 30 and 10, gelu in 85 and 10."""

BIAS_COST = 1.25
"""A mirrored place at beta = 0 needs no bias, and zero padding is no different from any other zero there."""

SUPERLINEAR = 1.2
"""Functions that grow like |x|^p have a radial of p far out. Above this, an input that training has made larger makes
the next layer's larger still, and so on: what is bounded for a line overflows within n layers."""

FAR = 4.0
"""Where that is looked at: a deviation that no start has."""

RUNAWAY = 2.0
"""Of such a function the size map of a lone unit, too, may steepen by no more than this many times the slope's excess:
training breaks the pairs. relu^2 with deviation r around mean 1 has radial 1 + r^2. Trained best: r = 0.4 at depth 10,
0.14 to 0.22 at 40, 0.09 at 120, so n r^2 of 0.8 to 2; at r = 0.36, pairs alone would allow it, nothing trains at 40."""

BALANCED = 0.125
"""Mean of such a function's output, of places that cost alike: homogeneous ones have a place at every scale. With 64
inputs of mean 1/8 a step of the weights moves a unit as far as one of its bias. relu^2 at depth 120: means of 0.1, 0.3
and 1 train in 30 steps, 50 and 130."""

TIE = 1.25
"""Costs alike: the grid of alphas changes them by as much."""

OVER = 1e-4
"""Rounding that `radial` may be above 1 by: straight lines have exactly 1."""

_COARSE = np.linspace(-6.0, 6.0, 241)
_FINE = np.linspace(-8.0, 8.0, 4001)
_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a function is used.

    Attributes:
        alpha: standard deviation of the pre-activations.
        beta: their mean.
        slope: E[phi^'^2] that is reached there.
        radial: E[z phi^ phi^'] there.
        offset: E[phi]^2 / Var[phi] there.
        variance: of what the next layer reads: of phi, or of phi(beta + u) - phi(beta - u).
        mirrored: whether units come in pairs of opposite sign.
    """

    alpha: float
    beta: float
    slope: float
    radial: float
    offset: float
    variance: float
    mirrored: bool = False


def shape(function: ScalarFunction, slope: float, *, mirror: bool = True, bias: bool = True) -> Shape | None:
    """The place with E[phi^'^2] <= slope, radial <= 1 and the smallest offset.

    Args:
        function: phi, elementwise, float64 in and out.
        slope: zeta^(1/n), above 1. Only a straight line has 1.
        mirror: whether units may come in pairs of opposite sign.
        bias: whether the layer has one; without it beta is 0, and a mean other than 0 must cancel in pairs.

    Returns:
        The shape, or None where no part of the curve is straight enough.

    Examples:
        >>> shape(np.tanh, 1.5 ** (1 / 40)).beta
        0.0
        >>> shape(lambda x: np.maximum(x, 0.0), 1.5 ** (1 / 40)).mirrored
        True
        >>> shape(lambda x: np.ones_like(x), 1.01) is None
        True
    """
    betas = BETAS if bias else BETAS[:1]
    found: list[tuple[float, Shape]] = []
    with np.errstate(all="ignore"):
        plain = _plain(function, slope, betas)
        if plain is not None and (bias or plain.offset < 1.0):
            found.append((1.0 + plain.offset, plain))
        if mirror:
            found += [(c * MIRROR_COST, s) for c, s in _mirrored(function, slope, betas)]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _plain(function: ScalarFunction, slope: float, betas: Array) -> Shape | None:
    """The slope exactly, at the mean where the offset is smallest."""
    from scipy.optimize import root_scalar

    table = _numbers(function, ALPHAS[None, :, None], betas[:, None, None], _COARSE)
    candidates: list[tuple[float, int, int]] = []
    for row in range(len(betas)):
        steep = table.slope[row] >= slope
        column = int(np.argmax(steep))  # the first alpha that bends too much
        if column == 0 or not steep[column] or not np.isfinite(table.slope[row, column - 1]):
            continue
        if table.radial[row, column - 1] <= 1.0 + OVER and table.radial[row, column] <= 1.0 + OVER:
            candidates.append((float(table.offset[row, column - 1]), row, column))
    for _, row, column in sorted(candidates):
        beta = float(betas[row])

        def miss(log_alpha: float, beta: float = beta) -> float:
            value = float(_numbers(function, np.array(math.exp(log_alpha)), np.array(beta), _FINE).slope)
            return value - slope if math.isfinite(value) else -1.0

        ends = math.log(ALPHAS[column - 1]), math.log(ALPHAS[column])
        # The fine grid places a kink elsewhere than the coarse one: a bracket may then be none.
        if miss(ends[0]) < 0.0 <= miss(ends[1]):
            alpha = math.exp(float(root_scalar(miss, bracket=ends, xtol=1e-7).root))
            n = _numbers(function, np.array(alpha), np.array(beta), _FINE)
            return Shape(alpha, beta, float(n.slope), float(n.radial), float(n.offset), float(n.variance))
    return None


def _mirrored(function: ScalarFunction, slope: float, betas: Array) -> list[tuple[float, Shape]]:
    """(cost, shape) of the best mean: as large an alpha as the slope allows."""
    alphas, means = ALPHAS[None, :, None], betas[:, None, None]
    odd = _numbers(lambda u: function(means + u) - function(means - u), alphas, np.zeros_like(means), _COARSE)
    whole = _numbers(function, alphas, means, _COARSE)
    # NaN where the function is constant or overflows: no comparison with it holds.
    good = (odd.slope <= slope) & (odd.radial <= slope) & np.isfinite(whole.offset)
    grows = _numbers(function, np.array(FAR), np.array(0.0), _COARSE).radial > SUPERLINEAR
    if grows:
        good &= whole.radial <= 1.0 + RUNAWAY * (slope - 1.0)
    found: list[tuple[float, Shape]] = []
    sizes: list[float] = []
    for row, beta in enumerate(betas):
        count = int(np.argmin(good[row])) if not good[row].all() else len(ALPHAS)
        if count:
            at = (row, count - 1)
            shape_ = Shape(
                float(ALPHAS[count - 1]),
                float(beta),
                float(odd.slope[at]),
                float(odd.radial[at]),
                float(whole.offset[at]),
                float(odd.variance[at]),
                mirrored=True,
            )
            found.append(((1.0 + shape_.offset) * (BIAS_COST if beta and not grows else 1.0), shape_))
            sizes.append(math.sqrt(float(whole.offset[at] * whole.variance[at])))
    least = min((cost for cost, _ in found), default=0.0)
    if grows:
        alike = [i for i, (cost, _) in enumerate(found) if cost <= TIE * least]
        return [found[i] for i in sorted(alike, key=lambda i: abs(math.log(sizes[i] / BALANCED)))[:1]]
    return [min(found, key=lambda pair: pair[0])] if found else []


@dataclass(frozen=True, slots=True)
class _Numbers:
    slope: Array
    radial: Array
    offset: Array
    variance: Array


def _numbers(function: ScalarFunction, alpha: Array, beta: Array, z: Array) -> _Numbers:
    """The numbers of phi(alpha z + beta); NaN where phi is constant or overflows. `z` is the last axis."""
    weight = np.exp(-0.5 * z * z)
    weight /= weight.sum()
    x = alpha * z + beta
    value = function(x)
    slope = alpha * (function(x + _STEP) - function(x - _STEP)) / (2 * _STEP)
    mean = value @ weight
    centred = value - mean[..., None]
    variance = centred**2 @ weight
    # Below this share of its mean a function's variance is rounding.
    variance = np.where(variance > 1e-14 + 1e-12 * mean**2, variance, np.nan)
    steep = slope**2 @ weight / variance
    # No function has less than a straight line's 1 (Poincare's inequality): here are steps that the grid steps over.
    variance = np.where(steep > 0.9, variance, np.nan)
    radial = (z * centred * slope) @ weight / variance
    return _Numbers(np.where(steep > 0.9, steep, np.nan), radial, mean**2 / variance, variance)
