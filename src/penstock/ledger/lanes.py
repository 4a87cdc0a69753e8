"""BLAKE2b of four messages at a time, one in each lane of a vector: the bits of hashlib, in a third of the time.

One message is a chain of blocks and cannot be shared out; several can. Only `digests.py` imports this module, when
there is so much to hash that it is worth it: importing it loads numba. RFC 7693 has the function.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 4
BLOCK = 128
"""Bytes of a block."""
IV = (
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
)  # fmt: skip
"""RFC 7693, section 2.6."""
SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
"""RFC 7693, section 2.7: which words of the block each round takes."""
ROUNDS = 12
# Columns of the state, then its diagonals.
_QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_I64, LANES)
# The first argument, which numba passes itself, is not written in a call.
_intrinsic = cast(Any, intrinsic)


def _mixed(order: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, LANES), [ir.Constant(_I32, place) for place in order])


def _all(number: int) -> ir.Constant:
    return ir.Constant(_VECTOR, [ir.Constant(_I64, number)] * LANES)


def _words(builder: Any, addresses: list[Any]) -> list[Any]:
    """The 16 words of each lane's block, as 16 vectors with one lane each: four transpositions of 4 x 4."""
    words: list[Any] = []
    for quarter in range(4):
        rows = []
        for address in addresses:
            place = builder.inttoptr(builder.add(address, ir.Constant(_I64, 32 * quarter)), _VECTOR.as_pointer())
            row = builder.load(place)
            row.align = 1
            rows.append(row)
        even = [builder.shuffle_vector(rows[i], rows[i + 1], _mixed([0, 4, 2, 6])) for i in (0, 2)]
        odd = [builder.shuffle_vector(rows[i], rows[i + 1], _mixed([1, 5, 3, 7])) for i in (0, 2)]
        for order in ([0, 1, 4, 5], [2, 3, 6, 7]):
            words += [builder.shuffle_vector(*pair, _mixed(order)) for pair in (even, odd)]
    return words


def _rotated(builder: Any, value: Any, places: int) -> Any:
    """To the right."""
    return builder.or_(builder.lshr(value, _all(places)), builder.shl(value, _all(64 - places)))


def _mix(builder: Any, v: list[Any], places: tuple[int, ...], x: Any, y: Any) -> None:
    """RFC 7693, section 3.1: the function G."""
    a, b, c, d = places
    for word, first, second in ((x, 32, 24), (y, 16, 63)):
        v[a] = builder.add(builder.add(v[a], v[b]), word)
        v[d] = _rotated(builder, builder.xor(v[d], v[a]), first)
        v[c] = builder.add(v[c], v[d])
        v[b] = _rotated(builder, builder.xor(v[b], v[c]), second)


@_intrinsic
def _block(_, state, places, counts, last):
    """One block of each lane.

    Args:
        state: 8 x LANES words, changed in place.
        places: addresses of the lanes' blocks.
        counts: bytes of each message up to the end of its block.
        last: all ones for a lane whose block is its last, else 0.
    """

    def generate(context, builder, signature, arguments):
        memories = [
            cgutils.create_struct_proxy(kind)(context, builder, array).data
            for kind, array in zip(signature.args, arguments, strict=True)
        ]

        def vector(memory: Any, number: int) -> Any:
            return builder.bitcast(builder.gep(memory, [ir.Constant(_I64, number * LANES)]), _VECTOR.as_pointer())

        def loaded(memory: Any, number: int = 0) -> Any:
            value = builder.load(vector(memory, number))
            value.align = 8
            return value

        spots = [builder.load(builder.gep(memories[1], [ir.Constant(_I64, lane)])) for lane in range(LANES)]
        m = _words(builder, spots)
        h = [loaded(memories[0], number) for number in range(8)]
        v = h + [_all(number) for number in IV]
        v[12], v[14] = builder.xor(v[12], loaded(memories[2])), builder.xor(v[14], loaded(memories[3]))
        for number in range(ROUNDS):
            order = SIGMA[number % len(SIGMA)]
            for i, quarter in enumerate(_QUARTERS):
                _mix(builder, v, quarter, m[order[2 * i]], m[order[2 * i + 1]])
        for number in range(8):
            made = builder.xor(h[number], builder.xor(v[number], v[number + 8]))
            builder.store(made, vector(memories[0], number)).align = 8
        return context.get_dummy_value()

    return types.void(state, places, counts, last), generate


def _compress(state, places, steps, counts, last, blocks):
    for _ in range(blocks):
        for lane in range(LANES):
            counts[lane] += steps[lane]
        _block(state, places, counts, last)
        for lane in range(LANES):
            places[lane] += steps[lane]


_U64 = types.Array(types.uint64, 1, "C")
_SIGNATURE = types.void(_U64, _U64, _U64, _U64, _U64, types.int64)

try:
    compress = njit(_SIGNATURE, cache=True, nogil=True, boundscheck=False)(_compress)
except RuntimeError:
    # Neither the package's folder nor the user's cache can be written: compiled once in each process.
    compress = njit(_SIGNATURE, nogil=True, boundscheck=False)(_compress)


def start(digest_bytes: int, person: bytes) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The state before the first block: RFC 7693, section 2.5, with the personalisation of the BLAKE2 paper."""
    words = np.zeros(8, np.uint64)
    words[0] = 0x01010000 ^ digest_bytes
    words[6:8] = np.frombuffer(person.ljust(16, b"\0"), dtype="<u8")
    return np.array(IV, np.uint64) ^ words
