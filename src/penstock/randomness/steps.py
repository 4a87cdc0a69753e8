"""What the compiled loops are made of: Philox words and the transforms of `transforms.py`, a few vectors at a time.

Each intrinsic is code that numba puts in place of a call in `kernels.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from penstock.randomness import philox, transforms
from penstock.randomness.vectors import I64, Vector, integers, load, splat, store

GROUP = philox.GROUP
LANES = philox._LANES
STEP = 32
"""Values made in one step: enough independent chains of operations to keep the processor busy."""
_COUNTERS = 8
"""Counters in one step: 64-bit lanes, and more of them would not fit the registers."""
# In such an order that the low halves of two registers of four lanes are put together by one shuffle.
_ORDER = (0, 1, 4, 5, 2, 3, 6, 7)
_HALF = np.float32(0.5)
# The first argument, which numba passes itself, is not written in a call.
_intrinsic = cast(Any, intrinsic)


@_intrinsic
def group_words(_, words, at, counter, key):
    """Four words of each of sixteen counters from `counter`, a multiple of 16, to words[at : at + 64]."""

    def generate(context, builder, signature, arguments):
        words, at, counter, key = arguments
        mask, up = ir.Constant(I64, 0xFFFFFFFF), ir.Constant(I64, 32)
        keys = [builder.and_(key, mask), builder.lshr(key, up)]

        def round_key(half: int, number: int) -> Vector:
            return splat(builder, builder.add(keys[half], ir.Constant(I64, number * philox._WEYL[half])), _COUNTERS)

        m0, m1 = philox._MULTIPLIERS
        # The counters share their high half, and two of their four words are 0: half of the first two rounds is the
        # same for all of them.
        first = builder.xor(builder.lshr(counter, up), keys[0])
        second = builder.mul(builder.and_(first, mask), ir.Constant(I64, m0))
        base = splat(builder, builder.and_(counter, mask), _COUNTERS)
        for start in range(0, LANES, _COUNTERS):
            left = (base | integers(builder, I64, [start + lane for lane in _ORDER])) * m0
            b = (((left >> 32) ^ round_key(1, 0)) & 0xFFFFFFFF) * m1
            d = splat(builder, second, _COUNTERS)
            a, c = (b >> 32) ^ round_key(0, 1), (d >> 32) ^ left ^ round_key(1, 1)
            for number in range(2, philox._ROUNDS):
                left, right = (a & 0xFFFFFFFF) * m0, (c & 0xFFFFFFFF) * m1
                a, c = (right >> 32) ^ b ^ round_key(0, number), (left >> 32) ^ d ^ round_key(1, number)
                b, d = right, left
            for word, made in enumerate((a, b, c, d)):
                place = builder.add(at, ir.Constant(I64, word * LANES + start))
                in_order = made.low_halves([_ORDER.index(lane) for lane in range(_COUNTERS)])
                store(context, in_order, signature.args[0], words, place)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.uint64, types.uint64), generate


def _step(lanes: int, law: Callable[[Vector], Vector]) -> Any:
    """One step: words[at : at + lanes] to scaled and shifted values at out[to : to + lanes].

    Where `out` is uint16 they are rounded to bfloat16 on the way.
    """

    def typed(_, words, at, out, to, scale, shift):
        def generate(context, builder, signature, arguments):
            words, at, out, to, scale, shift = arguments
            raw = law(load(context, builder, signature.args[0], words, at, lanes))
            values = raw * splat(builder, scale, lanes) + splat(builder, shift, lanes)
            if signature.args[2].dtype == types.uint16:
                values = values.to_bfloat16()
            store(context, values, signature.args[2], out, to)
            return context.get_dummy_value()

        return types.void(words, types.int64, out, types.int64, types.float32, types.float32), generate

    return _intrinsic(typed)


def _uniform(words: Vector) -> Vector:
    return (words.shift_signed(8).to_float() + _HALF) * np.float32(2.0**-23)


def _centre(law: transforms.Centre, words: Vector) -> Vector:
    x = (words | 1).to_float() * law.step
    square = x * x
    above = [float(root) - square for root in law.numerator]
    below = [float(root) - square for root in law.denominator]
    product = (above[0] * above[1]) * (above[2] * above[3])
    return product / ((below[0] * below[1]) * (below[2] * below[3])) * x


def _tail(words: Vector) -> Vector:
    tail = (words ^ words.shift_signed(31) ^ 0x7FFFFFFF).to_float() + _HALF
    d = ((tail.bits() & 0x007FFFFF) | 0x3F800000).as_float() - np.float32(1.5)
    log = d * transforms.LOG[-1] + transforms.LOG[-2]
    for coefficient in transforms.LOG[-3::-1]:
        log = log * d + coefficient
    depth = (float(transforms.EXPONENT_OF_2_32) - (tail.bits() >> 23).to_float()) + log
    above = [depth + root for root in transforms.TAIL_NUMERATOR]
    below = [depth + root for root in transforms.TAIL_DENOMINATOR]
    product = (above[0] * above[1]) * (above[2] * above[3]) * transforms.TAIL_FACTOR
    value = product / ((below[0] * below[1]) * below[2])
    return (value.bits() | (words & -(2**31))).as_float()


uniform_step = _step(STEP, _uniform)
truncated_step = _step(STEP, partial(_centre, transforms.TRUNCATED))
centre_step = _step(STEP, partial(_centre, transforms.CENTRE))
tail_step = _step(STEP, _tail)


@_intrinsic
def far_words(_, words, at):
    """Which of 64 words lie further from the centre than `transforms.CENTRE_END`: one bit each, the lowest first."""

    def generate(context, builder, signature, arguments):
        array, at = arguments
        far = load(context, builder, signature.args[0], array, at, GROUP)
        # From -1 - end to end, moved so that the words on both sides are the greatest numbers.
        end = transforms.CENTRE_END
        return (far + (1 + end - 2**31)).above(2 * end + 1 - 2**31)

    return types.uint64(words, types.int64), generate


@_intrinsic
def lowest_bit(_, mask):
    """The place of the lowest bit that is set; 64 if there is none."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@_intrinsic
def number_of_bits(_, mask):
    """How many bits are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
