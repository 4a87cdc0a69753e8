"""What a few seeds can tell: intervals, paired tests, ranks, each with its uncertainty."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EXACT_UP_TO = 6
"""With so many seeds all resamples (n^n) are enumerated; with more, `DRAWS` are drawn."""

DRAWS = 10_000
"""Resamples: the 2.5 % point of an interval is then known to 0.16 percentage points."""

LEVEL = 0.95
"""Share of intervals that hold the true value."""

SIGNIFICANT = 0.05
"""A difference is called one if chance alone makes it in fewer than this share of races, after Holm's correction."""

Rows = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A value with the interval that holds the true one with 95 % confidence; both ends equal it with one seed."""

    value: float
    low: float
    high: float


def resamples(seeds: int) -> npt.NDArray[np.int64]:
    """Rows of a bootstrap over seeds, (resamples, seeds): all there are where these are few, else drawn from a seed."""
    if seeds <= EXACT_UP_TO:
        return np.array(list(itertools.product(range(seeds), repeat=seeds)), dtype=np.int64)
    return np.random.Generator(np.random.Philox(0)).integers(seeds, size=(DRAWS, seeds))


def mean_interval(values: Sequence[float]) -> Interval:
    r"""Mean over the seeds with its bootstrap interval, widened for few seeds.

    The percentile interval of n values is too narrow by about sqrt((n - 1) / n) and by the normal quantile in place of
    Student's. Its ends are therefore taken at

    .. math::  \alpha'/2 = \Phi\left(-\sqrt{n / (n - 1)}\; t_{1 - \alpha/2,\, n - 1}\right)

    Args:
        values: one a seed, finite; NaN comes back if there are none.

    Examples:
        >>> mean_interval([1.0, 1.0, 1.0])
        Interval(value=1.0, low=1.0, high=1.0)

    Source:
        Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4.2, expanded percentile interval
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) == 0:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, mean, mean)
    means = sample[resamples(len(sample))].mean(axis=1)
    low, high = np.quantile(means, _ends(len(sample)))
    return Interval(mean, float(low), float(high))


def median_interval(values: Sequence[float]) -> Interval:
    """Median over the seeds with its percentile interval; values may be infinite (a target that was never reached)."""
    sample = np.asarray(values, dtype=np.float64)
    middle = _median(sample)
    if len(sample) < 2:
        return Interval(middle, middle, middle)
    medians = np.sort(_lower_median(sample[resamples(len(sample))]))
    tail = (1.0 - LEVEL) / 2
    low, high = medians[math.floor(tail * (len(medians) - 1))], medians[math.ceil((1 - tail) * (len(medians) - 1))]
    return Interval(middle, float(low), float(high))


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of the paired t-test over seeds: how often chance alone makes a difference at least as large.

    Seeds pair the arms: both had the same data in the same order. A rank test could not fall below 2^(1 - n), which is
    0.0625 for five seeds. NaN with one seed; 1 where nothing differs, 0 where everything differs by the same.

    Source:
        Student 1908
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if len(difference) < 2:
        return math.nan
    spread = float(difference.std(ddof=1))
    mean = float(difference.mean())
    # Rounding leaves a spread of some units in the last place where all differences are the same.
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return 1.0 if mean == 0.0 else 0.0
    from scipy.special import stdtr

    statistic = abs(mean) / (spread / math.sqrt(len(difference)))
    return float(2.0 * stdtr(len(difference) - 1, -statistic))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that one wrong verdict in the whole table is as rare as a single p says.

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Source:
        Holm 1979
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[index] = highest
    return corrected


def paired_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Mean of second - first over the seeds with Student's interval, that of the test: it holds 0 where p > 0.05."""
    difference = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    mean = float(difference.mean())
    if len(difference) < 2:
        return Interval(mean, mean, mean)
    from scipy.special import stdtrit

    reach = float(stdtrit(len(difference) - 1, (1 + LEVEL) / 2) * difference.std(ddof=1) / math.sqrt(len(difference)))
    return Interval(mean, mean - reach, mean + reach)


def rank_range(start: str, beaten: Collection[tuple[str, str]], starts: int) -> tuple[int, int]:
    """The ranks that a start may have: behind those that are significantly better, before those that are worse.

    All pairs are tested together (Holm), so with 95 % confidence every true rank is in its range at once.

    Args:
        start: which.
        beaten: pairs (better, worse) with a significant difference.
        starts: how many there are.

    Examples:
        >>> rank_range("he", [("he", "default")], 3)
        (1, 2)

    Source:
        Mogstad, Romano, Shaikh, Wilhelm 2024, "Inference for Ranks", section 3.2
    """
    return 1 + sum(worse == start for _, worse in beaten), starts - sum(better == start for better, _ in beaten)


def _ends(seeds: int) -> tuple[float, float]:
    from scipy.special import ndtr, stdtrit

    tail = float(ndtr(-math.sqrt(seeds / (seeds - 1)) * stdtrit(seeds - 1, (1 + LEVEL) / 2)))
    return tail, 1.0 - tail


def _median(sample: Rows) -> float:
    return float(_lower_median(sample[None])[0])


def _lower_median(rows: Rows) -> Rows:
    """The lower of the two middle values: no mean with an infinite one."""
    return np.sort(rows, axis=-1)[..., (rows.shape[-1] - 1) // 2]
