"""Where on its curve a function is used: the conditions by independent quadrature, and the published numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from penstock.activations import named
from penstock.moments import moments
from penstock.planning.shaping import shape

# methods: Martens et al. 2021, the authors' own code, tests/test_activation_transform.py: in_scale and in_shift.
PUBLISHED = {
    "softplus": (0.18761008168267976, 0.40688063442262007),
    "tanh": (0.07461073057540868, 0.5566915199964182),
    "gelu_tanh": (0.07036271496383567, 0.2586837248593587),
    "gelu": (0.07043253126531114, 0.259489297927707),
}


def conditions(function: Callable[..., np.ndarray], alpha: float, beta: float) -> tuple[float, float]:
    """(E[phi^'^2], E[z phi^ phi^']) with Gauss-Hermite nodes and central differences."""
    z, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / w.sum()
    x, h = alpha * z + beta, 1e-4
    value = function(x)
    slope = (function(x - 2 * h) - 8 * function(x - h) + 8 * function(x + h) - function(x + 2 * h)) / (12 * h)
    mean = w @ value
    variance = w @ (value - mean) ** 2
    return alpha**2 * (w @ slope**2) / variance, alpha * (w @ (z * (value - mean) * slope)) / variance


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_parameters_are_found_again(name: str):
    alpha, beta = PUBLISHED[name]
    slope, balance = conditions(named(name), alpha, beta)
    assert balance == pytest.approx(1.0, abs=1e-6)
    found = shape(named(name), slope)
    assert found is not None
    assert found.balanced
    assert found.alpha == pytest.approx(alpha, rel=2e-3)
    assert abs(found.beta) == pytest.approx(beta, rel=2e-3)


def test_the_published_relu_is_found_again():
    """ReLU's variance map is straight at any scale: only the slope can be chosen. in_shift 1, in_scale .3685360."""
    slope, _ = _relu(0.3685360046708044, 1.0)
    found = shape(named("relu"), slope)
    assert found is not None
    assert not found.balanced
    assert (found.alpha, found.beta) == pytest.approx((0.3685360046708044, 1.0), rel=2e-3)


def _relu(alpha: float, beta: float) -> tuple[float, float]:
    """E[phi^'^2] of a ReLU in closed form: P(x > 0) alpha^2 over the rectified variance."""
    from math import erf, exp, pi, sqrt

    t = beta / alpha
    p, density = 0.5 * (1 + erf(t / sqrt(2))), exp(-t * t / 2) / sqrt(2 * pi)
    mean = beta * p + alpha * density
    second = (beta**2 + alpha**2) * p + alpha * beta * density
    return alpha**2 * p / (second - mean**2), 0.0


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "silu", "softplus", "mish", "sin"])
@pytest.mark.parametrize("depth", [10, 40, 120])
def test_the_conditions_hold(name: str, depth: int):
    wanted = 1.5 ** (1 / depth)
    found = shape(named(name), wanted)
    assert found is not None
    slope, balance = conditions(named(name), found.alpha, found.beta)
    # Within the share of the excess over a straight line's slope that a shape is taken at, and the two grids'.
    assert slope - 1 == pytest.approx(wanted - 1, rel=1e-2)
    if found.balanced:
        assert balance - 1 == pytest.approx(0, abs=1e-2 * (wanted - 1))
    with pytest.raises(AssertionError, match="assert"):
        assert conditions(named(name), found.alpha * 1.1, found.beta)[0] - 1 == pytest.approx(wanted - 1, rel=1e-2)


@pytest.mark.parametrize("name", ["elu", "selu", "leaky_relu_0.2", "hardtanh"])
def test_the_slope_holds_for_functions_with_kinks(name: str):
    wanted = 1.5 ** (1 / 20)
    found = shape(named(name), wanted)
    assert found is not None
    exact = moments(named(name), variance=found.alpha**2, mean=found.beta)
    # A grid of 4001 points places a kink to 0.004 standard deviations.
    assert found.alpha**2 * exact.slope_second / exact.variance - 1 == pytest.approx(wanted - 1, rel=2e-2)


@pytest.mark.parametrize("function", [np.ones_like, np.sign, lambda x: x])
def test_what_has_no_curve_has_no_shape(function: Callable[..., np.ndarray]):
    assert shape(function, 1.01) is None
