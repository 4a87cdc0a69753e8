"""The user's loss: whether it can be called, and what an output that ignores the input would cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ModelError, message

RANDOM_LOSS_SEED = 0
"""The random inner product that stands for no loss is the same in every call, so that two checks give the same."""

CONSTANT_STEPS = 20
"""L-BFGS steps for the best constant guess: these problems are convex and of one row, and settle in about ten."""

CONSTANT_ELEMENTS = 4_000_000
"""Outputs larger than this are not searched for the best constant guess: it would cost more than the check."""

_REMEMBERED = 10
_TRIALS = 25
_SUFFICIENT, _STEEP = 1e-4, 0.9  # Nocedal & Wright 2006, after eq. 3.4 and 3.5
_SETTLED = 1e-7  # a promised decrease below this share of the loss is hardly one in float32

Floats = npt.NDArray[np.float64]
Slope = Callable[[Floats], tuple[float, Floats]]


def check_loss(loss: Any, *, example: str) -> None:
    """See that the loss is none, or can be called; the example is a call that works.

    Raises:
        ArgumentError: otherwise.
    """
    if loss is not None and not callable(loss):
        fact = f"check: loss must be a function of the model's output; got {type(loss).__name__}."
        raise ArgumentError(message(fact, hint=example))


def called(loss: Callable[[Any], Any], output: Any, *, shown: str, example: str) -> Any:
    """The loss of the model's output, which messages describe as `shown`.

    Raises:
        ModelError: if the loss raises, with its own error as the cause.
    """
    try:
        return loss(output)
    except Exception as error:
        fact = f"check: loss must take the model's output; it raised {type(error).__name__}: {error}"
        raise ModelError(message(fact, at=f"output {shown}", hint=example)) from error


def no_scalar(kind: str, shown: str) -> ArgumentError:
    """The error of a loss that returns something else than one number in a tensor or an array."""
    fact = f"check: loss must return a scalar {kind}; got {shown}."
    return ArgumentError(message(fact, hint="reduce it: loss=lambda output: criterion(output, target).mean()"))


def best_constant(shape: Sequence[int], value: Callable[[Floats], float], slope: Slope) -> float | None:
    """The loss of the best output that ignores the input: one number for each output unit, the same for every input.

    That is all zeros, or better where the units are fewer than the inputs: fitted to a batch that is smaller than the
    number of classes, a constant would know the batch's labels by heart.

    Args:
        shape: of the output.
        value: the loss of an output that is spread from an array with axes of one.
        slope: the same, with its gradient.

    Returns:
        The loss; None where the output is too large to search, or the search fails.

    Examples:
        >>> target = np.array([[1.0, 4.0], [3.0, 4.0], [2.0, 4.0], [2.0, 4.0]])
        >>> def squares(x): return float(((x - target) ** 2).sum())
        >>> def slope(x): return squares(x), 2 * (x - target).sum(0, keepdims=True)
        >>> round(best_constant((4, 2), squares, slope), 6)
        2.0
    """
    if not shape or math.prod(shape) > CONSTANT_ELEMENTS:
        return None
    # Units lie on the last axis, or on the second one of images and sequences of channels.
    axes = sorted({len(shape) - 1, 1}) if len(shape) > 1 else []
    fitted = [axis for axis in axes if math.prod(shape) >= shape[axis] ** 2]
    sizes = [[n if a == axis else 1 for a, n in enumerate(shape)] for axis in fitted]
    try:
        values = [_smallest(slope, np.zeros(size)) for size in sizes] or [value(np.zeros([1] * len(shape)))]
    except Exception:  # the user's loss may want more of the output than its tensor
        return None
    found = [value for value in values if math.isfinite(value)]
    return min(found) if found else None


def _smallest(slope: Slope, point: Floats) -> float:
    """The smallest loss that L-BFGS finds from a point; never more than there."""
    value, gradient = slope(point)
    past: list[tuple[Floats, Floats]] = []
    for _ in range(CONSTANT_STEPS):
        direction = -_divided_by_curvature(gradient, past)
        promised = -float(np.vdot(gradient, direction))
        if not promised > _SETTLED * abs(value):
            break
        length, new, new_gradient = _line_search(slope, point, direction, value, promised)
        if not new < value:
            break
        step, change = length * direction, new_gradient - gradient
        if np.vdot(step, change) > 0.0:
            past = [*past, (step, change)][-_REMEMBERED:]
        point, value, gradient = point + step, new, new_gradient
    return value


def _line_search(
    slope: Slope, point: Floats, direction: Floats, value: float, promised: float
) -> tuple[float, float, Floats]:
    """Length of a step that is neither too long nor too short, Lewis & Overton 2013, algorithm 2.6: kinks are allowed.

    Absolute errors have no curvature: the step grows until the slope does.
    """
    low, high, length = 0.0, math.inf, 1.0
    new, gradient = slope(point + direction)
    for _ in range(_TRIALS):
        if not new <= value - _SUFFICIENT * length * promised:
            high = length
        elif float(np.vdot(gradient, direction)) < -_STEEP * promised:
            low = length
        else:
            break
        length = (low + high) / 2 if high < math.inf else 2 * low
        new, gradient = slope(point + length * direction)
        if length * promised <= _SETTLED * abs(value):
            break
    return length, new, gradient


def _divided_by_curvature(gradient: Floats, past: list[tuple[Floats, Floats]]) -> Floats:
    """The two loops of L-BFGS, Nocedal & Wright 2006, algorithm 7.4: the gradient by the inverse Hessian's estimate."""
    result, shares = gradient, []
    for step, change in reversed(past):
        shares.append(float(np.vdot(step, result) / np.vdot(step, change)))
        result = result - shares[-1] * change
    if past:
        step, change = past[-1]
        result = result * float(np.vdot(step, change) / np.vdot(change, change))
    for (step, change), share in zip(past, reversed(shares), strict=True):
        result = result + (share - float(np.vdot(change, result) / np.vdot(step, change))) * step
    return result
