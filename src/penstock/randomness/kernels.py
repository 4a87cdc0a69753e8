"""Compiled loops: fills of memory of any strides and type, made of the steps of `steps.py`.

Only `compiled.py` imports this module, when the first fill that is worth it comes: importing it loads numba. Each
function is compiled at its first call for the types of that call and kept on disk.

What keeps it fast and the bits the same: no `fastmath` (a fused or reordered sum rounds differently); the inner steps
written as vectors (`vectors.py`); structures of arrays in buffers that fit the first-level cache; random words held in
64-bit lanes, whose product of two 32-bit halves is one vector instruction; the rare tails of the normal law collected
and made together; functions at the top level, because closures over compiled functions are not found again in the
cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from penstock.randomness.steps import (
    GROUP,
    LANES,
    STEP,
    centre_step,
    far_words,
    group_words,
    lowest_bit,
    number_of_bits,
    tail_step,
    truncated_step,
    uniform_step,
)

UNIFORM, NORMAL, TRUNCATED_NORMAL = 0, 1, 2
FLOAT32, FLOAT64, FLOAT16, BFLOAT16 = 0, 1, 2, 3

_BUFFER = 1024
"""Elements in flight: their words and what the steps need beside them fit the first-level cache."""
_SPARE = GROUP
"""Steps read and write past the end of a buffer's contents, never past this."""
_USUAL = 4
"""Tail values among 64 elements that are noted without a question."""
_HALF = np.float32(0.5)
_BIT = np.uint64(1)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written: compiled once in each process.
        return njit(**options)(function)


@_compiled
def _workspace():
    """Words; values beside the output; the places of tail values and their words."""
    size = _BUFFER + _SPARE
    return np.zeros(size, np.uint32), np.empty(size, np.float32), np.empty(size, np.uint64), np.zeros(size, np.uint32)


@_compiled
def _make_words(key, group, groups, words):
    """The words of `groups` groups of 64 elements from group number `group` on."""
    for g in range(groups):
        group_words(words, g * GROUP, np.uint64(group + g) * np.uint64(LANES), key)


@_compiled
def _steps(law, words, at, count, out, to, scale, shift):
    """Values of `count` words, a multiple of a step's; the normal law's without its tails."""
    if law == UNIFORM:
        for i in range(0, count, STEP):
            uniform_step(words, at + i, out, to + i, scale, shift)
    elif law == NORMAL:
        for i in range(0, count, STEP):
            centre_step(words, at + i, out, to + i, scale, shift)
    else:
        for i in range(0, count, STEP):
            truncated_step(words, at + i, out, to + i, scale, shift)


@_compiled
def _note_tails(flags, first, words, places, chosen, count):
    """Append the places of the words with flags, and these words, to two lists; the lists' new length.

    So many as are usual are written without asking how many there are: a wrong guess costs more than they do.
    """
    after = count + number_of_bits(flags)
    for i in range(np.uint64(_USUAL)):
        place = first + (lowest_bit(flags) & np.uint64(GROUP - 1))
        places[count + i] = place
        chosen[count + i] = words[place]
        flags &= flags - _BIT
    count += np.uint64(_USUAL)
    while flags != np.uint64(0):
        place = first + lowest_bit(flags)
        places[count] = place
        chosen[count] = words[place]
        flags &= flags - _BIT
        count += _BIT
    return after


@_compiled
def _mend_tails(space, at, count, out, to, scale, shift):
    """The normal law's tails: collected, made in steps, and written where they belong."""
    words, beside, places, chosen = space
    noted = np.uint64(0)
    for i in range(at, at + count, GROUP):
        flags = far_words(words, i)
        if at + count - i < GROUP:
            flags &= (_BIT << np.uint64(at + count - i)) - _BIT
        noted = _note_tails(flags, np.uint64(i), words, places, chosen, noted)
    for i in range(0, np.int64(noted), STEP):
        tail_step(chosen, i, beside, i, scale, shift)
    moved = np.uint64(to) - np.uint64(at)
    for i in range(noted):
        out[places[i] + moved] = beside[i]


@_compiled
def _transform(law, space, at, count, out, to, scale, shift):
    """words[at : at + count] to values at out[to : to + count], count <= _BUFFER; as bfloat16 where that is uint16."""
    words, beside = space[0], space[1]
    rest = count % STEP
    whole = count - rest
    _steps(law, words, at, whole, out, to, scale, shift)
    if rest:
        # The output may end there.
        _steps(law, words, at + whole, STEP, beside, 0, scale, shift)
        for i in range(rest):
            out[to + whole + i] = beside[i]
    if law == NORMAL:
        _mend_tails(space, at, count, out, to, scale, shift)


