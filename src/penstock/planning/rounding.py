"""Measured numbers enter a plan with few digits, so that one architecture gets one plan in every framework.

Two frameworks sum the same products in another order: what they measured agreed to 1e-7 on average, and to 3e-7 in the
worst of 78 factors. A start needs no more than the third digit (a layer's output scatters by more from draw to draw).
After rounding two plans differ only where a number lies that close to the middle between two neighbours. With three
digits this is one factor in some 25 000; with four it would be ten times as many.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

DIGITS = 3
"""Digits of what is measured on data: a gain, a factor. The layer behind is measured after it, so nothing adds up."""

DIGITS_OF_FUNCTIONS = 6
"""Digits of a function's moments, which do not depend on data: frameworks' own versions agree to about 1e-8."""

STEP = 0.01
"""Calibrated biases are multiples of this share of the layer's RMS, taken down to a power of ten."""


def rounded(value: float, digits: int = DIGITS) -> float:
    """The nearest number with so many digits.

    Examples:
        >>> rounded(1.02763476), rounded(0.39429449, 6), rounded(0.0)
        (1.03, 0.394294, 0.0)
    """
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value


R = TypeVar("R")


def rounded_fields(record: R, digits: int) -> R:
    """A dataclass with every float in it rounded.

    Examples:
        >>> from penstock.moments import Moments
        >>> rounded_fields(Moments(0.0, 0.39429449, 1.0, 1.0, 1.0, 1.0), 6).second
        0.394294
    """
    fields = dataclasses.fields(cast("Any", record))
    floats = {f.name: value for f in fields if isinstance(value := getattr(record, f.name), float)}
    return cast("R", dataclasses.replace(cast("Any", record), **{n: rounded(v, digits) for n, v in floats.items()}))


def rounded_each(values: npt.ArrayLike, digits: int = DIGITS) -> npt.NDArray[np.float64]:
    """The same for every element.

    Examples:
        >>> rounded_each([1.02763476, 98.76]).tolist()
        [1.03, 98.8]
    """
    flat = np.asarray(values, np.float64)
    return np.array([rounded(float(value), digits) for value in flat.reshape(-1)]).reshape(flat.shape)


def step_of(rms: float) -> float:
    """The step of the biases that centre units of this RMS.

    Examples:
        >>> step_of(1.0), step_of(0.3)
        (0.01, 0.001)
    """
    return 10.0 ** math.floor(math.log10(STEP * rms) + 1e-9)


def rounded_to(values: npt.ArrayLike, step: float) -> npt.NDArray[np.float64]:
    """The nearest multiples of a step.

    Examples:
        >>> rounded_to([0.1234, -0.0049], 0.01).tolist()
        [0.12, 0.0]
    """
    return np.round(np.asarray(values, np.float64) / step) * step + 0.0


def rounded_within(xp: Any, values: Any, digits: int = DIGITS) -> Any:
    """Positive numbers rounded by a framework's own operations, inside a compiled program.

    Args:
        xp: `jax.numpy`, or another module with NumPy's names.
        values: finite, above 0.
        digits: as above.

    Examples:
        >>> float(rounded_within(np, np.float64(1.02763476)))
        1.03
    """
    unit = 10.0 ** (xp.floor(xp.log10(values)) - (digits - 1))
    return xp.round(values / unit) * unit
