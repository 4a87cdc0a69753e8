"""The comparison that every framework's tests make: its own values against the recipe's law, with a control."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from standard_error import assert_mean, assert_std

from penstock.geometry import Geometry
from penstock.recipes import Constant, Recipe

LIMIT = 2.8
"""Largest sqrt(n / 2) times the distance of two samples of n: P = 2 exp(-2 LIMIT^2) = 3e-7 for like laws."""


def assert_same_law(values: npt.ArrayLike, recipe: Recipe, geometry: Geometry) -> None:
    """Mean, spread and distribution of a framework's values are those of the recipe."""
    theirs = np.asarray(values, dtype=np.float64).ravel()
    mean, std = recipe.moments(geometry)
    if std == 0.0:
        np.testing.assert_array_equal(theirs, mean)
        return
    assert_mean(theirs, mean)
    assert_std(theirs, std)
    ours = recipe.draw(geometry, 1).astype(np.float64).ravel()
    rng = np.random.default_rng(0)
    size = min(len(ours), len(theirs))
    distance = stats.ks_2samp(rng.choice(ours, size, replace=False), rng.choice(theirs, size, replace=False)).statistic
    assert distance * (size / 2) ** 0.5 < LIMIT, "distribution"


def assert_same_law_and_power(values: npt.ArrayLike, recipe: Recipe, geometry: Geometry) -> None:
    """As `assert_same_law`, and the same comparison finds a recipe that is a twentieth too large."""
    assert_same_law(values, recipe, geometry)
    control: Any = Constant(0.5) if recipe.moments(geometry).std == 0.0 else recipe.scaled(1.06)
    with pytest.raises(AssertionError):
        assert_same_law(values, control, geometry)