@_compiled
def _bfloat16(values, out):
    """To the nearest bfloat16, ties to even; never called with NaN."""
    for i in range(len(out)):
        bits = np.float32(values[i]).view(np.uint32)
        out[i] = np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@_compiled
def _float16(values, out):
    """To the nearest float16, ties to even; never called with NaN.

    By integers, because LLVM's own conversion fails on processors without that instruction. Below 2^-14 float16 has a
    fixed step of 2^-24, which is also float32's step in 1/2..1: there one addition rounds.
    """
    for i in range(len(out)):
        bits = np.float32(values[i]).view(np.int32)
        size = np.int32(bits & np.int32(0x7FFFFFFF))
        small = np.int32(np.float32(size.view(np.float32) + _HALF).view(np.int32) - np.int32(0x3F000000))
        odd = np.int32(np.int32(size >> np.int32(13)) & np.int32(1))
        large = np.int32(np.int32(np.int32(size - np.int32(0x37FFF001)) + odd) >> np.int32(13))
        is_small = np.int32(np.int32(size - np.int32(0x38800000)) >> np.int32(31))
        is_over = np.int32(np.int32(0x477FFFFF - size) >> np.int32(31))
        half = np.int32((small & is_small) | (large & ~is_small))
        half = np.int32((half & ~is_over) | (np.int32(0x7C00) & is_over))
        out[i] = np.uint16(half | np.int32(np.int32(bits >> np.int32(16)) & np.int32(0x8000)))


@_compiled
def fill_run(law, key, start, out, scale, shift):
    """Elements start, start + 1, ... to a contiguous float32 array."""
    space = _workspace()
    count = len(out)
    done = 0
    while done < count:
        offset = (start + done) % GROUP
        now = min(_BUFFER - offset, count - done)
        _make_words(key, (start + done) // GROUP, (offset + now + GROUP - 1) // GROUP, space[0])
        _transform(law, space, offset, now, out, done, scale, shift)
        done += now


@_compiled
def _store(kind, values, halves, at, step, out32, out64, out16):
    """Round and write with gaps."""
    count = len(values)
    if kind == FLOAT32:
        for i in range(count):
            out32[at + i * step] = values[i]
        return
    if kind == FLOAT64:
        for i in range(count):
            out64[at + i * step] = values[i]
        return
    short = out16[at : at + count] if step == 1 else halves[:count]
    if kind == FLOAT16:
        _float16(values, short)
    else:
        _bfloat16(values, short)
    if step != 1:
        for i in range(count):
            out16[at + i * step] = short[i]


@_compiled
def fill_rows(law, key, kind, axes, rows, columns, places, out32, out64, out16, scale, shift):
    """Rows of neighbouring elements to memory of any strides and type.

    Args:
        law: UNIFORM, NORMAL or TRUNCATED_NORMAL.
        key: 64 bits as uint64.
        kind: FLOAT32, FLOAT64, FLOAT16 or BFLOAT16.
        axes: (n, 3), for each axis but the last its size, and its step in elements of the tensor and of the memory.
        rows: first and last + 1 of all rows that the axes count.
        columns: first and last + 1 of a row's elements.
        places: index in the tensor and place in memory of the first row's element 0, and the step along a row there.
        out32: the memory as a contiguous one-dimensional array if it is float32, else an empty one.
        out64: the same for float64.
        out16: the same for both halves, as uint16.
        scale: multiplies the raw values; float32.
        shift: added after that; float32, -0.0 for none.
    """
    space = _workspace()
    values = np.empty(_BUFFER, np.float32)
    halves = np.empty(_BUFFER + _SPARE, np.uint16)
    short = (space[0], halves, space[2], space[3])
    made, groups = -1, 0
    step = places[2]
    for row in range(rows[0], rows[1]):
        index, place = places[0], places[1]
        rest = row
        for axis in range(len(axes) - 1, -1, -1):
            which = rest % axes[axis, 0]
            rest //= axes[axis, 0]
            index += which * axes[axis, 1]
            place += which * axes[axis, 2]
        done = columns[0]
        while done < columns[1]:
            group, offset = (index + done) // GROUP, (index + done) % GROUP
            now = min(_BUFFER - offset, columns[1] - done)
            needed = (offset + now + GROUP - 1) // GROUP
            # Short rows often lie in the group of the row before.
            if group != made or needed > groups:
                _make_words(key, group, needed, space[0])
                made, groups = group, needed
            at = place + done * step
            if kind == FLOAT32 and step == 1:
                _transform(law, space, offset, now, out32, at, scale, shift)
            elif kind == BFLOAT16 and step == 1:
                _transform(law, short, offset, now, out16, at, scale, shift)
            else:
                _transform(law, space, offset, now, values, 0, scale, shift)
                _store(kind, values[:now], halves, at, step, out32, out64, out16)
            done += now
