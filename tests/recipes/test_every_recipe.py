from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes.table import BIAS, DETERMINISTIC, REPEATS, SPECIAL, cases
from recipes.table import RECIPES as ROWS

from penstock.errors import ArgumentError, ShapeError
from penstock.randomness import key_for
from penstock.recipes import RECIPES, Constant, catalogue, recipe_from_dict

CASES = cases()
every_case = pytest.mark.parametrize(("recipe", "geometry"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
ENROLLED = {**ROWS, **{name: recipe for name, (recipe, _) in SPECIAL.items()}}
every_recipe = pytest.mark.parametrize("recipe", ENROLLED.values(), ids=ENROLLED)


@every_case
def test_shape_type_and_determinism(recipe, geometry):
    values = recipe.draw(geometry, 5)
    assert values.shape == geometry.shape
    assert values.dtype == np.float32
    np.testing.assert_array_equal(recipe.draw(geometry, 5), values)


@every_case
def test_another_key_gives_other_values(recipe, geometry):
    same = np.array_equal(recipe.draw(geometry, 5), recipe.draw(geometry, 6))
    assert same is (recipe.name in DETERMINISTIC or 0 in geometry.shape)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(CASES), st.data())
def test_any_window_alone_is_the_slice_of_the_whole(case, data):
    _, recipe, geometry = case
    window = []
    for size in geometry.shape:
        start = data.draw(st.integers(0, size))
        window.append(slice(start, data.draw(st.integers(start, size))))
    part = recipe.draw(geometry, 5, window=tuple(window))
    np.testing.assert_array_equal(part, recipe.draw(geometry, 5)[tuple(window)], strict=True)


def many_draws(recipe, geometry):
    return np.concatenate([recipe.draw(geometry, key_for(key, "w")).ravel() for key in range(30)]).astype(np.float64)


def test_moments_are_those_of_the_values():
    for name, recipe, geometry in CASES:
        if 0 in geometry.shape:
            continue
        values = many_draws(recipe, geometry)
        mean, std = recipe.moments(geometry)
        # Five standard errors of independent values; orthogonal ones vary less, deterministic ones not at all.
        independent = values.size / REPEATS.get(recipe.name, 1)
        error = 0.0 if recipe.name in DETERMINISTIC else 5 * std / np.sqrt(independent)
        np.testing.assert_allclose(values.mean(), mean, rtol=1e-6, atol=error + 1e-9, err_msg=name)
        # The standard error of a standard deviation is larger where few elements make most of it (sparse weights).
        kurtosis = ((values - values.mean()) ** 4).mean() / values.std() ** 4 if values.std() else 1.0
        error *= max(1.0, np.sqrt((kurtosis - 1) / 4))
        np.testing.assert_allclose(values.std(), std, rtol=1e-6, atol=error, err_msg=name)
        np.testing.assert_allclose(recipe.rms(geometry), np.hypot(mean, std), err_msg=name)
        assert recipe.std(geometry) == std
        if std:
            # The control: a standard deviation a fifth too large lies outside.
            assert abs(1.2 * values.std() - std) > error, name


# Where so many values come this close to the end of their law: matrices, logarithms and mixtures do not.
NEAR = (
    "constant",
    "uniform",
    "uniform_between",
    "truncated_normal",
    "bounded_normal",
    "siren",
    "identity",
    "per_block",
)
ENDLESS = ("normal", "spectral", "sparse")
MIXED = ("variance_scaling", "icnr", "zero_rows", "log_of_uniform")
"""Whether their law has an end depends on their fields."""


def test_no_element_is_larger_than_the_limit():
    for name, recipe, geometry in CASES:
        limit, largest = recipe.limit(geometry), np.abs(many_draws(recipe, geometry)).max(initial=0.0)
        # Values are rounded to float32, their factor too.
        assert largest <= limit * (1 + 2.0**-22), name
        if 0 in geometry.shape:
            continue
        if recipe.name not in MIXED:
            assert (limit == np.inf) is (recipe.name in ENDLESS), name
        if recipe.name in NEAR:
            # The control: a limit a twentieth too small is passed.
            assert largest > 0.95 * limit, name


@every_case
def test_scaled_scales_the_values_and_the_moments(recipe, geometry):
    bigger = recipe.scaled(4.0)
    assert type(bigger) is type(recipe)
    np.testing.assert_array_equal(bigger.draw(geometry, 5), 4.0 * recipe.draw(geometry, 5))
    np.testing.assert_allclose(bigger.moments(geometry), 4.0 * np.array(recipe.moments(geometry)), rtol=1e-12)
    np.testing.assert_allclose(bigger.limit(geometry), 4.0 * recipe.limit(geometry), rtol=1e-12)


@every_recipe
def test_json_and_back(recipe):
    text = json.dumps(recipe.to_dict())
    again = recipe_from_dict(json.loads(text))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert json.loads(text)["recipe"] == recipe.name


@every_recipe
def test_describe_is_short(recipe):
    assert 0 < len(recipe.describe()) <= 90


@every_recipe
def test_a_negative_or_infinite_factor_is_an_error(recipe):
    for factor in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ArgumentError, match=r"scaled: factor must be a finite number >= 0; got"):
            recipe.scaled(factor)


def test_every_registered_recipe_has_a_row_and_a_catalogue_entry():
    enrolled = {recipe.name for recipe in ENROLLED.values()}
    entries = catalogue()
    assert enrolled == set(RECIPES) == {entry.name for entry in entries if entry.kind == "recipe"}
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.formula
        assert entry.when
        assert entry.source


def test_numbers_of_numpy_become_plain_ones():
    assert Constant(np.float32(0.5)).to_dict() == {"recipe": "constant", "value": 0.5}
    assert type(Constant(1).value) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None])
def test_parameters_that_are_no_finite_numbers_are_errors(value):
    with pytest.raises(ArgumentError, match="Constant: value must be a finite number; got"):
        Constant(value)


@pytest.mark.parametrize("name", ["normal", "truncated_normal", "uniform", "variance_scaling", "orthogonal"])
def test_negative_spreads_are_errors(name):
    with pytest.raises(ArgumentError, match="must be a finite number >= 0; got -1"):
        RECIPES[name](-1.0)


def test_unknown_names_and_fields_are_errors():
    with pytest.raises(ArgumentError, match=r"unknown recipe 'ortogonal'.\nHint: Did you mean 'orthogonal'"):
        recipe_from_dict({"recipe": "ortogonal", "gain": 1.0})
    with pytest.raises(ArgumentError, match=r"the fields of 'orthogonal' must be \['gain'\]; got \['std'\]"):
        recipe_from_dict({"recipe": "orthogonal", "std": 1.0})


@every_recipe
def test_a_window_that_does_not_fit_is_an_error(recipe):
    geometry = next(g for _, r, g in CASES if r is recipe)
    with pytest.raises(ShapeError, match="window must be one slice for each"):
        recipe.draw(geometry, 0, window=(slice(0, 1),) * 7)


@pytest.mark.parametrize("name", ["orthogonal", "identity", "variance_scaling"])
def test_a_bias_has_no_fans_and_no_matrix(name):
    with pytest.raises(ShapeError, match="needs an input and an output axis"):
        ROWS[name].draw(BIAS, 0)
