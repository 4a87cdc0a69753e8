"""Philox4x32-10: random bits as a pure function of a key and a counter, so that any element is made alone.

Where an element lies in counter space: element 64 g + 16 w + j is word w of counter 16 g + j. Sixty-four neighbours
thus come from sixteen neighbouring counters, one word after the other, which vector code can store without shuffling.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

GROUP = 64
"""Elements that share sixteen counters; a contiguous run is made group by group."""
_LANES = 16
_ROUNDS = 10
# Multipliers and key increments (Weyl constants) of the paper that `philox` names.
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox(counters: U32, key: int) -> U32:
    """Four random words for each counter.

    Args:
        counters: shape (n, 4), least significant word first.
        key: 64 bits; the low 32 are the published algorithm's first key word.

    Returns:
        The words, shape (n, 4).

    Examples:
        >>> [f"{word:08x}" for word in philox(np.zeros((1, 4), np.uint32), 0)[0]]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']

    Source:
        Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3";
        known-answer vectors of the authors' Random123 library.
    """
    wide = np.asarray(counters, dtype=np.uint64)
    even, odd = _rounds(np.stack([wide[:, 0], wide[:, 2]]), np.stack([wide[:, 1], wide[:, 3]]), key)
    return np.stack([even[0], odd[0], even[1], odd[1]], axis=1).astype(np.uint32)


def words(key: int, start: int, count: int) -> U32:
    """The random words of elements start, start + 1, ..., start + count - 1 of a parameter.

    Args:
        key: from `key_for`.
        start: index of the first element, row-major, in the whole parameter.
        count: how many.

    Returns:
        One word an element, shape (count,).

    Raises:
        ArgumentError: if start or count is negative.

    Examples:
        >>> bool((words(7, 0, 100)[40:] == words(7, 40, 60)).all())
        True
    """
    if start < 0 or count < 0:
        raise ArgumentError(message(f"words: start and count must be >= 0; got start={start!r}, count={count!r}."))
    return words_of_runs(key, np.array([start], dtype=np.int64), count)[0]


def words_of_runs(key: int, starts: npt.NDArray[np.int64], length: int) -> U32:
    """The words of several runs of neighbouring elements, shape (runs, length)."""
    offsets = starts % GROUP
    groups = (int(offsets.max()) + length + GROUP - 1) // GROUP if len(starts) else 0
    first = (starts // GROUP) * _LANES
    numbers = (first[:, None] + np.arange(groups * _LANES, dtype=np.int64)).ravel()
    four = _words_of_counters(numbers, key).reshape(4, len(starts), groups, _LANES)
    flat = np.ascontiguousarray(four.transpose(1, 2, 0, 3)).reshape(len(starts), groups * GROUP)
    if len(starts) == 1 or not np.any(offsets != offsets[0]):
        begin = int(offsets[0]) if len(starts) else 0
        return flat[:, begin : begin + length]
    return np.take_along_axis(flat, offsets[:, None] + np.arange(length), axis=1)


def words_of_elements(key: int, elements: npt.NDArray[np.int64]) -> U32:
    """The words of scattered elements, shape (n,): one counter for each, of whose four words one is used."""
    four = _words_of_counters((elements // GROUP) * _LANES + elements % _LANES, key)
    return four[(elements // _LANES) % 4, np.arange(len(elements))]


def _words_of_counters(numbers: npt.NDArray[np.int64], key: int) -> U32:
    """Words 0 to 3 of the counters with these numbers, shape (4, n)."""
    wide = numbers.astype(np.uint64)
    even = np.zeros((2, len(wide)), dtype=np.uint64)
    odd = np.zeros_like(even)
    np.bitwise_and(wide, _MASK, out=even[0])
    np.right_shift(wide, _SHIFT, out=odd[0])
    even, odd = _rounds(even, odd, key)
    four = np.empty((4, len(wide)), dtype=np.uint32)
    four[0::2], four[1::2] = even, odd
    return four


def _rounds(even: U64, odd: U64, key: int) -> tuple[U64, U64]:
    """Ten rounds, in place, on counter words 0 and 2 (`even`) and 1 and 3 (`odd`), each of shape (2, n).

    The words stay in 64-bit integers, whose product holds both halves of the 32 x 32 bit product.
    """
    multipliers = np.array(_MULTIPLIERS, dtype=np.uint64)[:, None]
    low, high = key & 0xFFFFFFFF, key >> 32
    product = np.empty_like(even)
    for _ in range(_ROUNDS):
        np.multiply(even, multipliers, out=product)
        # New words 0 and 2 take the high half of the other word's product; words 1 and 3 are its low half.
        np.right_shift(product[::-1], _SHIFT, out=even)
        even ^= odd
        even ^= np.array([[low], [high]], dtype=np.uint64)
        np.bitwise_and(product[::-1], _MASK, out=odd)
        low, high = (low + _WEYL[0]) & 0xFFFFFFFF, (high + _WEYL[1]) & 0xFFFFFFFF
    return even, odd
