"""The door to random values: any window of a parameter, in blocks. A compiled fill fits behind the same signature."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, closest, message
from penstock.randomness.philox import U32, words_of_elements, words_of_runs
from penstock.randomness.transforms import TRANSFORMS
from penstock.randomness.windows import Window, checked_shape, checked_window

Distribution = Literal["uniform", "normal", "truncated_normal"]

_BLOCK = 2**16
"""Elements made at a time: temporaries of a few hundred KiB (empirical: 2^14 is half as fast, 2^17 no faster)."""
_SHORT_RUN = 16
"""Below this length a run of neighbours is made element by element: its groups of 64 would mostly be thrown away."""


@overload
def fill(
    distribution: Distribution,
    shape: Sequence[int],
    key: int,
    *,
    window: Window | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
) -> npt.NDArray[np.float32]: ...


@overload
def fill(
    distribution: Distribution,
    shape: Sequence[int],
    key: int,
    *,
    window: Window | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
    dtype: npt.DTypeLike,
) -> npt.NDArray[np.floating]: ...


def fill(
    distribution: Distribution,
    shape: Sequence[int],
    key: int,
    *,
    window: Window | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
    dtype: npt.DTypeLike = np.float32,
) -> npt.NDArray[np.floating]:
    """Random values, each a function of the key and of its own row-major index in the whole tensor alone.

    So a window filled alone has the same bits as the same window cut out of the whole, which is never built for it.
    value = shift + scale * raw, in float32, then one rounding to `dtype`.

    Args:
        distribution: raw values: "uniform" on (-1, 1), "normal" with mean 0 and std 1, "truncated_normal" the same cut
            at +-2 (its std is 0.8796). See `penstock.randomness.transforms`.
        shape: the logical shape of the whole tensor, never that of a shard.
        key: 64 bits, from `key_for`.
        window: the part to make, one slice an axis with step 1; None for all.
        scale: multiplies the raw values; rounded to float32 first.
        shift: added after that; rounded to float32 first.
        dtype: a floating-point type. Rounding to 8 or 11 bits can reach an end of the interval, e.g. 1.0.

    Returns:
        An array of the window's shape.

    Raises:
        ShapeError: if the shape or the window does not fit.
        ArgumentError: if the distribution is unknown, the key has more than 64 bits or the type is not floating-point.

    Examples:
        >>> whole = fill("normal", (300, 200), 7)
        >>> part = fill("normal", (300, 200), 7, window=(slice(10, 20), slice(50, 200)))
        >>> np.array_equal(part, whole[10:20, 50:200])
        True
    """
    sizes = checked_shape("fill", shape)
    taken = checked_window("fill", sizes, window)
    transform = TRANSFORMS.get(distribution)
    if transform is None:
        raise ArgumentError(
            message(f"fill: unknown distribution {distribution!r}.", hint=closest(distribution, TRANSFORMS))
        )
    if not 0 <= key < 2**64:
        raise ArgumentError(
            message(f"fill: key must be 64 bits, 0 <= key < 2**64; got {key!r}.", hint="key_for(0, 'layers.0.weight')")
        )
    values = np.empty([len(part) for part in taken], dtype=_floating(dtype))
    flat = values.reshape(-1)
    done = 0
    for words in _blocks(key, sizes, taken):
        block = transform(words)
        if scale != 1.0:
            block *= np.float32(scale)
        if shift != 0.0:
            block += np.float32(shift)
        flat[done : done + block.size] = block.reshape(-1)
        done += block.size
    return values


def _blocks(key: int, sizes: tuple[int, ...], taken: tuple[range, ...]) -> Iterator[U32]:
    """The window's words in row-major order, at most a block at a time."""
    outer, run = _outer_axes_and_run(sizes, taken)
    strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    origin = sum(part.start * stride for part, stride in zip(taken, strides, strict=True))
    counts = tuple(len(part) for part in taken[:outer])
    total = math.prod(counts)
    rows = max(1, _BLOCK // max(run, 1))
    for row in range(0, total if run else 0, rows):
        places = (
            np.unravel_index(np.arange(row, min(row + rows, total)), counts) if counts else (np.zeros(1, np.int64),)
        )
        starts = origin + sum(
            (place.astype(np.int64) * stride for place, stride in zip(places, strides, strict=False)),
            np.zeros(len(places[0]), dtype=np.int64),
        )
        if run < _SHORT_RUN:
            yield words_of_elements(key, (starts[:, None] + np.arange(run)).ravel())
            continue
        # A run longer than a block is the only one in its row of blocks; it is cut where groups of 64 begin.
        for begin in range(0, run, _BLOCK):
            yield words_of_runs(key, starts + begin, min(_BLOCK, run - begin))


def _outer_axes_and_run(sizes: tuple[int, ...], taken: tuple[range, ...]) -> tuple[int, int]:
    """How many leading axes must be stepped through, and how many neighbours in memory each step takes."""
    outer, run = len(sizes), 1
    while outer and run == math.prod(sizes[outer:]):
        outer -= 1
        run *= len(taken[outer])
    return outer, run


def _floating(dtype: npt.DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    # bfloat16 is not NumPy's own: whoever passes it has the package (ml_dtypes) that teaches NumPy the rounding.
    if kind.kind != "f" and kind.name != "bfloat16":
        raise ArgumentError(message(f"fill: dtype must be floating-point; got {kind}.", hint="dtype=np.float32"))
    return kind
