"""Laws given by bounds, orthogonal matrices without the factor for widening layers, and complex weights."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_law, truncated, uniform
from scipy import stats
from standard_error import assert_mean, assert_std

from penstock.errors import ArgumentError, UnsupportedError
from penstock.geometry import Geometry
from penstock.recipes import Blocks, Normal, Orthogonal, PerBlock, TruncatedNormal, Uniform
from penstock.recipes.bounded_normal import BoundedNormal, bounded
from penstock.recipes.complex_values import draw_complex
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.uniform_between import UniformBetween

LINE = Geometry((200_000,))
MATRIX = Geometry((48, 32), in_axes=(1,), out_axes=(0,))
CUTS = [(-3, 3), (-1, 2), (0, 9), (1.5, 1.6), (-2.0001, 2.0001), (4, 20), (-40, -5), (3.0, 3.0001), (-1e-5, 1e-5)]
RECIPES = [UniformBetween(0.5, 2.0), BoundedNormal(0.1, 0.5, -0.6, 0.9), BoundedNormal(0, 1, 6, 9), SemiOrthogonal(1.5)]


@pytest.mark.parametrize(("low", "high"), CUTS)
def test_law_of_every_cut(low, high):
    values = BoundedNormal(0.0, 1.0, low, high).draw(LINE, 1).astype(np.float64)
    assert low <= values.min()
    assert values.max() <= high
    assert_law(values, truncated(0.0, 1.0, low, high))
    with pytest.raises(AssertionError, match="sqrt"):
        assert_law(values + 0.03 * values.std(), truncated(0.0, 1.0, low, high))


@pytest.mark.parametrize(("low", "high"), CUTS)
def test_moments_of_every_cut(low, high):
    mean, std = BoundedNormal(0.3, 2.0, 0.3 + 2 * low, 0.3 + 2 * high).moments(LINE)
    expected = stats.truncnorm(low, high)
    if high - low > 1e-3:
        np.testing.assert_allclose([mean, std], [0.3 + 2 * expected.mean(), 2 * expected.std()], rtol=1e-7, atol=1e-9)
    else:  # SciPy's own moments have lost their digits here; such a narrow law is uniform.
        np.testing.assert_allclose([mean, std], [0.3 + low + high, 2 * (high - low) / 12**0.5], rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.describe())
def test_moments_are_those_of_the_values_and_scale(recipe):
    values = np.concatenate([recipe.draw(MATRIX, key).ravel() for key in range(40)])
    mean, std = recipe.moments(MATRIX)
    assert_mean(values, mean)
    assert_std(values, std)
    with pytest.raises(AssertionError, match="std"):
        assert_std(values, 1.1 * std)
    np.testing.assert_array_equal(recipe.scaled(4.0).draw(MATRIX, 1), 4 * recipe.draw(MATRIX, 1))
    np.testing.assert_allclose(recipe.scaled(4.0).moments(MATRIX), 4 * np.array([mean, std]))
    json.dumps(recipe.to_dict())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.describe())
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_windows(recipe, data):
    window = []
    for size in MATRIX.shape:
        start = data.draw(st.integers(0, size))
        window.append(slice(start, data.draw(st.integers(start, size))))
    part = recipe.draw(MATRIX, 5, window=tuple(window))
    np.testing.assert_array_equal(part, recipe.draw(MATRIX, 5)[tuple(window)], strict=True)


def test_the_same_law_has_the_same_bits_under_every_name():
    assert bounded(0.0, 0.5, -1.0, 1.0).name == "truncated_normal"
    assert bounded(0.1, 0.5, -4.0, 4.0) == Normal(0.5, 0.1)
    assert bounded(0.0, 0.5, -1.5, 1.5) == BoundedNormal(0.0, 0.5, -1.5, 1.5)
    np.testing.assert_array_equal(UniformBetween(-0.3, 0.3).draw(LINE, 1), Uniform(0.3).draw(LINE, 1))
    # A cut that takes nothing and one at +-2 give the fast recipes' values up to float32's rounding.
    wide = BoundedNormal(0.0, 1.0, -30.0, 30.0).draw(LINE, 1)
    np.testing.assert_allclose(wide, Normal(1.0).draw(LINE, 1), rtol=1e-6)
    cut = BoundedNormal(0.0, 1.0, -2.0, 2.0).draw(LINE, 1)
    np.testing.assert_allclose(cut, TruncatedNormal(0.8796256610342398).draw(LINE, 1), rtol=3e-6, atol=3e-9)


def test_uniform_stays_inside_its_ends():
    for low, high in ((0.0, 1.0), (1.0, 1.0 + 2.0**-22), (0.1, 0.3), (-7.0, -1.0), (2.0, 2.0)):
        values = UniformBetween(low, high).draw(LINE, 2).astype(np.float64)
        assert low <= values.min()
        assert values.max() < high or low == high
    assert_law(UniformBetween(0.1, 0.3).draw(LINE, 2), uniform(0.1, 0.3))


@pytest.mark.parametrize("shape", [(48, 32), (32, 48), (8, 3, 5), (1, 7)])
def test_semi_orthogonal_is_orthogonal_without_the_factor(shape):
    geometry = Geometry(shape, (1,), (0,), window_axes=tuple(range(2, len(shape))))
    weight = SemiOrthogonal(2.0).draw(geometry, 1).reshape(shape[0], -1).astype(np.float64)
    small = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=4e-6)
    factor = max(1.0, math.sqrt(weight.shape[0] / weight.shape[1]))
    scaled = Orthogonal(2.0).draw(geometry, 1).reshape(weight.shape)
    np.testing.assert_allclose(scaled, factor * weight, rtol=1e-5, atol=1e-7)


def test_semi_orthogonal_blocks_are_drawn_alone():
    geometry = Geometry((24, 16), (1,), (0,), blocks=(16, 8))
    weight = SemiOrthogonal(1.0).draw(geometry, 1).astype(np.float64)
    np.testing.assert_allclose(weight[:16] @ weight[:16].T, np.eye(16), atol=2e-6)
    np.testing.assert_allclose(weight[16:] @ weight[16:].T, np.eye(8), atol=2e-6)
    np.testing.assert_allclose(SemiOrthogonal(1.0).std(geometry), 0.25)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: UniformBetween(1.0, 0.0), "high must be at least low"),
        (lambda: UniformBetween(math.nan, 0.0), "low must be a finite number"),
        (lambda: BoundedNormal(0.0, 0.0, -1.0, 1.0), "sigma must be positive"),
        (lambda: BoundedNormal(0.0, 1.0, 1.0, 1.0), "low less than high"),
        (lambda: SemiOrthogonal(-1.0), "gain must be a finite number >= 0; got -1"),
    ],
)
def test_bad_parameters(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.parametrize("recipe", [Normal(1.0, 0.5), TruncatedNormal(1.0), Uniform(3**0.5)])
def test_complex_values_have_the_recipe_s_power_and_are_circular(recipe):
    values = draw_complex(recipe, LINE, 1)
    mean = recipe.moments(LINE).mean
    assert_mean(np.abs(values - mean) ** 2, 1.0)
    assert_mean((values - mean).real * values.imag, 0.0)
    assert_mean(values.real, mean)
    part = draw_complex(recipe, LINE, 1, window=(slice(5, 50),))
    np.testing.assert_array_equal(part, values[5:50])
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(1.03 * np.abs(values - mean) ** 2, 1.0)


def test_what_has_no_complex_law_is_an_error():
    with pytest.raises(UnsupportedError, match="has no law for complex weights"):
        draw_complex(PerBlock((0.0, 1.0), (3, 3)), Geometry((6,)), 0)
    with pytest.raises(UnsupportedError, match="fused blocks have no unitary law"):
        draw_complex(Orthogonal(), Geometry((6, 3), (1,), (0,), blocks=(3, 3)), 0)
    with pytest.raises(UnsupportedError, match="has no law for complex weights"):
        draw_complex(Blocks((Normal(1.0),)), Geometry((3, 3), (1,), (0,), blocks=(3,)), 0)
