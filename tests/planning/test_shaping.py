"""Where on its curve a function is used: the conditions by independent quadrature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from penstock.activations import named
from penstock.planning.shaping import Shape, shape

Function = Callable[..., np.ndarray]

# In which way each is used in a stack of 120, and why: odd or nearly linear at 0; all even powers cancel in pairs.
PLAIN = ("tanh", "sin", "softsign", "elu", "erf", "arctan")
MIRRORED = ("relu", "leaky_relu_0.2", "gelu", "silu", "softplus", "mish", "sigmoid", "selu", "hardswish")


def shaped(name: str, slope: float, **options: bool) -> Shape:
    found = shape(named(name), slope, **options)
    assert found is not None
    return found


def conditions(function: Function, alpha: float, beta: float, *, mirrored: bool) -> tuple[float, float, float, float]:
    """(slope, radial, offset, variance read), by Gauss-Legendre panels and fourth-order differences."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(-9.0, 9.0, 721)
    half = 0.5 * np.diff(edges)
    z = (0.5 * (edges[1:] + edges[:-1]) + half * nodes[:, None]).ravel()
    w = (half * weights[:, None]).ravel() * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    def read(u: np.ndarray) -> np.ndarray:
        return function(beta + u) - function(beta - u) if mirrored else function(beta + u)

    u, h = alpha * z, 1e-4
    value = read(u)
    slope = (read(u - 2 * h) - 8 * read(u - h) + 8 * read(u + h) - read(u + 2 * h)) / (12 * h)
    mean = w @ value
    variance = w @ (value - mean) ** 2
    whole = function(beta + u)
    offset = (w @ whole) ** 2 / (w @ (whole - w @ whole) ** 2)
    radial = alpha * (w @ (z * (value - mean) * slope)) / variance
    return alpha**2 * (w @ slope**2) / variance, radial, offset, variance


@pytest.mark.parametrize("name", [*PLAIN, *MIRRORED])
@pytest.mark.parametrize("depth", [20, 120])
def test_the_conditions_hold(name: str, depth: int):
    wanted = 1.5 ** (1 / depth)
    found = shaped(name, wanted)
    slope, radial, offset, variance = conditions(named(name), found.alpha, found.beta, mirrored=found.mirrored)
    # A grid of 241 points places a kink to 0.05 standard deviations: 2 % of the excess over a straight line's slope.
    assert slope - 1 == pytest.approx(found.slope - 1, rel=2e-2, abs=1e-3 * (wanted - 1))
    assert slope - 1 < 1.02 * (wanted - 1)
    assert radial < 1 + 1.02 * (wanted - 1 if found.mirrored else 1e-4)
    assert offset == pytest.approx(found.offset, rel=1e-2, abs=1e-4)
    assert variance == pytest.approx(found.variance, rel=1e-3)
    # Control: what is judged depends on the place.
    beyond = conditions(named(name), 2.0 * found.alpha, found.beta + 0.5, mirrored=found.mirrored)
    assert beyond[2] != pytest.approx(found.offset, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("depth", [40, 120])
def test_which_functions_are_mirrored(depth: int):
    slope = 1.5 ** (1 / depth)
    assert {n for n in (*PLAIN, *MIRRORED) if shaped(n, slope).mirrored} >= set(MIRRORED) - {"selu", "mish"}
    assert not any(shaped(n, slope).mirrored for n in PLAIN)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "softplus", "leaky_relu_0.2"])
def test_in_pairs_these_are_straight_lines(name: str):
    """phi(u) - phi(-u) = c u: any alpha will do, and no bias is needed."""
    found = shaped(name, 1.0001, bias=False)
    assert (found.alpha, found.beta, found.mirrored) == (1.0, 0.0, True)
    assert found.slope == pytest.approx(1.0, abs=1e-6)


def test_the_published_slope_of_a_relu_is_found_again():
    """Martens et al. 2021, their code's tests: in_shift 1, in_scale 0.3685360. A ReLU looks the same at any scale."""
    slope = conditions(named("relu"), 0.3685360046708044, 1.0, mirrored=False)[0]
    found = shaped("relu", slope, mirror=False)
    assert found.alpha / found.beta == pytest.approx(0.3685360046708044, rel=2e-3)


def test_the_offset_is_far_below_the_papers():
    """Their place for a tanh: in_scale 0.0746107, in_shift 0.5566915. The mean there is 8 times the deviation."""
    slope, _, offset, _ = conditions(named("tanh"), 0.07461073057540868, 0.5566915199964182, mirrored=False)
    assert offset > 60
    assert shaped("tanh", slope).offset < 1e-6


def test_without_a_bias_the_mean_stays_at_zero():
    slope = 1.5 ** (1 / 40)
    assert shaped("sigmoid", slope, bias=False).beta == 0.0
    assert shaped("sigmoid", slope).beta != 0.0
    # An even function has no slope at 0: nothing passes.
    bump = shape(lambda x: np.exp(-x * x), slope)
    assert bump is not None
    assert bump.beta != 0.0
    assert shape(lambda x: np.exp(-x * x), slope, bias=False) is None


def overflows(x: np.ndarray) -> np.ndarray:
    return np.exp(np.exp(np.abs(x) * 1e3))


@pytest.mark.parametrize("function", [np.ones_like, overflows, lambda x: np.full_like(x, np.nan), np.sign])
def test_what_has_no_curve_has_no_shape(function: Function):
    assert shape(function, 1.01) is None


def test_a_straight_line_is_used_as_it_is():
    found = shape(lambda x: 2.0 * x, 1.01)
    assert found is not None
    assert found.alpha == 1.0


def powers() -> dict[str, Function]:
    return {
        "relu^2": lambda x: np.maximum(x, 0.0) ** 2,
        "relu^3": lambda x: np.maximum(x, 0.0) ** 3,
        "x^2": np.square,
        "exp": np.exp,
    }


@pytest.mark.parametrize("name", list(powers()))
@pytest.mark.parametrize("depth", [10, 40, 120])
def test_what_grows_faster_than_a_line_is_used_where_it_hardly_bends(name: str, depth: int):
    """Alone, too, without the other one of its pair: the size map's slope to the power of the depth is bounded."""
    function, slope = powers()[name], 1.5 ** (1 / depth)
    found = shape(function, slope)
    assert found is not None
    assert found.mirrored
    excess = conditions(function, found.alpha, found.beta, mirrored=False)[1] - 1.0
    assert 0.0 < excess < 2.1 * (slope - 1.0)
    # Control: twice as far out, it is not.
    assert conditions(function, 2.0 * found.alpha, found.beta, mirrored=False)[1] - 1.0 > 2.1 * (slope - 1.0)
    # Homogeneous functions look alike at every scale: they are put where weights and biases move units alike.
    mean = np.sqrt(found.offset) * np.sqrt(conditions(function, found.alpha, found.beta, mirrored=False)[3])
    assert 1 / 16 < mean < 1 / 4


def test_functions_that_end_as_lines_are_used_as_before():
    """Softplus, GELU and SiLU bend the size map upward at first; it does not run away."""
    for name in ("relu", "gelu", "silu", "softplus", "hardswish"):
        assert shaped(name, 1.5 ** (1 / 120)).alpha == 1.0
