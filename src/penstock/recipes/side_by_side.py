"""Parts that lie one after the other on one axis of a parameter: which of them a window touches, and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.randomness import Window


def touched(taken: Sequence[range], axis: int, sizes: Sequence[int]) -> Iterator[tuple[int, Window, Window]]:
    """The parts that a window touches: number, place in the window's own values, window in the part.

    Args:
        taken: the window's indices on each axis.
        axis: on which the parts lie.
        sizes: of the parts on it.

    Examples:
        >>> list(touched((range(2, 5),), 0, (3, 3)))
        [(0, (slice(0, 1, None),), (slice(2, 3, None),)), (1, (slice(1, 3, None),), (slice(0, 2, None),))]
    """
    asked, begin = taken[axis], 0
    for index, size in enumerate(sizes):
        start, stop = max(asked.start, begin), min(asked.stop, begin + size)
        if start < stop:
            place = [slice(None) if a != axis else slice(start - asked.start, stop - asked.start)
                     for a in range(len(taken))]  # fmt: skip
            local = [slice(piece.start, piece.stop) for piece in taken]
            local[axis] = slice(start - begin, stop - begin)
            yield index, tuple(place), tuple(local)
        begin += size
