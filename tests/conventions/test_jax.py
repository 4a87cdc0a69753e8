"""`recipe_of(..., convention="jax")` against `jax.nn.initializers`."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from conventions.framework_laws import assert_same_law_and_power

from penstock.conventions import recipe_of
from penstock.geometry import Geometry

# A folder of that name among the tests would pass for the package itself.
pytest.importorskip("jax.numpy")
jax = importlib.import_module("jax")

SHAPES = [(300, 400), (5, 5, 40, 60)]
NAMES = "he_normal he_uniform glorot_normal glorot_uniform lecun_normal lecun_uniform kaiming_normal xavier_uniform"
FACTORIES = [
    *((name, {}) for name in NAMES.split()),
    ("normal", {"stddev": 0.3}),
    ("truncated_normal", {"stddev": 0.3}),
    ("truncated_normal", {"stddev": 0.3, "lower": -1.0, "upper": 3.0}),
    ("uniform", {"scale": 0.7}),
    ("normal", {}),
    ("uniform", {}),
    ("truncated_normal", {}),
    ("orthogonal", {"scale": 0.7}),
    ("variance_scaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "truncated_normal"}),
    ("variance_scaling", {"scale": 2.0, "mode": "fan_out", "distribution": "normal"}),
    ("variance_scaling", {"scale": 2.0, "mode": "fan_geo_avg", "distribution": "uniform"}),
    ("constant", {"value": 0.25}),
]


def geometry_of(shape):
    taps = tuple(range(len(shape) - 2))
    return Geometry(shape, in_axes=(len(shape) - 2,), out_axes=(len(shape) - 1,), window_axes=taps)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "arguments"), FACTORIES)
def test_initializers(name, arguments, shape):
    values = np.asarray(getattr(jax.nn.initializers, name)(**arguments)(jax.random.key(0), shape))
    assert_same_law_and_power(values, recipe_of(name, convention="jax", **arguments), geometry_of(shape))


@pytest.mark.parametrize("name", ["zeros", "ones"])
def test_constants(name):
    values = np.asarray(getattr(jax.nn.initializers, name)(jax.random.key(0), (3, 4)))
    assert_same_law_and_power(values, recipe_of(name, convention="jax"), geometry_of((3, 4)))


def test_delta_orthogonal_has_the_same_zeros_and_an_orthogonal_centre():
    shape = (3, 3, 16, 24)
    theirs = np.asarray(jax.nn.initializers.delta_orthogonal(2.0)(jax.random.key(0), shape))
    ours = recipe_of("delta_orthogonal", convention="jax", scale=2.0).draw(geometry_of(shape), 1)
    np.testing.assert_array_equal(theirs == 0, ours == 0)
    for centre in (theirs[1, 1], ours[1, 1]):
        np.testing.assert_allclose(centre @ centre.T, 4 * np.eye(16), atol=1e-4)
