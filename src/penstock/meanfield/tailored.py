r"""Tailored functions (TAT): like kernel shaping, for networks that are to behave as a ResNet or a deep linear one.

Smooth functions get C'(1) = 1 and a second derivative C''(1) that adds up to tau over the network; leaky ReLUs a
negative slope with which two unrelated inputs end at a correlation of eta.
Zhang et al. 2022, https://arxiv.org/abs/2203.08120
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from penstock.errors import ArgumentError, message
from penstock.meanfield.functions import Activation, Curve, curve_of, number
from penstock.meanfield.networks import Network, local_curvature
from penstock.meanfield.pieces import pieces_of
from penstock.meanfield.roots import crossing, newton_pair
from penstock.meanfield.scan import landscape, line, nearest_first
from penstock.meanfield.shaping import LIMIT, LeakyShape
from penstock.quadrature import Function

_TRIES = 6  # starting points that are polished

_FLATTEST = 0.5
"""Of phi's largest slope: where phi is flatter, the authors found the variance map unstable. They write this as
alpha gamma < 2, which is the same for the functions that they use: alpha gamma is 1 / sqrt(E[phi'^2])."""

_PROBE = np.linspace(-LIMIT, LIMIT, 241)


@dataclass(frozen=True, slots=True)
class Tailored:
    """gamma (phi(alpha z + beta) + delta) with E[f^2] = E[f'^2] = E[z f f'] = 1.

    Attributes:
        alpha: standard deviation of the pre-activations.
        beta: their mean.
        gamma: scale of phi's output.
        delta: what is added to phi's output first.
        curvature: E[f''^2] = C''(1) of a layer.
    """

    alpha: float
    beta: float
    gamma: float
    delta: float
    curvature: float

    def __str__(self) -> str:
        return (
            f"alpha {self.alpha:.6g}, beta {self.beta:.6g}, gamma {self.gamma:.6g}, delta {self.delta:.6g} "
            f"(curvature {self.curvature:.6g} a layer)"
        )


def tailored_shape(activation: Activation | Curve, network: Network, *, tau: float = 0.3) -> Tailored:
    r"""The tailored transformation of a smooth function.

    .. math::  E[f^2] = E[f'^2] = E[z f f'] = 1, \quad E[f''^2] = C''(1), \quad M_f(C''(1)) = \tau

    The first two give gamma = 1 / (alpha sqrt(E[phi'^2])) and delta = -E[phi] +- sqrt(1 / gamma^2 - Var[phi]).

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors. Its slope must have no jumps.
        network: how its layers are put together.
        tau: second derivative at 1 of the correlation map of any part of the network, at most. > 0.

    Returns:
        alpha, beta, gamma, delta.

    Raises:
        ArgumentError: if the slope jumps (use `tailored_leaky`), or there is no solution.

    Examples:
        >>> from penstock.meanfield.networks import plain_stack
        >>> print(tailored_shape("tanh", plain_stack(40)))
        alpha 0.0913684, beta 0.52786, gamma 14.2709, delta -0.484971 (curvature 0.0075 a layer)

    Source:
        Zhang et al. 2022, section 4.2, https://arxiv.org/abs/2203.08120
    """
    curve = curve_of(activation, caller="tailored_shape")
    wanted = local_curvature(network, tau)

    def misses(log_alpha: float, beta: float, sign: float) -> tuple[float, float] | None:
        there = _at(curve.function, math.exp(min(log_alpha, 5.0)), beta, sign)
        return (
            None if there is None else (math.log(there[0].curvature / wanted) / 2, (there[1] - 1.0) / math.sqrt(wanted))
        )

    with np.errstate(all="ignore"):
        steepest = float(np.nanmax(np.abs(np.diff(curve.function(_PROBE))))) / (_PROBE[1] - _PROBE[0])
    for alpha, beta, sign in _starts(curve.function, wanted)[:_TRIES]:
        root = newton_pair(lambda a, b, sign=sign: misses(a, b, sign), (math.log(alpha), beta))
        there = None if root is None else _at(curve.function, math.exp(root[0]), root[1], sign)
        if there is not None and there[0].alpha * there[0].gamma * steepest * _FLATTEST < 1.0:
            return there[0]
    raise ArgumentError(
        message(
            f"tailored_shape: activation must have a solution with E[f''^2] = {wanted:.6g} for |beta| and alpha up to "
            f"{LIMIT:g}; {curve.name} has none.",
            because="its slope jumps somewhere, or it bends too little",
            hint="penstock.meanfield.kernel_shape(...), or tailored_leaky(...) for relu's family",
        )
    )


def _starts(function: Function, curvature: float) -> list[tuple[float, float, float]]:
    """(alpha, beta, sign of the root) of solutions on the coarse map, smallest |beta| first and positive ones first."""
    seen, found = landscape(function), []
    with np.errstate(all="ignore"):
        first = np.log(seen.curve_second / seen.slope_second / curvature)
        shift = np.sqrt(np.maximum(0.0, seen.slope_second - seen.variance))
        for sign in (1.0, -1.0):
            # E[(z^2 - 1) (phi - mean + shift)^2] / 2 over E[phi'^2]
            balance = (seen.uneven + sign * shift * seen.lean) / seen.slope_second
            along = line(first, balance - 1.0)
            found += [] if along is None else [(alpha, beta, sign) for alpha, beta in along.crossings()]
    return nearest_first(found)


def _at(function: Function, alpha: float, beta: float, sign: float) -> tuple[Tailored, float] | None:
    """The transformation with E[f^2] = E[f'^2] = 1 at one place, and its E[z f f']; None where there is none."""
    if not 1e-4 < alpha <= LIMIT or abs(beta) > LIMIT:
        return None
    try:
        with np.errstate(all="ignore"):
            pieces = pieces_of(function, mean=beta, std=alpha)
    except ArgumentError:
        return None
    samples = pieces.samples
    p = samples.probability
    slope_second = alpha**2 * float(p @ samples.slopes**2)
    if pieces.slope_jumps or samples.slope_diverges or slope_second == 0.0:
        return None
    mean = float(p @ samples.values)
    centred = samples.values - mean
    # By the Gaussian Poincare inequality never negative, but for rounding.
    shift = sign * math.sqrt(max(0.0, slope_second - float(p @ centred**2)))
    gamma = slope_second**-0.5
    z = (samples.x - beta) / alpha
    balance = float(p @ ((z**2 - 1.0) * (centred + shift) ** 2)) / (2.0 * slope_second)
    curvature = alpha**4 * float(p @ pieces.curvature**2) / slope_second
    if curvature <= 0.0:
        return None
    return Tailored(alpha, beta, gamma, shift - mean, curvature), balance


def leaky_correlation(correlation: float, negative_slope: float) -> float:
    r"""The correlation map of a leaky ReLU, in closed form.

    .. math::  C(c) = \frac{(1 - a)^2 (\sqrt{1 - c^2} + (\pi - \arccos c)\, c) / \pi + 2 a c}{1 + a^2}

    Args:
        correlation: c, from -1 to 1.
        negative_slope: a.

    Examples:
        >>> round(leaky_correlation(0.0, 0.0), 9)
        0.318309886

    Source:
        Cho & Saul 2009, eq. 6 (a = 0), https://papers.nips.cc/paper/3628; Zhang et al. 2022, section 3.2
    """
    c, a = correlation, negative_slope
    bend = (math.sqrt(max(0.0, 1.0 - c * c)) + (math.pi - math.acos(max(-1.0, min(1.0, c)))) * c) / math.pi
    return ((1.0 - a) ** 2 * bend + 2.0 * a * c) / (1.0 + a * a)


def tailored_leaky(network: Network, *, eta: float = 0.9) -> LeakyShape:
    r"""The negative slope of leaky ReLUs with which two unrelated inputs end at a correlation of eta.

    .. math::  M_f(0) = \eta \ \text{with}\ r = C_a, \qquad \gamma = \sqrt{2 / (1 + a^2)}

    Args:
        network: how its layers are put together.
        eta: C_f(0), largest correlation that any part of the network gives to two unrelated inputs. 0 < eta < 1.

    Returns:
        The negative slope, gamma, and a delta of 0.

    Raises:
        ArgumentError: if eta is out of range, or the network is too shallow to reach it even with ReLU (a = 0).

    Examples:
        >>> from penstock.meanfield.networks import plain_stack
        >>> round(tailored_leaky(plain_stack(50)).negative_slope, 9)
        0.430522949

    Source:
        Zhang et al. 2022, section 3.2 and algorithm 1, https://arxiv.org/abs/2203.08120
    """
    eta = number(eta, caller="tailored_leaky", name="eta", above=0.0)
    if eta >= 1.0:
        raise ArgumentError(message(f"tailored_leaky: eta must be below 1; got {eta!r}."))

    def miss(a: float) -> float:
        return network(0.0, lambda c: leaky_correlation(c, a)) - eta

    if miss(0.0) < 0.0:
        raise ArgumentError(
            message(
                f"tailored_leaky: eta must be at most {miss(0.0) + eta:.6g} for this network; got {eta:g}.",
                because="with ReLU, the leaky ReLU that bends most, two unrelated inputs do not come nearer",
                hint="a smaller eta keeps a shallow network straighter",
            )
        )
    a = crossing(miss, 0.0, 1.0)
    return LeakyShape(a, math.sqrt(2.0 / (1.0 + a * a)), 0.0)
