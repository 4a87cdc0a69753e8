"""Correlation maps: closed forms at every correlation, kinks and jumps included; two quadratures that must agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.known_answers import RELU_CORRELATIONS, slow_kernel

from penstock.activations import named
from penstock.errors import ArgumentError
from penstock.meanfield import correlation_map, covariance, kernel_of, leaky_correlation
from penstock.meanfield.close_pairs import squared_difference

CORRELATIONS = (-1.0, -0.9999, -0.99, -0.7, 0.0, 0.4, 0.979, 0.981, 0.9999, 1.0)
SMOOTH = ("tanh", "gelu", "silu", "sin", "cos", "softplus", "erf", "gaussian_exp(-x^2)")
KINKED = ("relu", "leaky_relu_0.2", "hardtanh", "hardswish", "softsign", "elu", "selu", "squared_relu", "relu6")


def test_relu_layer_by_layer():
    kernel, correlation = kernel_of(named("relu"), variance=1.0), 0.0
    for layer in range(1, 101):
        correlation = 1.0 - kernel.gap(1.0 - correlation) / kernel.second
        if layer in RELU_CORRELATIONS:
            assert math.isclose(correlation, RELU_CORRELATIONS[layer], abs_tol=1e-14)


@pytest.mark.parametrize("slope", [0.0, 0.2, -1.0, 3.0])
@pytest.mark.parametrize("variance", [1e-3, 1.0, 30.0])
def test_leaky_relus_closed_form(slope: float, variance: float):
    found = correlation_map(lambda x: np.where(x > 0, x, slope * x), CORRELATIONS, variance=variance)
    expected = [leaky_correlation(c, slope) for c in CORRELATIONS]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_other_closed_forms():
    c = np.array(CORRELATIONS)
    np.testing.assert_allclose(correlation_map("sin", c), np.sinh(c) / math.sinh(1), atol=1e-13)
    np.testing.assert_allclose(correlation_map("cos", c), np.cosh(c) / math.cosh(1), atol=1e-13)
    erf = np.arcsin(2 * c / 3) / math.asin(2 / 3)  # Williams 1997, eq. 11
    np.testing.assert_allclose(correlation_map("erf", c), erf, atol=1e-12)
    sign = 2 / math.pi * np.arcsin(c)  # a jump: infinitely steep at c = 1
    np.testing.assert_allclose(correlation_map(np.sign, c), sign, atol=1e-9)


def test_the_square_is_exact():
    c = np.array(CORRELATIONS)
    np.testing.assert_allclose(correlation_map(np.square, c), (1 + 2 * c**2) / 3, atol=1e-14)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("correlation", [-0.8, 0.3, 0.97])
def test_smooth_functions_by_the_trapezoidal_rule(name: str, correlation: float):
    kernel = kernel_of(named(name), variance=1.7)
    assert kernel.smooth
    found = kernel.second - kernel.gap(1.0 - correlation)
    assert math.isclose(found, slow_kernel(named(name), 1.7, correlation), rel_tol=1e-10, abs_tol=1e-13)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
@pytest.mark.parametrize("variance", [0.1, 3.0])
def test_series_and_direct_integral_agree(name: str, variance: float):
    """Two independent ways, where both are exact."""
    kernel = kernel_of(named(name), variance=variance)
    for distance in (0.03, 0.2):
        direct = squared_difference(named(name), math.sqrt(variance), distance, kernel.kinks) / 2
        assert math.isclose(kernel.gap(distance), direct, rel_tol=1e-10)


def test_the_rest_of_the_series_counts():
    """Control of the test above: without it the two ways differ by 1e-5 for relu."""
    kernel = kernel_of(named("relu"), variance=1.0)
    series = kernel.coefficients**2 @ (1.0 - 0.97 ** np.arange(len(kernel.coefficients)))
    assert abs(series / kernel.gap(0.03) - 1.0) > 1e-5


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_the_slope_is_the_derivative(name: str):
    kernel = kernel_of(named(name), variance=1.0)
    for distance in (0.5, 0.05, 0.01):
        step = 1e-3 * distance
        quotient = (kernel.gap(distance + step) - kernel.gap(distance - step)) / (2 * step)
        assert math.isclose(kernel.slope(distance), quotient, rel_tol=1e-5)
    assert math.isclose(kernel.gap(1e-10) / 1e-10, kernel.slope(0.0), rel_tol=1e-4)


@settings(max_examples=15)
@given(st.sampled_from([*SMOOTH, *KINKED]), st.floats(0.05, 8.0))
def test_a_map_is_a_power_series_with_positive_coefficients(name: str, variance: float):
    """So on [0, 1] it rises, is convex, and ends at 1."""
    c = np.linspace(0.0, 1.0, 9)
    found = correlation_map(name, c, variance=variance)
    assert found[-1] == 1.0
    assert np.all(np.diff(found) >= -1e-12)
    assert np.all(np.diff(found, 2) >= -1e-11)
    assert np.all(np.abs(correlation_map(name, -c, variance=variance)) <= found + 1e-11)


@settings(max_examples=12)
@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.floats(0.1, 9.0), st.floats(0.1, 9.0), st.floats(-1.0, 1.0))
def test_two_variances(right: float, left: float, qx: float, qy: float, correlation: float):
    """max(x, 0) a + min(x, 0) b, Cho & Saul 2009: the kernel of the whole family."""
    found = covariance(lambda x: np.where(x > 0, right * x, left * x), (qx, qy), correlation)
    k = correlation * math.sqrt(qx * qy)
    root = math.sqrt(max(0.0, qx * qy - k * k))
    angle = math.acos(max(-1.0, min(1.0, correlation)))
    expected = (right - left) ** 2 / (2 * math.pi) * (root - angle * k) + (right**2 + left**2) / 2 * k
    assert math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-6)


def test_kinks_are_found_wherever_they_are():
    found = kernel_of(lambda x: np.maximum(x - math.e / 2, 0) + 3 * np.maximum(-0.777 - x, 0), variance=2.0).kinks
    np.testing.assert_allclose(found, [-0.777, math.e / 2], atol=1e-9)
    assert kernel_of(np.tanh, variance=2.0).kinks.size == 0


def test_a_quantizer_has_too_many_jumps_to_break_at():
    """Sheppard: rounding to 1/4 adds 1/192 to the variance, nearly independent for inputs that differ by more."""
    c = np.array([0.0, 0.5, 0.9, 0.97])
    found = correlation_map(lambda x: np.round(4 * x) / 4, c)
    np.testing.assert_allclose(found, c / (1 + 1 / 192), atol=1e-6)
    near = correlation_map(lambda x: np.round(4 * x) / 4, [0.9801, 0.995, 0.99999, 1.0])
    assert np.all(np.diff(near) > 0)
    assert near[-1] == 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: correlation_map("relu", 1.01), "correlation must lie within -1 and 1; got 1.01"),
        (lambda: correlation_map("relu", float("nan")), "correlation must lie within -1 and 1; got nan"),
        (lambda: correlation_map("relu", 0.5, variance=0.0), "variance must be a finite number above 0; got 0.0"),
        (lambda: correlation_map(np.zeros_like, 0.5), "must not be zero everywhere; got zeros_like"),
        (lambda: covariance("relu", (1.0, -1.0), 0.5), "variances must be a finite number above 0; got -1.0"),
        (lambda: covariance("relu", (1.0, 1.0), 1.5), "correlation must be at most 1; got 1.5"),
        (lambda: correlation_map("geluu", 0.5), r"Did you mean 'gelu'\?"),
        (lambda: correlation_map(3, 0.5), "correlation_map: activation must be a name or a callable; got 3"),
    ],
)
def test_bad_arguments(call, words: str):
    with pytest.raises(ArgumentError, match=words):
        call()
