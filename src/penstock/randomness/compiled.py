"""Compiled fills: when they are used, how a window lies in memory, and how threads share it.

Numba takes a moment to load, so the first small fills are made by NumPy, to the same bits; once they have taken about
as long as loading would, or a large fill comes, the kernels are loaded for good. Where numba is absent or fails, NumPy
does all.
"""

from __future__ import annotations

import importlib
import itertools
import math
import os
import threading
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.randomness.philox import words
from penstock.randomness.transforms import TRANSFORMS

_LAWS = {"uniform": 0, "normal": 1, "truncated_normal": 2}
_KINDS = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
_FLOAT32_SIZE, _FLOAT64_SIZE = 4, 8

_LOADING = 2**24
"""What loading the kernels costs, as so many elements made by NumPy (empirical: 0.5 s, 30 ns an element)."""
_CALL = 2**12
"""What one call of the NumPy path costs whatever its size, in the same unit (empirical: 0.12 ms)."""
_CHUNK = 2**18
"""Elements that a thread takes at a time: 0.2 to 0.5 ms of work."""
_TILE = 256
"""Elements of a row at a time where neighbours lie apart, so that the next rows find their cache lines still there."""
_TRIED = 2**12
"""Elements of each law that are compared with NumPy's before the compiled code is relied on: 0.3 ms."""
_ALONE = 2**19
"""Up to so many elements one thread is enough: starting another costs 0.1 ms."""

THREADS_VARIABLE = "PENSTOCK_NUM_THREADS"


class _Loader:
    """The module of kernels once it is loaded, and how much NumPy has done without it."""

    def __init__(self) -> None:
        self.kernels: Any = None
        self.broken = False
        self._spent = 0
        self._lock = threading.Lock()

    def get(self, size: int) -> Any:
        """The kernels if they are loaded or it is time to; None if NumPy is to make these `size` elements."""
        if self.kernels is not None or self.broken:
            return self.kernels
        self._spent += size + _CALL
        return self.load() if self._spent >= _LOADING else None

    def load(self) -> Any:
        """Import and compile, or read from the cache on disk; None where that fails."""
        with self._lock:
            if self.kernels is None and not self.broken:
                try:
                    from penstock.randomness import kernels

                    try:
                        _try_out(kernels)
                    except ArithmeticError:
                        kernels = _compiled_anew(kernels)
                        _try_out(kernels)
                    self.kernels = kernels
                except Exception:  # numba's own errors are of many kinds, and the NumPy path needs none of it
                    self.broken = True
        return self.kernels


LOADER = _Loader()


def _try_out(kernels: Any) -> None:
    """Every entry once, so that whatever cannot be compiled or cached here is known before it is relied on.

    And held to NumPy's bits: a compiler that fuses a product and a sum, or code in the cache made from other constants,
    must not give other weights.
    """
    some, scale = np.empty(_TRIED, np.float32), (np.float32(1.0), np.float32(0.0))
    for law, number in _LAWS.items():
        kernels.fill_run(number, np.uint64(1), 0, some, *scale)
        if not np.array_equal(some, TRANSFORMS[law](words(1, 0, _TRIED))):
            raise ArithmeticError(f"fill: the compiled {law} law differs from NumPy's on this machine.")
    layout = _Layout(np.empty((0, 3), np.int64), 1, 1, 0, 0, 1, some)
    _fill_rows(kernels, layout, 0, np.uint64(0), 0, scale, (0, 1), (0, 1))


def _compiled_anew(kernels: Any) -> Any:
    """The kernels without what the cache on disk has: numba knows it by one file, not by those that file imports."""
    for function in vars(kernels).values():
        if hasattr(function, "_cache"):
            function._cache.flush()
    return importlib.reload(kernels)


def fill_flat(law: str, key: int, out: npt.NDArray[Any], scale: np.float32, shift: np.float32) -> bool:
    """Fill a small contiguous float32 array with a whole tensor: the short way for small ones.

    Returns:
        Whether it was done; if not, the NumPy path has to.
    """
    kernels = LOADER.get(out.size)
    if kernels is None:
        return False
    kernels.fill_run(_LAWS[law], np.uint64(key), 0, out.reshape(-1), scale, shift)
    return True


