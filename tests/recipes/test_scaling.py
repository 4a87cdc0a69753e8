from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standard_error import assert_std

from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.recipes import (
    VarianceScaling,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)

DISTRIBUTIONS = ["normal", "truncated_normal", "uniform"]


def linear(fan_in: int, fan_out: int) -> Geometry:
    return Geometry((fan_out, fan_in), in_axes=(1,), out_axes=(0,))


@settings(deadline=None)
@given(st.integers(1, 4096), st.integers(1, 4096), st.just(0.0) | st.floats(1e-6, 10), st.sampled_from(DISTRIBUTIONS))
def test_std_times_the_root_of_the_fan_is_the_gain(fan_in, fan_out, gain, distribution):
    geometry = linear(fan_in, fan_out)
    fans = {
        "fan_in": fan_in,
        "fan_out": fan_out,
        "fan_avg": (fan_in + fan_out) / 2,
        "fan_geo": math.sqrt(fan_in * fan_out),
    }
    for mode, fan in fans.items():
        std = VarianceScaling(gain, mode, distribution).std(geometry)
        np.testing.assert_allclose(std * math.sqrt(fan), gain, rtol=1e-12)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_all_distributions_have_the_same_std(distribution):
    values = VarianceScaling(1.0, "fan_in", distribution).draw(linear(256, 400), 3)
    assert_std(values, 1 / 16)
    # The control: the truncated law without its correction.
    with pytest.raises(AssertionError, match="std"):
        assert_std(values * np.float32(0.8796), 1 / 16)


@pytest.mark.parametrize(
    ("recipe", "variance"),
    [
        (he_normal(), 2 / 300),
        (he_normal(negative_slope=0.2), 2 / 1.04 / 300),
        (he_uniform(mode="fan_out"), 2 / 200),
        (glorot_normal(), 2 / 500),
        (glorot_uniform(gain=3.0), 9 * 2 / 500),
        (lecun_normal(), 1 / 300),
        (lecun_uniform(), 1 / 300),
    ],
)
def test_the_named_rules(recipe, variance):
    np.testing.assert_allclose(recipe.std(linear(300, 200)) ** 2, variance, rtol=1e-12)


def test_uniform_bounds_are_the_published_ones():
    values = glorot_uniform().draw(linear(300, 200), 1)
    bound = math.sqrt(6 / 500)
    assert bound * 0.999 < np.abs(values).max() < bound


def test_fans_come_from_the_geometry():
    depthwise = Geometry((64, 1, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=64)
    np.testing.assert_allclose(VarianceScaling(1.0, "fan_out").std(depthwise), 1 / 3)
    stacked = Geometry((8, 32, 100), in_axes=(2,), out_axes=(1,), batch_axes=(0,))
    np.testing.assert_allclose(VarianceScaling(1.0).std(stacked), 0.1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1.0, "fanin"), "mode must be one of the known ones; got 'fanin'.\nHint: Did you mean 'fan_in'"),
        ((1.0, "fan_in", "gaussian"), "distribution must be one of the known ones; got 'gaussian'"),
    ],
)
def test_unknown_choices_are_errors(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        VarianceScaling(*arguments)
