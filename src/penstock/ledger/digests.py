"""Hashes of many arrays at once: in vector lanes and threads, where there is so much of them that it is worth it.

And the sums that moments are made of, by compiled code that is loaded with it.
"""

from __future__ import annotations

import hashlib
import heapq
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.ledger.content import DIGEST_BYTES, PERSON

WORTH = 2**26
"""Bytes from which on the compiled code is loaded: 0.15 s for hashlib."""

_ONES = np.uint64(2**64 - 1)

Bytes = npt.NDArray[np.uint8]
Sums = Callable[[npt.NDArray[Any]], tuple[float, float]]


class _Loader:
    """The compiled code, once it is loaded and has been held to hashlib's bits."""

    def __init__(self) -> None:
        self.lanes: Any = None
        self.sums: dict[str, Sums] = {}
        self.broken = sys.byteorder == "big"

    def get(self) -> Any:
        """The module; None where it cannot be had."""
        if self.lanes is None and not self.broken:
            try:
                from penstock.ledger import lanes, sums

                some = [np.arange(size, dtype=np.uint32).astype(np.uint8) for size in (0, 1, 128, 129, 1000)]
                self.broken = _in_lanes(lanes, some) != [_alone(array) for array in some]
                if not self.broken:
                    self.lanes, self.sums = lanes, sums.SUMS
            except Exception:  # numba's own errors are of many kinds, and hashlib needs none of it
                self.broken = True
        return self.lanes


_LOADER = _Loader()


def digests_of(arrays: Sequence[npt.NDArray[Any]], *, threads: int = 1, least: int = WORTH) -> list[str] | None:
    """The hash of each array's bytes, as `penstock.ledger.content.Content` makes it.

    Args:
        arrays: contiguous, as stored.
        threads: that share them.
        least: bytes below which it is not worth it.

    Returns:
        The hashes; None where there is too little, or the compiled code cannot be had: then one after the other is as
        good.

    Examples:
        >>> digests_of([np.zeros(3), np.zeros(5)]) is None
        True
    """
    flat = [array.reshape(-1).view(np.uint8) for array in arrays]
    lanes = _LOADER.get() if len(flat) > 1 and sum(one.size for one in flat) >= least else None
    if lanes is None:
        return None
    shares = _shared(flat, threads)

    def hashed(numbers: list[int]) -> list[str]:
        return _in_lanes(lanes, [flat[number] for number in numbers])

    if len(shares) == 1:
        made = [hashed(shares[0])]
    else:
        # Made without Python's lock.
        with ThreadPoolExecutor(len(shares)) as pool:
            made = list(pool.map(hashed, shares))
    digests = [""] * len(flat)
    for numbers, some in zip(shares, made, strict=True):
        for number, digest in zip(numbers, some, strict=True):
            digests[number] = digest
    return digests


def sums_of(dtype: str) -> Sums | None:
    """From stored values, flat, to their sum and the sum of their squares; None where that code is not loaded."""
    return _LOADER.sums.get(dtype)


def _shared(flat: Sequence[Bytes], threads: int) -> list[list[int]]:
    """Numbers of the arrays for each thread, the largest first, each to the one that has least."""
    heap: list[tuple[int, int, list[int]]] = [(0, thread, []) for thread in range(max(1, min(threads, len(flat))))]
    for number in sorted(range(len(flat)), key=lambda n: -flat[n].size):
        size, thread, numbers = heap[0]
        numbers.append(number)
        heapq.heapreplace(heap, (size + flat[number].size, thread, numbers))
    return [numbers for _, _, numbers in heap]


def _alone(array: Bytes) -> str:
    return hashlib.blake2b(array.data, digest_size=DIGEST_BYTES, person=PERSON).hexdigest()


class _Lane:
    """What one lane is at: an array, and how many of its bytes are done."""

    def __init__(self, number: int, array: Bytes, block: int) -> None:
        self.number, self.array, self.done, self._block = number, array, 0, block

    @property
    def before_last(self) -> int:
        """Blocks that are left, the last one not counted."""
        return max(0, -(-(self.array.size - self.done) // self._block) - 1)


def _in_lanes(lanes: Any, arrays: Sequence[Bytes]) -> list[str]:
    """Hashes of arrays, several at a time; a lane that is done takes the next array."""
    width, block = lanes.LANES, lanes.BLOCK
    waiting = deque(enumerate(arrays))
    state = np.zeros((8, width), np.uint64)
    begin = lanes.start(DIGEST_BYTES, PERSON)
    spare = np.zeros((width, block), np.uint8)
    digests = [""] * len(arrays)
    active: list[_Lane | None] = [None] * width
    while True:
        for place, lane in enumerate(active):
            if lane is None and waiting:
                active[place] = _Lane(*waiting.popleft(), block)
                state[:, place] = begin
        left = [lane.before_last for lane in active if lane is not None]
        if not left:
            return digests
        blocks = max(1, min(left))
        places, steps, counts, last = (np.zeros(width, np.uint64) for _ in range(4))
        for place, lane in enumerate(active):
            places[place] = spare[place].ctypes.data
            if lane is not None and lane.before_last:
                places[place] = lane.array.ctypes.data + lane.done
                steps[place], counts[place] = block, lane.done
            elif lane is not None:
                rest = lane.array[lane.done :]
                spare[place] = 0
                spare[place, : rest.size] = rest
                counts[place], last[place] = lane.array.size, _ONES
        lanes.compress(state.reshape(-1), places, steps, counts, last, blocks)
        for place, lane in enumerate(active):
            if lane is not None and last[place]:
                digests[lane.number] = state[:, place].tobytes()[:DIGEST_BYTES].hex()
                active[place] = None
            elif lane is not None:
                lane.done += block * blocks
