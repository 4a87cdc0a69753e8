"""BoundedNormal: a normal law cut at any two bounds, given as values and not in sigma."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.philox import words_of_elements
from penstock.randomness.transforms import TRUNCATED_CUT, TRUNCATED_STD, U32, normal
from penstock.randomness.windows import checked_window
from penstock.recipes.normal import Normal
from penstock.recipes.recipe import Moments, Recipe, finite
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform_between import float32_at_least

_BLOCK = 2**16
_FEW_WORDS = 2**16
"""With fewer of the 2^32 words between the bounds, steps between neighbouring values show: SciPy's inverse is used."""
_NARROW = 2.0**-10
"""Width in sigma below which the density is exp(-z t) to 1e-7, whose inverse is elementary."""
_REACH = 6.4
"""`normal` gives nothing beyond 6.34 sigma: bounds further out cut nothing."""


@final
@dataclass(frozen=True, slots=True)
class BoundedNormal(Recipe):
    r"""Independent elements from N(mean, sigma^2) on the condition that low <= w <= high.

    Each element maps its 32-bit word, with one integer multiplication, to the range of words whose normal values lie
    between the bounds, and takes `normal` of that: no rejection, no loss of the tails, the same bits everywhere. Where
    the bounds leave less than 2^-16 of the law, float64 and SciPy's inverse distribution function are used, whose last
    bit may differ between SciPy versions.

    Attributes:
        mean: of the normal law before the cut.
        sigma: standard deviation of the normal law before the cut, > 0.
        low: smallest value, in the unit of the values (not of sigma).
        high: largest value, > low.

    Examples:
        >>> BoundedNormal(0.0, 0.02, -0.06, 0.06).describe()
        'bounded_normal(std=0.02 before the cut, -0.06 to 0.06)'

    Source:
        PyTorch's `trunc_normal_` and JAX's `truncated_normal` have this law.
    """

    mean: float
    sigma: float
    low: float
    high: float

    name: ClassVar[str] = "bounded_normal"
    formula: ClassVar[str] = "w ~ N(mean, sigma^2) given low <= w <= high"
    when: ClassVar[str] = "a cut that a code base prescribes, e.g. at 3 sigma; else take truncated_normal"
    source: ClassVar[str] = "convention of PyTorch (absolute bounds) and of JAX (bounds in sigma)"

    def __post_init__(self) -> None:
        for argument in ("mean", "sigma", "low", "high"):
            object.__setattr__(self, argument, finite("BoundedNormal", argument, getattr(self, argument)))
        if self.sigma <= 0.0 or self.low >= self.high:
            raise ArgumentError(
                message(
                    "BoundedNormal: sigma must be positive and low less than high; got "
                    f"sigma={self.sigma:g}, low={self.low:g}, high={self.high:g}.",
                    hint="BoundedNormal(0.0, 0.02, -0.06, 0.06)",
                )
            )

    def moments(self, geometry: Geometry) -> Moments:
        """By Gauss-Legendre quadrature of the density where it is more than e^-40 of its peak."""
        low, high = self._bounds()
        peak = min(max(0.0, low), high)
        low, high = max(low, peak - 9.0), min(high, peak + 9.0)
        nodes, weights = np.polynomial.legendre.leggauss(200)
        z = low + (high - low) * (nodes + 1.0) / 2.0
        density = weights * np.exp((peak - z) * (peak + z) / 2.0)
        density /= density.sum()
        centre = float(density @ z)
        return Moments(self.mean + self.sigma * centre, self.sigma * math.sqrt(float(density @ (z - centre) ** 2)))

    def limit(self, geometry: Geometry) -> float:
        """The end that is farther from 0."""
        return max(abs(self.low), abs(self.high))

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Mean + sigma z with z normal between the bounds; rounding never leaves them."""
        taken = checked_window("BoundedNormal.draw", geometry.shape, window)
        values = np.empty([len(part) for part in taken], dtype=np.float32)
        flat = values.reshape(-1)
        elements = _elements(geometry.shape, taken)
        for begin in range(0, flat.size, _BLOCK):
            block = slice(begin, begin + _BLOCK)
            flat[block] = self._raw(words_of_elements(key, elements[block]))
        values *= np.float32(self.sigma)
        values += np.float32(self.mean)
        return np.clip(values, float32_at_least(self.low), -float32_at_least(-self.high), out=values)

    def scaled(self, factor: float) -> BoundedNormal:
        """All four numbers times the factor, which must be positive."""
        factor = finite("BoundedNormal.scaled", "factor", factor, at_least=0.0)
        return BoundedNormal(factor * self.mean, factor * self.sigma, factor * self.low, factor * self.high)

    def describe(self) -> str:
        """E.g. "bounded_normal(std=0.02 before the cut, -0.06 to 0.06)"."""
        mean = f"mean={self.mean:.4g}, " if self.mean else ""
        return f"bounded_normal({mean}std={self.sigma:.4g} before the cut, {self.low:.4g} to {self.high:.4g})"

    def _bounds(self) -> tuple[float, float]:
        """In standard deviations from the mean."""
        return (self.low - self.mean) / self.sigma, (self.high - self.mean) / self.sigma

    def _raw(self, words: U32) -> npt.NDArray[np.float32]:
        low, high = self._bounds()
        first = math.ceil(_words_below(low) - 0.5)
        count = math.floor(_words_below(high) - 0.5) - first + 1
        if count < _FEW_WORDS:
            return _between(low, high, (words.astype(np.float64) + 0.5) * 2.0**-32).astype(np.float32)
        # Words count up from the lowest value, in the order of `normal`, which reads them as signed integers.
        rank = (words ^ np.uint32(2**31)).astype(np.uint64)
        signed = first + ((rank * np.uint64(count)) >> np.uint64(32)).astype(np.int64)
        return normal(signed.astype(np.int32).view(np.uint32))


def bounded(mean: float, sigma: float, low: float, high: float) -> Recipe:
    """The simplest recipe with this law: a normal one where nothing is cut, a truncated one where +-2 sigma are.

    So the same law has the same bits under every name.

    Examples:
        >>> bounded(0.0, 0.02, -2.0, 2.0).describe()
        'normal(std=0.02)'
        >>> bounded(0.0, 1.0, -2.0, 2.0).name
        'truncated_normal'
    """
    cut = BoundedNormal(mean, sigma, low, high)
    if mean == 0.0 and cut.high == -cut.low == TRUNCATED_CUT * cut.sigma:
        return TruncatedNormal(TRUNCATED_STD * cut.sigma)
    if cut.low <= mean - _REACH * cut.sigma and cut.high >= mean + _REACH * cut.sigma:
        return Normal(cut.sigma, cut.mean)
    return cut


def _words_below(z: float) -> float:
    """How many words, counted from the middle one, have a normal value below z: 2^32 (cdf(z) - 1/2)."""
    return 2.0**31 * math.erf(z / math.sqrt(2.0))


def _between(low: float, high: float, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The normal value between two bounds below which this share of the law lies; accurate in the far tails."""
    if high - low < _NARROW:
        slope = (low + high) / 2
        if abs(slope) * (high - low) < 2.0**-40:
            return low + share * (high - low)
        return low - np.log1p(share * np.expm1(-slope * (high - low))) / slope
    if low > 0.0:
        return -_between(-high, -low, 1.0 - share)
    from scipy.special import log_ndtr, ndtri_exp

    below, above = log_ndtr(low), log_ndtr(high)
    return ndtri_exp(above + np.log(share + (1.0 - share) * np.exp(below - above)))


def _elements(shape: tuple[int, ...], taken: tuple[range, ...]) -> npt.NDArray[np.int64]:
    """Row-major indices, in the whole tensor, of a window's elements."""
    elements = np.zeros(1, dtype=np.int64)
    for part, size in zip(taken, shape, strict=True):
        elements = (elements[:, None] * size + np.arange(part.start, part.stop)).ravel()
    return elements
