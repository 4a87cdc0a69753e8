"""Assertions that a sample has a given law, with a tolerance that a right sample leaves once in 3 million times."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

LIMIT = 2.8
"""Largest sqrt(n) times the Kolmogorov-Smirnov distance: P = 2 exp(-2 LIMIT^2) = 3e-7 for a right sample."""


def assert_law(sample: npt.ArrayLike, law: Any) -> None:
    """The sample's distribution function is that of a frozen SciPy distribution."""
    values = np.asarray(sample, dtype=np.float64).ravel()
    distance = float(stats.kstest(values, law.cdf).statistic)
    assert math.sqrt(values.size) * distance < LIMIT, f"sqrt(n) D = {math.sqrt(values.size) * distance:.2f}"


def assert_law_and_power(sample: npt.ArrayLike, law: Any, *, error: float = 0.06) -> None:
    """As `assert_law`, and the same test finds a sample that is scaled by 1 + error."""
    values = np.asarray(sample, dtype=np.float64).ravel()
    assert_law(values, law)
    with pytest.raises(AssertionError, match="sqrt"):
        assert_law((1.0 + error) * values, law)


def normal(std: float, mean: float = 0.0) -> Any:
    return stats.norm(mean, std)


def uniform(low: float, high: float) -> Any:
    return stats.uniform(low, high - low)


def truncated(mean: float, std: float, low: float, high: float) -> Any:
    return stats.truncnorm((low - mean) / std, (high - mean) / std, loc=mean, scale=std)
