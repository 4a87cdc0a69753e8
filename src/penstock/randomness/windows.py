"""Windows: boxes of a tensor's logical index space, such as a shard or a slice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from penstock.errors import ShapeError, message

Window = tuple[slice, ...]
"""One slice with step 1 for each axis; `slice(None)` takes the whole axis."""

_LARGEST = 2**63
"""Elements are counted in signed 64-bit integers."""


def checked_shape(function: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as a tuple of plain integers.

    Raises:
        ShapeError: if a size is negative or no integer, or if the elements cannot be counted.
    """
    try:
        sizes = tuple(size.__index__() for size in shape)
    except (AttributeError, TypeError):
        sizes = (-1,)
    if any(size < 0 for size in sizes) or math.prod(sizes) >= _LARGEST:
        raise ShapeError(
            message(
                f"{function}: shape must be a tuple of sizes >= 0 with less than 2**63 elements; got {shape!r}.",
                hint="shape=(256, 128)",
            )
        )
    return sizes


def checked_window(function: str, shape: tuple[int, ...], window: Window | None) -> tuple[range, ...]:
    """The indices that a window takes on each axis; the whole of it for None.

    Raises:
        ShapeError: if there is not one slice an axis, or one has a step or leaves its axis.

    Examples:
        >>> checked_window("fill", (4, 6), (slice(1, 3), slice(None)))
        (range(1, 3), range(0, 6))
    """
    if window is None:
        return tuple(range(size) for size in shape)
    if not isinstance(window, tuple) or len(window) != len(shape):
        raise _misfit(function, shape, window, f"one slice for each of the {len(shape)} axes")
    taken = []
    for part, size in zip(window, shape, strict=True):
        if not isinstance(part, slice) or part.step not in (None, 1):
            raise _misfit(function, shape, window, "slices with step 1")
        start = 0 if part.start is None else part.start
        stop = size if part.stop is None else part.stop
        # Stricter than Python's slices: a shard that reaches past the end is a mistake, not a smaller shard.
        if not 0 <= start <= stop <= size:
            raise _misfit(function, shape, window, "slices with 0 <= start <= stop <= size")
        taken.append(range(start, stop))
    return tuple(taken)


def _misfit(function: str, shape: tuple[int, ...], window: object, requirement: str) -> ShapeError:
    return ShapeError(
        message(
            f"{function}: window must be {requirement}; got {window!r} for shape {shape}.",
            hint=f"window=({', '.join(f'slice(0, {size})' for size in shape)}{',' if len(shape) == 1 else ''})",
        )
    )
