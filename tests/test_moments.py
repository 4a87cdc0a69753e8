"""Gaussian moments: closed forms at any variance, kinks and jumps anywhere, and functions that have no moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.activations import named, names
from penstock.errors import ArgumentError
from penstock.moments import moments

EXACT = 1e-9
VARIANCES = (1e-4, 0.3, 1.0, 2.5, 40.0)


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_pdf(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def close(value: float, expected: float) -> bool:
    return math.isclose(value, expected, rel_tol=EXACT, abs_tol=1e-15)


# name -> E[phi], E[phi^2], E[phi'^2] at variance q. erf: the arc-sine kernel of Williams 1997, eq. 11.
CLOSED = {
    "identity": lambda q: (0.0, q, 1.0),
    "relu": lambda q: (math.sqrt(q / (2 * math.pi)), q / 2, 0.5),
    "leaky_relu_0.2": lambda q: (0.8 * math.sqrt(q / (2 * math.pi)), 1.04 * q / 2, 0.52),
    "abs": lambda q: (math.sqrt(2 * q / math.pi), q, 1.0),
    "squared_relu": lambda q: (q / 2, 1.5 * q * q, 2 * q),
    "erf": lambda q: (0.0, 2 / math.pi * math.asin(2 * q / (1 + 2 * q)), 4 / math.pi / math.sqrt(1 + 4 * q)),
    "sin": lambda q: (0.0, -math.expm1(-2 * q) / 2, (1 + math.exp(-2 * q)) / 2),
    "cos": lambda q: (math.exp(-q / 2), (1 + math.exp(-2 * q)) / 2, -math.expm1(-2 * q) / 2),
    "gaussian_exp(-x^2)": lambda q: (1 / math.sqrt(1 + 2 * q), 1 / math.sqrt(1 + 4 * q), 4 * q / (1 + 4 * q) ** 1.5),
}


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name: str, variance: float) -> None:
    found = moments(named(name), variance=variance)
    mean, second, slope_second = CLOSED[name](variance)
    assert close(found.mean, mean)
    assert close(found.second, second)
    assert close(found.slope_second, slope_second)


@pytest.mark.parametrize("variance", VARIANCES)
def test_gelu_closed_form(variance: float) -> None:
    q, found = variance, moments(named("gelu"), variance=variance)
    root = math.sqrt(1 + 2 * q)
    assert close(found.mean, q / math.sqrt(2 * math.pi * (1 + q)))
    assert close(found.second, q * (0.25 + (q / ((q + 1) * root) + 0.5 * math.atan(q / root)) / math.pi))


# 1.5 ends a panel; the others lie within one, one of them a hair away from its end.
@pytest.mark.parametrize("kink", [-4.7, 1e-7, 0.123456789, 1.49999, 1.5, 1.5 + 1e-12, math.e, 6.0])
def test_a_kink_and_a_jump_anywhere(kink: float) -> None:
    tail, density = normal_cdf(-kink), normal_pdf(kink)
    hinge = moments(lambda x: np.maximum(x - kink, 0.0))
    assert math.isclose(hinge.mean, density - kink * tail, rel_tol=1e-7, abs_tol=1e-12)  # the difference cancels
    assert math.isclose(hinge.slope_second, tail, rel_tol=EXACT, abs_tol=1e-12)
    step = moments(lambda x: np.where(x > kink, 1.0, 0.0))
    assert math.isclose(step.second, tail, rel_tol=EXACT, abs_tol=1e-12)
    assert step.slope_second == 0.0
    assert step.gain_backward == math.inf


def test_gauss_hermite_would_fail_here() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    plain = float(weights @ np.maximum(nodes, 0.0)) / math.sqrt(2 * math.pi)
    assert abs(plain - 1 / math.sqrt(2 * math.pi)) > 1e-3


@pytest.mark.parametrize("name", names())
def test_poincare_and_stein(name: str) -> None:
    found = moments(named(name), variance=0.7)
    assert found.variance <= 0.7 * found.slope_second * (1 + 1e-12) or name == "hardshrink"
    assert math.isclose(found.variance, found.second - found.mean**2, rel_tol=1e-9)
    if name == "hardshrink":  # the one with jumps: Stein's lemma counts them, the slope almost everywhere does not
        assert found.linear_slope > found.slope_mean + 0.1
    else:
        assert math.isclose(found.linear_slope, found.slope_mean, rel_tol=1e-10, abs_tol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(names()), st.floats(0.2, 3.0), st.floats(-2.0, 2.0), st.floats(0.1, 4.0))
def test_an_affine_input_is_a_mean_and_a_variance(name: str, scale: float, shift: float, variance: float) -> None:
    function = named(name)
    inside = moments(lambda x: function(scale * x + shift), variance=variance)
    outside = moments(function, variance=scale**2 * variance, mean=shift)
    np.testing.assert_allclose(inside.second, outside.second, rtol=1e-8)
    np.testing.assert_allclose(inside.slope_second, scale**2 * outside.slope_second, rtol=1e-8)


def test_relu_with_a_mean() -> None:
    found = moments(named("relu"), variance=4.0, mean=1.0)
    assert close(found.mean, normal_cdf(0.5) + 2 * normal_pdf(0.5))
    assert close(found.second, 5 * normal_cdf(0.5) + 2 * normal_pdf(0.5))
    assert close(found.slope_second, normal_cdf(0.5))


def test_chi_1_holds_the_variance() -> None:
    assert close(moments(named("relu"), variance=9.0).chi_1, 1.0)  # scale-free: the same at every variance
    tanh = moments(named("tanh"), variance=0.01)
    assert close(tanh.chi_1, 0.01 * tanh.slope_second / tanh.second)


def test_constants() -> None:
    three = moments(lambda x: np.full_like(x, 3.0))
    assert (three.variance, three.slope_mean, three.slope_second) == (0.0, 0.0, 0.0)
    assert close(three.gain_forward, 1 / 3)
    assert three.gain_variance == three.gain_backward == math.inf
    assert three.chi_1 == 0.0
    zero = moments(np.zeros_like)
    assert zero.gain_forward == math.inf
    assert math.isnan(zero.chi_1)
    assert math.isnan(zero.mean_share)


def test_steps_of_a_quantizer() -> None:
    assert moments(lambda x: np.round(16 * x) / 16).slope_second < 1e-12
    # Sheppard's correction, up to exp(-2 pi^2 16^2): uniform rounding adds step^2 / 12.
    assert close(moments(lambda x: np.round(16 * x) / 16).second, 1 + 1 / (12 * 16**2))


def test_a_vertical_tangent_has_no_slope_moment() -> None:
    assert moments(lambda x: np.sqrt(np.abs(x))).slope_second == math.inf
    assert moments(np.cbrt).gain_backward == 0.0
    assert math.isfinite(moments(lambda x: np.abs(x) ** 0.75).slope_second)


def test_float32_code_is_good_to_float32() -> None:
    found = moments(lambda x: np.tanh(x.astype(np.float32)))
    np.testing.assert_allclose(found.second, moments(np.tanh).second, rtol=1e-6)
    np.testing.assert_allclose(found.slope_second, moments(np.tanh).slope_second, rtol=1e-5)


@pytest.mark.parametrize(("name", "most"), [("relu", 1100), ("tanh", 1500), ("gelu", 1500), ("softsign", 2500)])
def test_few_evaluations(name: str, most: int) -> None:
    sizes: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        sizes.append(x.size)
        return named(name)(x)

    moments(counted)
    assert sum(sizes) <= most


BAD = [
    (lambda x: np.exp(x) / np.exp(x).sum(), "must be elementwise"),
    (np.cumsum, "must be elementwise"),
    (lambda x: x - x.mean(), "must be elementwise"),
    (lambda x: x.sum(), "of the shape that it was given"),
    (lambda x: x[:, None], "of the shape that it was given"),
    (lambda x: x.astype(complex), "must return real numbers"),
    (np.log, "must be finite within 12 standard deviations"),
    (lambda x: max(x, 0.0), r"numpy\.vectorize\(function\)"),
    (3.0, "function must be callable; got 3.0"),
]


@pytest.mark.parametrize(("function", "text"), BAD)
def test_functions_without_moments(function: object, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        moments(function)  # pyright: ignore[reportArgumentType]  wrong on purpose


def test_noise_is_named() -> None:
    source = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="two calls on the same array differ"):
        moments(lambda x: x * (source.random(x.shape) > 0.5))
    with pytest.raises(ArgumentError, match="were not enough to resolve it"):
        moments(lambda x: np.sin(1e7 * x))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"variance": 0.0}, "variance must be positive"),
        ({"variance": math.nan}, "variance must be finite"),
        ({"mean": math.inf}, "mean must be finite"),
        ({"variance": "big"}, "variance must be a number"),
    ],
)
def test_arguments(arguments: dict[str, float], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        moments(np.tanh, **arguments)


def test_a_function_that_writes_into_its_argument() -> None:
    def in_place(x: np.ndarray) -> np.ndarray:
        np.maximum(x, 0.0, out=x)
        return x

    assert close(moments(in_place).second, 0.5)
