from __future__ import annotations

import numpy as np
import pytest
from standard_error import assert_mean, assert_share, assert_std

N = 100_000


def draws(law: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal(N) if law == "normal" else rng.uniform(-1, 1, N) * 3**0.5


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_a_right_sample_passes(law):
    assert_std(draws(law), 1.0)
    assert_mean(draws(law), 0.0)
    assert_share(draws(law) > 0, 0.5)


@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize("factor", [1.05, 0.95])
def test_a_std_off_by_5_percent_fails(law, factor):
    with pytest.raises(AssertionError, match="std"):
        assert_std(draws(law) * factor, 1.0)


@pytest.mark.parametrize("shift", [0.05, -0.05])
def test_a_mean_off_by_a_twentieth_of_the_std_fails(shift):
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(draws("normal") + shift, 0.0)


def test_a_share_off_by_5_percent_fails():
    with pytest.raises(AssertionError, match="share"):
        assert_share(draws("normal") > 0, 0.525)


def test_nan_fails():
    with pytest.raises(AssertionError, match="std"):
        assert_std(np.array([1.0, np.nan, 2.0]), 1.0)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(np.array([1.0, np.nan, 2.0]), 0.0)


def test_constants_have_no_tolerance():
    assert_std(np.ones(10), 0.0)
    with pytest.raises(AssertionError, match="std"):
        assert_std(np.ones(10), 1e-3)


def test_one_value_is_no_sample():
    with pytest.raises(ValueError, match="two values"):
        assert_mean(np.ones(1), 1.0)
