r"""Kernel shaping: where on its curve a function must be used so that a deep stack keeps inputs apart.

Deep kernel shaping (Martens et al. 2021, https://arxiv.org/abs/2110.01765, section 4) replaces phi by
gamma (phi(alpha z + beta) + delta) so that with z ~ N(0, 1)

    E[phi^^2] = 1,   E[phi^] = 0,   E[z phi^ phi^'] = 1,   E[phi^'^2] = slope.

None of the four numbers has to touch the model: a layer whose units have mean beta and standard deviation alpha
shows phi where it is used so, and the next layer's own scale and bias take up gamma and delta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from penstock.errors import ArgumentError, message
from penstock.meanfield.functions import Activation, Curve, curve_of, number
from penstock.meanfield.networks import Network, local_slope
from penstock.meanfield.roots import first_crossing, newton_pair
from penstock.meanfield.scan import BETAS, Line, landscape, line, nearest_first
from penstock.quadrature import Function, sample_gaussian

LIMIT = 6.0
"""Neither |beta| nor alpha may be larger: further out, functions are straight lines, constants or overflow."""

MOST_CENTRED_RELU = 0.5 / (0.5 - 0.5 / math.pi)
"""Slope of a centred ReLU at any scale; with beta > 0 it is less. 1.466942206924."""

_NEAR = 0.3  # of log(alpha): more than a step of the coarse map
_LOG_ALPHAS = tuple(np.log(np.geomspace(0.05, LIMIT, 13)))
_TRIES = 6  # starting points that are polished before a function counts as one that cannot be balanced


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a function is used.

    Attributes:
        alpha: standard deviation of the pre-activations.
        beta: their mean.
        slope: E[phi^'^2] there: how fast inputs that are close drift apart, by layer.
        balanced: whether E[z phi^ phi^'] = 1 holds too, so that the variance is a stable fixed point.
        variance: Var[phi] there: gamma is its inverse root.
        mean: E[phi] there: delta is its negative.
        variance_slope: E[z phi^ phi^'], the slope of the variance map.
    """

    alpha: float
    beta: float
    slope: float
    balanced: bool
    variance: float
    mean: float
    variance_slope: float

    @property
    def gamma(self) -> float:
        """Scale of phi's output that gives it variance 1."""
        return self.variance**-0.5

    @property
    def delta(self) -> float:
        """What is added to phi's output so that its mean is 0."""
        return 0.0 if abs(self.mean) < 1e-15 else -self.mean

    def __str__(self) -> str:
        end = "" if self.balanced else f"; variance map's slope {self.variance_slope:.4g}, not 1"
        return (
            f"alpha {self.alpha:.6g}, beta {self.beta:.6g}, gamma {self.gamma:.6g}, delta {self.delta:.6g} "
            f"(slope {self.slope:.6g} a layer{end})"
        )


@dataclass(frozen=True, slots=True)
class LeakyShape:
    """A leaky ReLU whose negative slope is part of the shape.

    Attributes:
        negative_slope: a.
        gamma: scale of its output.
        delta: what is added to its output first.
    """

    negative_slope: float
    gamma: float
    delta: float


def kernel_shape(activation: Activation | Curve, network: Network, *, zeta: float = 1.5) -> Shape:
    r"""Deep kernel shaping: alpha, beta, gamma and delta for a network.

    .. math::
        \hat\phi(z) = \gamma(\phi(\alpha z + \beta) + \delta):\quad E[\hat\phi^2] = 1,\ E[\hat\phi] = 0,\
        E[z \hat\phi \hat\phi'] = 1,\ E[\hat\phi'^2] = \chi, \qquad M_f(\chi) = \zeta

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        network: how its layers are put together: `plain_stack(40)`, `residual_stack((3, 4, 6, 3))`, or any function.
        zeta: largest slope of the correlation map of any part of the network. 1 is a straight line; the paper uses 1.5.

    Returns:
        The shape. Functions of relu's family cannot be balanced; they get the slope alone, at beta = 1 or -1.

    Raises:
        ArgumentError: if zeta is not above 1, or no part of the curve has that slope.

    Examples:
        >>> from penstock.meanfield.networks import plain_stack
        >>> print(kernel_shape("tanh", plain_stack(40)))
        alpha 0.143902, beta 0.576072, gamma 9.51437, delta -0.512138 (slope 1.01019 a layer)

    Source:
        Martens et al. 2021, section 4, https://arxiv.org/abs/2110.01765
    """
    curve = curve_of(activation, caller="kernel_shape")
    slope = local_slope(network, zeta)
    found = shape(curve.function, slope)
    if found is None:
        raise ArgumentError(
            message(
                f"kernel_shape: activation must bend somewhere so that E[phi^'^2] = {slope:.6g}; "
                f"{curve.name} does not for |beta| and alpha up to {LIMIT:g}.",
                because="a straight line and a constant have no shape; a slope far above 1 needs a strong kink",
            )
        )
    return found