def fill_window(
    law: str,
    key: int,
    sizes: tuple[int, ...],
    taken: tuple[range, ...],
    out: npt.NDArray[Any],
    kind: str,
    scale: np.float32,
    shift: np.float32,
    threads: int | None,
) -> bool:
    """Fill an array of any strides with a window of a tensor.

    Args:
        law: name of the distribution.
        key: 64 bits.
        sizes: shape of the whole tensor.
        taken: the window's indices on each axis.
        out: the memory, of the window's shape; uint16 for bfloat16.
        kind: "float32", "float64", "float16" or "bfloat16".
        scale: multiplies the raw values.
        shift: added after that; -0.0 for none.
        threads: at most so many; None for as many as the process may use.

    Returns:
        Whether it was done; if not, the NumPy path has to.
    """
    if kind not in _KINDS or out.size == 0 or not out.dtype.isnative or not out.flags.aligned:
        return False
    if any(stride % out.itemsize for stride in out.strides) or (kind == "bfloat16" and out.itemsize != 2):
        return False
    kernels = LOADER.get(out.size)
    if kernels is None:
        return False
    layout = _layout(sizes, taken, out)
    work = (kernels, layout, _LAWS[law], np.uint64(key), _KINDS[kind], (scale, shift))
    rows, columns = _cut(layout)
    across = -(-layout.run // columns)
    tasks = -(-layout.rows // rows) * across
    numbers = itertools.count()

    def take() -> None:
        for task in iter(numbers.__next__, None):
            if task >= tasks:
                return
            row, column = (task // across) * rows, (task % across) * columns
            _fill_rows(*work, (row, min(row + rows, layout.rows)), (column, min(column + columns, layout.run)))

    others = min(allowed_threads(threads), tasks) - 1 if out.size > _ALONE else 0
    _together(take, others)
    return True


def allowed_threads(threads: int | None = None) -> int:
    """How many threads a fill may use: the argument, else the environment, else the processors of this process.

    Raises:
        ArgumentError: if a number is given that is no integer >= 1.
    """
    given = threads if threads is not None else os.environ.get(THREADS_VARIABLE)
    if given is None or given == "":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        number = int(given)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        name = "threads" if threads is not None else f"environment variable {THREADS_VARIABLE}"
        raise ArgumentError(message(f"fill: {name} must be an integer >= 1; got {given!r}."))
    return number


class _Layout(NamedTuple):
    """A window as rows of neighbouring elements: steps in elements of the whole tensor and of the memory."""

    axes: npt.NDArray[np.int64]
    rows: int
    run: int
    origin: int
    place: int
    step: int
    memory: npt.NDArray[Any]


def _layout(sizes: tuple[int, ...], taken: tuple[range, ...], out: npt.NDArray[Any]) -> _Layout:
    steps = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    origin = sum(part.start * step for part, step in zip(taken, steps, strict=True))
    strides = [stride // out.itemsize for stride in out.strides]
    merged: list[tuple[int, int, int]] = []
    for count, step, stride in zip(out.shape, steps, strides, strict=True):
        if count == 1:
            continue
        if merged and merged[-1][1:] == (count * step, count * stride):
            merged[-1] = (merged[-1][0] * count, step, stride)
        else:
            merged.append((count, step, stride))
    run, step = 1, 1
    if merged and merged[-1][1] == 1:
        run, _, step = merged.pop()
    # Negative strides: the memory begins before the first element.
    every = [*merged, (run, 1, step)]
    before = -sum(min(0, (count - 1) * stride) for count, _, stride in every)
    span = 1 + sum(abs((count - 1) * stride) for count, _, stride in every)
    # At least one axis: indexing an array without any gives a copy.
    first = np.atleast_1d(out)[tuple(slice(-1, None) if stride < 0 else slice(0, 1) for stride in strides)]
    memory = np.lib.stride_tricks.as_strided(first, (span,), (out.itemsize,))
    axes = np.array(merged, dtype=np.int64).reshape(-1, 3)
    return _Layout(axes, math.prod(count for count, _, _ in merged), run, origin, before, step, memory)


def _cut(layout: _Layout) -> tuple[int, int]:
    """Rows and columns of one task."""
    columns = min(layout.run, _CHUNK)
    if layout.step != 1 and layout.rows > 1:
        columns = min(columns, _TILE)
    return max(1, _CHUNK // columns), columns


_NOTHING = {dtype: np.empty(0, dtype) for dtype in (np.float32, np.float64, np.uint16)}


def _fill_rows(
    kernels: Any,
    layout: _Layout,
    law: int,
    key: np.uint64,
    kind: int,
    scale_shift: tuple[np.float32, np.float32],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> None:
    size = layout.memory.itemsize
    kernels.fill_rows(
        law,
        key,
        kind,
        layout.axes,
        rows,
        columns,
        (layout.origin, layout.place, layout.step),
        layout.memory if size == _FLOAT32_SIZE else _NOTHING[np.float32],
        layout.memory if size == _FLOAT64_SIZE else _NOTHING[np.float64],
        layout.memory.view(np.uint16) if size < _FLOAT32_SIZE else _NOTHING[np.uint16],
        *scale_shift,
    )


def _together(take: Any, others: int) -> None:
    """Run `take` here and on so many other threads; threads that live for one fill survive forks and shutdowns."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            take()
        except BaseException as error:
            errors.append(error)

    started = [threading.Thread(target=run, name="penstock-fill") for _ in range(others)]
    for thread in started:
        thread.start()
    run()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]
