"""The door to random values: any window of a parameter, to memory of any strides, compiled or in blocks by NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, closest, message
from penstock.randomness import compiled
from penstock.randomness.philox import U32, words_of_elements, words_of_runs
from penstock.randomness.transforms import TRANSFORMS, bfloat16_bits
from penstock.randomness.windows import Window, checked_shape, checked_window

Distribution = Literal["uniform", "normal", "truncated_normal"]

_BLOCK = 2**16
"""Elements made at a time: temporaries of a few hundred KiB (empirical: 2^14 is half as fast, 2^17 no faster)."""
_SHORT_RUN = 16
"""Below this length a run of neighbours is made element by element: its groups of 64 would mostly be thrown away."""
_SMALL = 2**16
"""Up to so many elements a whole float32 tensor takes the short way to the compiled code."""
_NO_SHIFT = np.float32(-0.0)


@overload
def fill(
    distribution: Distribution,
    shape: Sequence[int],
    key: int,
    *,
    window: Window | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
    dtype: None = None,
    out: None = None,
    threads: int | None = None,
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
    dtype: npt.DTypeLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]: ...


def fill(
    distribution: Distribution,
    shape: Sequence[int],
    key: int,
    *,
    window: Window | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
    dtype: npt.DTypeLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]:
    """Random values, each a function of the key and of its own row-major index in the whole tensor alone.

    So a window filled alone has the same bits as the same window cut out of the whole, which is never built for it.
    value = shift + scale * raw, in float32, then one rounding to `dtype`. Neither threads nor the memory's strides nor
    whether numba is installed change a bit.

    Args:
        distribution: raw values: "uniform" on (-1, 1), "normal" with mean 0 and std 1, "truncated_normal" the same cut
            at +-2 (its std is 0.8796). See `penstock.randomness.transforms`.
        shape: the logical shape of the whole tensor, never that of a shard.
        key: 64 bits, from `key_for`.
        window: the part to make, one slice an axis with step 1; None for all.
        scale: multiplies the raw values; rounded to float32 first.
        shift: added after that; rounded to float32 first.
        dtype: a floating-point type; by default that of `out`, or float32. Rounding to 8 or 11 bits can reach an end
            of the interval, e.g. 1.0.
        out: memory to write to, of the window's shape and any strides. For dtype "bfloat16" it may be uint16: then
            the 16 bits of each value are written, and nothing that knows bfloat16 need be installed.
        threads: at most so many. By default the environment variable PENSTOCK_NUM_THREADS, else all processors that
            the process may use.

    Returns:
        `out`, or a new array of the window's shape.

    Raises:
        ShapeError: if the shape, the window or `out` does not fit.
        ArgumentError: if the distribution is unknown, the key has more than 64 bits, the type is not floating-point,
            `out` has another type or is read-only, or threads < 1.

    Examples:
        >>> whole = fill("normal", (300, 200), 7)
        >>> part = fill("normal", (300, 200), 7, window=(slice(10, 20), slice(50, 200)))
        >>> np.array_equal(part, whole[10:20, 50:200])
        True
        >>> memory = np.zeros((200, 300), dtype=np.float16)
        >>> fill("normal", (300, 200), 7, out=memory.T) is not memory
        True
        >>> np.array_equal(memory, whole.T.astype(np.float16))
        True
    """
    sizes = checked_shape("fill", shape)
    if distribution not in TRANSFORMS:
        raise ArgumentError(
            message(f"fill: unknown distribution {distribution!r}.", hint=closest(distribution, TRANSFORMS))
        )
    if not 0 <= key < 2**64:
        raise ArgumentError(
            message(f"fill: key must be 64 bits, 0 <= key < 2**64; got {key!r}.", hint="key_for(0, 'layers.0.weight')")
        )
    if threads is not None:
        compiled.allowed_threads(threads)
    factor = np.float32(scale)
    # Adding -0.0 changes no value; 0.0 would change the sign of zeros.
    added = np.float32(shift) if shift != 0.0 else _NO_SHIFT
    compilable = math.isfinite(factor) and math.isfinite(added)
    if window is None and dtype is None and out is None and threads is None:
        out = np.empty(sizes, dtype=np.float32)
        if out.size <= _SMALL and compilable and compiled.fill_flat(distribution, key, out, factor, added):
            return out
    taken = checked_window("fill", sizes, window)
    values, kind = _memory([len(part) for part in taken], dtype, out)
    if compilable and compiled.fill_window(distribution, key, sizes, taken, values, kind, factor, added, threads):
        return values
    # A view where there is one; the iterator writes anywhere, slower.
    flat = values.reshape(-1) if values.flags.c_contiguous else values.flat
    done = 0
    for words in _blocks(key, sizes, taken):
        block = TRANSFORMS[distribution](words)
        block *= factor
        block += added
        rounded = bfloat16_bits(block) if values.dtype == np.uint16 else block
        flat[done : done + block.size] = rounded.reshape(-1)
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


def _memory(
    shape: list[int], dtype: npt.DTypeLike | None, out: npt.NDArray[Any] | None
) -> tuple[npt.NDArray[Any], str]:
    """Where the values go, and the name of their type."""
    if out is None:
        kind = _floating(np.float32 if dtype is None else dtype)
        return np.empty(shape, dtype=kind), kind.name
    if not isinstance(out, np.ndarray) or out.shape != tuple(shape):
        raise ShapeError(
            message(
                f"fill: out must be an array of the window's shape {tuple(shape)}; got {getattr(out, 'shape', out)!r}."
            )
        )
    if not out.flags.writeable:
        raise ArgumentError(message("fill: out must be writeable; got a read-only array."))
    if out.dtype == np.uint16 and str(dtype) == "bfloat16":
        return out, "bfloat16"
    kind = _floating(out.dtype if dtype is None else dtype)
    if kind != out.dtype:
        raise ArgumentError(message(f"fill: out must have dtype {kind}; got {out.dtype}."))
    return out, kind.name


def _floating(dtype: npt.DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    # bfloat16 is not NumPy's own: whoever passes it has the package (ml_dtypes) that teaches NumPy the rounding.
    if kind.kind != "f" and kind.name != "bfloat16":
        raise ArgumentError(message(f"fill: dtype must be floating-point; got {kind}.", hint="dtype=np.float32"))
    return kind