def shape(function: Function, slope: float) -> Shape | None:
    """Find alpha and beta with E[phi^'^2] = slope, and E[z phi^ phi^'] = 1 where the function allows it.

    Args:
        function: phi, elementwise, float64 in and out.
        slope: wanted, above 1. Only a straight line has 1.

    Returns:
        The shape with the smallest |beta|, or None where no part of the curve has that slope.

    Examples:
        >>> shape(np.tanh, 1.5 ** (1 / 40)).balanced
        True
        >>> shape(lambda x: np.ones_like(x), 1.01) is None
        True
    """
    slope = number(slope, caller="shape", name="slope", above=1.0)
    if shape_at(function, 1.0, 0.0) is None and shape_at(function, 0.3, 1.0) is None:
        return None
    seen = landscape(function)
    excess = (seen.slope_second / seen.variance - 1.0) / (slope - 1.0) - 1.0
    found = line(excess, (seen.uneven / seen.variance - 1.0) / (slope - 1.0))
    if found is None:
        return None

    def misses(log_alpha: float, beta: float) -> tuple[float, float] | None:
        there = shape_at(function, math.exp(min(log_alpha, 5.0)), beta)
        # Both in units of what is wanted: the slope's excess over a straight line's is small.
        return (
            None if there is None else ((there.slope - slope) / (slope - 1), (there.variance_slope - 1) / (slope - 1))
        )

    for alpha, beta in nearest_first(found.crossings())[:_TRIES]:
        root = newton_pair(misses, (math.log(alpha), beta))
        if root is not None:
            there = shape_at(function, math.exp(root[0]), root[1])
            if there is not None:
                return there
    return _slope_alone(function, slope, found)


def _slope_alone(function: Function, slope: float, found: Line) -> Shape | None:
    """The slope alone, for ReLU and its kin: at beta 1 or -1, as in the paper, or else where it is most balanced."""
    betas = BETAS[found.columns]
    best = [float(betas[i]) for i in np.argsort(np.abs(found.second))[:_TRIES]]
    for beta in (1.0, -1.0, 0.0, -0.1, *best):

        def miss(log_alpha: float, beta: float = beta) -> float:
            there = shape_at(function, math.exp(log_alpha), beta)
            return math.nan if there is None else (there.slope - slope) / (slope - 1)

        near = found.alphas[betas == beta]
        around = [math.log(near[0]) - _NEAR, math.log(near[0]) + _NEAR] if near.size else []
        root = first_crossing(miss, around)
        if root is None:  # the map's difference quotients are off where a kink is used at its full width
            root = first_crossing(miss, _LOG_ALPHAS)
        there = None if root is None else shape_at(function, math.exp(root), beta)
        if there is not None and abs(there.slope - slope) < 1e-6 * (slope - 1):
            return there
    return None


def shape_at(function: Function, alpha: float, beta: float) -> Shape | None:
    """What a function is like at one place; None where it is constant, jumps or overflows there.

    Examples:
        >>> round(shape_at(lambda x: np.maximum(x, 0.0), 1.0, 0.0).slope, 12)
        1.466942206924
    """
    if not 1e-6 < alpha <= LIMIT or abs(beta) > LIMIT:
        return None
    try:
        with np.errstate(all="ignore"):
            samples = sample_gaussian(function, mean=beta, std=alpha)
    except ArgumentError:
        return None
    mean = float(samples.probability @ samples.values)
    centred = samples.values - mean
    variance = float(samples.probability @ centred**2)
    if not math.isfinite(variance) or variance <= 1e-24 * mean**2 or variance == 0.0:
        return None
    z = (samples.x - beta) / alpha
    slope = alpha**2 * float(samples.probability @ samples.slopes**2) / variance
    # E[z f f'] = E[(z^2 - 1) f^2] / 2 by Stein's lemma; jumps are counted.
    variance_slope = float(samples.probability @ ((z**2 - 1.0) * centred**2)) / (2.0 * variance)
    if slope < 1.0 - 1e-6:  # only a function with jumps varies more than its slope says: nothing keeps inputs together
        return None
    balanced = slope > 1.0 and abs(variance_slope - 1.0) <= 1e-3 * (slope - 1.0)
    return Shape(alpha, beta, slope, balanced, variance, mean, variance_slope)


def leaky_kernel_shape(network: Network, *, zeta: float = 1.5) -> LeakyShape:
    r"""Deep kernel shaping of a leaky ReLU whose negative slope is free: all four conditions hold at alpha 1, beta 0.

    .. math::
        \frac{(1 + a^2) / 2}{(1 + a^2) / 2 - (1 - a)^2 / 2\pi} = \chi, \quad \delta = -(1 - a) / \sqrt{2\pi}

    Args:
        network: how the layers are put together.
        zeta: as for `kernel_shape`.

    Returns:
        The negative slope a, gamma and delta.

    Raises:
        ArgumentError: if zeta is not above 1, or not even a ReLU bends as much.

    Examples:
        >>> from penstock.meanfield.networks import residual_stack
        >>> resnet = residual_stack((3, 4, 23, 3), branch=3, shortcut_weight=0.6, shortcut_layers=1, last=1)
        >>> found = leaky_kernel_shape(resnet, zeta=1.2)
        >>> round(found.negative_slope, 7), round(found.gamma, 7)
        (0.8761257, 1.0651833)

    Source:
        Martens et al. 2021, section 4, https://arxiv.org/abs/2110.01765; the closed form follows from
        E[z f f'] = Var[f] of a function that is straight on both sides of 0.
    """
    slope = local_slope(network, zeta)
    if slope > MOST_CENTRED_RELU:
        raise ArgumentError(
            message(
                f"leaky_kernel_shape: zeta must be smaller; a layer would need slope {slope:.6g}, "
                f"and a ReLU has {MOST_CENTRED_RELU:.6g}."
            )
        )

    # (1 - a)^2 / (1 + a^2) = share falls from 1 to 0 as a rises from 0 to 1; the slope is 1 / (1 - share / pi).
    share = math.pi * (1.0 - 1.0 / slope)
    a = (1.0 - math.sqrt(share * (2.0 - share))) / (1.0 - share) if share < 1.0 - 1e-12 else 0.0
    variance = (1.0 + a * a) / 2.0 - (1.0 - a) ** 2 / (2.0 * math.pi)
    return LeakyShape(a, variance**-0.5, -(1.0 - a) / math.sqrt(2.0 * math.pi))
