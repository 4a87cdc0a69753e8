"""How much of a signal lies on the flat ends of the function that it goes through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.graph import ScalarFunction

FLAT = 0.05
"""A function is flat where its slope is below this share of its largest: |tanh| above 0.975, the usual 0.97."""

_PROBE = np.linspace(-40.0, 40.0, 3201)
_FAR = 800  # probes between |x| = 20 and 40
_STEP = 1e-4


def saturated_share(function: ScalarFunction, sample: npt.NDArray[np.float64]) -> float | None:
    """Share of inputs at which a function is flat.

    Only functions that level off at two different heights saturate (tanh, sigmoid, hard tanh); a ReLU's zero half
    is counted as zeros instead.

    Args:
        function: elementwise, float64 in and out.
        sample: values of the function's input; any shape.

    Returns:
        A share in [0, 1], or None where the function does not level off on both sides or the sample is empty.

    Examples:
        >>> saturated_share(np.tanh, np.array([0.0, 0.1, 5.0, -9.0]))
        0.5
        >>> saturated_share(lambda x: np.maximum(x, 0), np.array([1.0])) is None
        True
    """
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return None
    with np.errstate(all="ignore"):
        values = function(_PROBE)
        if values.shape != _PROBE.shape or not np.isfinite(values).all():
            return None
        span = float(values.max() - values.min())
        left, right = np.ptp(values[:_FAR]), np.ptp(values[-_FAR:])
        apart = abs(values[-1] - values[0])
        if span == 0.0 or left > 1e-3 * span or right > 1e-3 * span or apart < 0.5 * span:
            return None
        steepest = float(np.abs(np.diff(values)).max() / (_PROBE[1] - _PROBE[0]))
        slope = np.abs(function(sample + _STEP) - function(sample - _STEP)) / (2 * _STEP)
    return float(np.mean(slope < FLAT * steepest))
