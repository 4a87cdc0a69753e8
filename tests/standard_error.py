"""Assertions about samples whose tolerance follows from the sample's own standard error."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

STANDARD_ERRORS = 5.0
"""A right sample leaves this band once in 1.7 million times."""


def assert_mean(sample: npt.ArrayLike, expected: float) -> None:
    """The mean of independent values is the expected one, within 5 standard errors: std / sqrt(n)."""
    values = _flat(sample)
    tolerance = STANDARD_ERRORS * float(values.std()) / math.sqrt(values.size)
    np.testing.assert_allclose(values.mean(), expected, rtol=0, atol=tolerance, err_msg="mean")


def assert_std(sample: npt.ArrayLike, expected: float) -> None:
    """The standard deviation of independent values is the expected one, within 5 standard errors.

    SE(std) / std = sqrt((kurtosis - 1) / 4n): 1/sqrt(2n) for normal values, 0.63 of that for uniform ones.
    """
    values = _flat(sample)
    centred = values - values.mean()
    variance = float((centred**2).mean())
    kurtosis = float((centred**4).mean()) / variance**2 if variance else 1.0
    tolerance = STANDARD_ERRORS * expected * math.sqrt(max(kurtosis - 1.0, 0.0) / (4 * values.size))
    np.testing.assert_allclose(math.sqrt(variance), expected, rtol=1e-6, atol=tolerance, err_msg="std")


def assert_share(hits: npt.ArrayLike, expected: float) -> None:
    """The share of true values is the expected probability, within 5 standard errors: sqrt(p (1 - p) / n)."""
    values = _flat(hits)
    tolerance = STANDARD_ERRORS * math.sqrt(expected * (1 - expected) / values.size)
    np.testing.assert_allclose(values.mean(), expected, rtol=0, atol=tolerance, err_msg="share")


def _flat(sample: npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = np.asarray(sample, dtype=np.float64).ravel()
    if values.size < 2:
        raise ValueError(f"a sample needs two values or more; got {values.size}")
    return values
