"""Compiled loops: Philox words and the transforms of `transforms.py`, operation for operation, written to memory.

Only `compiled.py` imports this module, when the first fill that is worth it comes: importing it loads numba. Each
function is compiled at its first call for the types of that call and kept on disk.

What the code keeps to, so that LLVM makes vector instructions of it and the bits stay: no `fastmath` (a fused or
reordered sum rounds differently); no conditional inside the inner loops; structures of arrays in buffers that fit the
first-level cache; random words held in 64-bit integers, whose product of two 32-bit halves is one vector instruction;
functions at the top level, because closures over compiled functions are not found again in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from penstock.randomness import philox, transforms

UNIFORM, NORMAL, TRUNCATED_NORMAL = 0, 1, 2
FLOAT32, FLOAT64, FLOAT16, BFLOAT16 = 0, 1, 2, 3

_MASK = np.uint64(0xFFFFFFFF)
_UP = np.uint64(32)
_M0, _M1 = (np.uint64(multiplier) for multiplier in philox._MULTIPLIERS)
_W0, _W1 = (np.uint64(increment) for increment in philox._WEYL)
_BUFFER = 1024
"""Elements in flight: words, values and two intermediate results, 16 KiB."""
_GROUP = philox.GROUP
_LANES = philox._LANES

_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_MIDDLE = np.float32(1.5)
_TWO_M23 = np.float32(2.0**-23)
_TWO_M31 = np.float32(2.0**-31)
_TWO_32 = np.float32(2.0**32)
# Where q is at most 2^62, a quarter of 2^64.
_QUARTER = transforms._EXPONENT_OF_QUARTER + np.float32(64)
_SIGN = np.int32(-(2**31))
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = (np.float32(c) for c in transforms._LOG)
_N0, _N1, _N2, _N3, _N4, _N5 = (np.float32(c) for c in transforms._NORMAL_NUMERATOR)
_D0, _D1, _D2, _D3, _D4, _D5 = (np.float32(c) for c in transforms._NORMAL_DENOMINATOR)
_T0, _T1, _T2, _T3, _T4 = (np.float32(c) for c in transforms._TRUNCATED_NUMERATOR)
_U0, _U1, _U2, _U3, _U4 = (np.float32(c) for c in transforms._TRUNCATED_DENOMINATOR)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written: compiled once in each process.
        return njit(**options)(function)


@_compiled
def _round(a, b, c, d, low, high):
    """One Philox round; only the low 32 bits of each number mean anything."""
    left = (a & _MASK) * _M0
    right = (c & _MASK) * _M1
    return (right >> _UP) ^ b ^ low, right, (left >> _UP) ^ d ^ high, left


@_compiled
def _make_words(key, group, groups, words):
    """The words of `groups` groups of 64 elements from group number `group` on."""
    k0 = key & _MASK
    k1 = key >> _UP
    for g in range(groups):
        counter = np.uint64(group + g) * np.uint64(_LANES)
        # Sixteen counters from a multiple of 16 share their high half. Half of the first two rounds is the same for
        # all of them, because two of the four counter words are 0.
        first = (counter >> _UP) ^ k0
        second = (first & _MASK) * _M0
        part = words[g * _GROUP : (g + 1) * _GROUP]
        for lane in range(_LANES):
            left = ((counter & _MASK) + np.uint64(lane)) * _M0
            right = (((left >> _UP) ^ k1) & _MASK) * _M1
            a = (right >> _UP) ^ (k0 + _W0)
            c = (second >> _UP) ^ left ^ (k1 + _W1)
            a, b, c, d = _round(a, right, c, second, k0 + np.uint64(2) * _W0, k1 + np.uint64(2) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(3) * _W0, k1 + np.uint64(3) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(4) * _W0, k1 + np.uint64(4) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(5) * _W0, k1 + np.uint64(5) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(6) * _W0, k1 + np.uint64(6) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(7) * _W0, k1 + np.uint64(7) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(8) * _W0, k1 + np.uint64(8) * _W1)
            a, b, c, d = _round(a, b, c, d, k0 + np.uint64(9) * _W0, k1 + np.uint64(9) * _W1)
            part[lane] = np.uint32(a)
            part[_LANES + lane] = np.uint32(b)
            part[2 * _LANES + lane] = np.uint32(c)
            part[3 * _LANES + lane] = np.uint32(d)


@_compiled
def _uniform(words, values, scale, shift):
    for i in range(len(values)):
        signed = np.int32(words[i])
        value = (np.float32(np.int32(signed >> np.int32(8))) + _HALF) * _TWO_M23
        values[i] = value * scale + shift


@_compiled
def _normal_logarithm(words, mantissa, depth):
    """The two parts of -log2(4 t (1 - t)): mantissa - 3/2, and what the exponent gives."""
    for i in range(len(depth)):
        signed = np.int32(words[i])
        centre = np.int32(signed ^ np.int32(signed >> np.int32(31)))
        # 2^64 t (1 - t): powers of two change the exponent only, so the mantissa is that of t (1 - t).
        tail = np.float32(np.int32(centre ^ np.int32(0x7FFFFFFF))) + _HALF
        bits = np.float32(tail * (_TWO_32 - tail)).view(np.int32)
        mantissa[i] = np.int32(np.int32(bits & np.int32(0x007FFFFF)) | np.int32(0x3F800000)).view(np.float32) - _MIDDLE
        depth[i] = _QUARTER - np.float32(np.int32(bits >> np.int32(23)))


@_compiled
def _normal_depth(mantissa, depth):
    for i in range(len(depth)):
        m = mantissa[i]
        log = ((((((m * _L7 + _L6) * m + _L5) * m + _L4) * m + _L3) * m + _L2) * m + _L1) * m + _L0
        depth[i] = depth[i] + log


@_compiled
def _normal_ratio(depth, ratio):
    for i in range(len(ratio)):
        x = depth[i]
        above = ((((x * _N5 + _N4) * x + _N3) * x + _N2) * x + _N1) * x + _N0
        below = ((((x * _D5 + _D4) * x + _D3) * x + _D2) * x + _D1) * x + _D0
        ratio[i] = above / below


@_compiled
def _truncated_square(words, square):
    for i in range(len(square)):
        signed = np.int32(words[i])
        v = (np.float32(np.int32(signed ^ np.int32(signed >> np.int32(31)))) + _HALF) * _TWO_M31
        square[i] = _ONE - v * v


@_compiled
def _truncated_ratio(square, ratio):
    for i in range(len(ratio)):
        x = square[i]
        above = (((x * _T4 + _T3) * x + _T2) * x + _T1) * x + _T0
        below = (((x * _U4 + _U3) * x + _U2) * x + _U1) * x + _U0
        ratio[i] = above / below


@_compiled
def _signed(words, ratio, values, scale, shift):
    """The word's distance from the centre times the ratio, with the word's sign."""
    for i in range(len(values)):
        signed = np.int32(words[i])
        centre = np.int32(signed ^ np.int32(signed >> np.int32(31)))
        value = np.float32(((np.float32(centre) + _HALF) * _TWO_M31) * ratio[i])
        value = np.int32(value.view(np.int32) | np.int32(signed & _SIGN)).view(np.float32)
        values[i] = value * scale + shift


@_compiled
def _transform(law, words, scratch, values, scale, shift):
    """Several short loops: a processor overlaps few turns of a loop that is one long chain of operations."""
    count = len(values)
    first, second = scratch[:count], scratch[_BUFFER : _BUFFER + count]
    if law == UNIFORM:
        _uniform(words, values, scale, shift)
    elif law == NORMAL:
        _normal_logarithm(words, first, second)
        _normal_depth(first, second)
        _normal_ratio(second, first)
        _signed(words, first, values, scale, shift)
    else:
        _truncated_square(words, first)
        _truncated_ratio(first, second)
        _signed(words, second, values, scale, shift)


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
    words = np.empty(_BUFFER, np.uint32)
    scratch = np.empty(2 * _BUFFER, np.float32)
    count = len(out)
    done = 0
    while done < count:
        offset = (start + done) % _GROUP
        now = min(_BUFFER - offset, count - done)
        _make_words(key, (start + done) // _GROUP, (offset + now + _GROUP - 1) // _GROUP, words)
        _transform(law, words[offset : offset + now], scratch, out[done : done + now], scale, shift)
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
    words = np.empty(_BUFFER, np.uint32)
    scratch = np.empty(2 * _BUFFER, np.float32)
    values = np.empty(_BUFFER, np.float32)
    halves = np.empty(_BUFFER, np.uint16)
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
            group, offset = (index + done) // _GROUP, (index + done) % _GROUP
            now = min(_BUFFER - offset, columns[1] - done)
            needed = (offset + now + _GROUP - 1) // _GROUP
            # Short rows often lie in the group of the row before.
            if group != made or needed > groups:
                _make_words(key, group, needed, words)
                made, groups = group, needed
            at = place + done * step
            if kind == FLOAT32 and step == 1:
                _transform(law, words[offset : offset + now], scratch, out32[at : at + now], scale, shift)
            else:
                part = values[:now]
                _transform(law, words[offset : offset + now], scratch, part, scale, shift)
                _store(kind, part, halves, at, step, out32, out64, out16)
            done += now
