"""Folding of like layers: consecutive repeats of one structure with like numbers become one group of lines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from penstock.report.rows import Range, Row

# Numbers within this factor look the same on a log axis as wide as a name.
LIKE_FACTOR = 1.25
# A table of more lines than this is folded harder, so that a report with 300 layers can still be read.
MAX_ROWS = 44
# Tried in order until the table is short enough; the last one folds by structure alone.
FACTORS = (LIKE_FACTOR, 2.0, 10.0, 1e3, math.inf)
# Longest structure that is looked for, in rows: a transformer block has about ten.
MAX_PERIOD = 48
INDEX = re.compile(r"\d+")


def fold_rows(rows: Sequence[Row], *, max_rows: int = MAX_ROWS) -> list[Row]:
    """Like rows folded; if that leaves too many, folded with a wider factor, and at last by neighbourhood alone.

    A row that is pinned stays alone. Rows that different findings name never share a line.

    Args:
        rows: in execution order.
        max_rows: aim for at most so many lines.
    """
    names = _Names(rows)
    folded = list(rows)
    for factor in FACTORS:
        folded = _fold(rows, names, factor)
        if len(folded) <= max_rows:
            return folded
    return _elide(folded, max_rows)


def fold_like(rows: Sequence[Row], *, factor: float = LIKE_FACTOR) -> list[Row]:
    """Each run of repeats folded into one copy, with the ranges of its indices and numbers.

    Args:
        rows: in execution order.
        factor: forward and backward RMS of what is folded differ by at most this factor.
    """
    return _fold(rows, _Names(rows), factor)


class _Names:
    """The names taken apart once: what stands between the indices, and the indices."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.stems = [tuple(INDEX.split(row.name)) for row in rows]
        self.indices = [tuple(INDEX.findall(row.name)) for row in rows]
        # What two rows must share to be like: everything but indices and numbers.
        self.keys = [
            (stems, row.op, row.shape, row.codes, row.forward is None, row.backward is None)
            for stems, row in zip(self.stems, rows, strict=True)
        ]

    def begins_block(self, start: int, period: int) -> bool:
        """Whether a fold may begin here: where the index that varies changes, not in the middle of a block."""
        here, there = self.indices[start], self.indices[start + period]
        varying = next((i for i, (a, b) in enumerate(zip(here, there, strict=True)) if a != b), None)
        if varying is None or start == 0:
            return True
        upto = slice(varying + 1)
        before = self.indices[start - 1]
        same_stem = self.stems[start - 1][upto] == self.stems[start][upto] and len(before) > varying
        return not same_stem or before[upto] != here[upto]


def _fold(rows: Sequence[Row], names: _Names, factor: float) -> list[Row]:
    folded: list[Row] = []
    start = 0
    while start < len(rows):
        period, repeats = _best_repeat(rows, names, start, factor)
        for offset in range(period):
            folded.append(merge([rows[start + offset + period * i] for i in range(repeats)]))
        start += period * repeats
    return folded


def _best_repeat(rows: Sequence[Row], names: _Names, start: int, factor: float) -> tuple[int, int]:
    """Period and number of repeats, from `start` on, that save most lines; (1, 1) if nothing repeats."""
    best = (1, 1)
    if rows[start].pinned:
        return best
    for period in range(1, min(MAX_PERIOD, (len(rows) - start) // 2) + 1):
        if names.keys[start] != names.keys[start + period] or not names.begins_block(start, period):
            continue
        repeats = _repeats(rows, names.keys, start, period, factor)
        if period * (repeats - 1) > best[0] * (best[1] - 1):
            best = (period, repeats)
    return best


def _repeats(rows: Sequence[Row], keys: Sequence[object], start: int, period: int, factor: float) -> int:
    """How often the `period` rows at `start` repeat, with numbers within `factor` of each other."""
    limits = [_Limits(factor) for _ in range(period)]
    repeats = 0
    while start + period * (repeats + 1) <= len(rows):
        block = range(start + period * repeats, start + period * (repeats + 1))
        fits = all(
            keys[i] == keys[start + offset] and not rows[i].pinned and limits[offset].admits(rows[i])
            for offset, i in enumerate(block)
        )
        if not fits:
            break
        repeats += 1
    return max(repeats, 1)


class _Limits:
    """Smallest and largest RMS so far at one place of a structure."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.forward: Range | None = None
        self.backward: Range | None = None

    def admits(self, row: Row) -> bool:
        """Add this row's numbers; say whether all are still within the factor."""
        self.forward, forward = self._add(self.forward, row.forward)
        self.backward, backward = self._add(self.backward, row.backward)
        return forward and backward

    def _add(self, seen: Range | None, value: Range | None) -> tuple[Range | None, bool]:
        if value is None or seen is None:
            return value, True
        values = (*seen, *value)
        low, high = min(values), max(values)
        if not all(map(math.isfinite, values)):
            # What is not finite is like what is not finite in the same way.
            return (low, high), len({str(v) for v in values}) == 1
        return (low, high), low == high or (low > 0.0 and high <= low * self.factor)


def merge(rows: Sequence[Row]) -> Row:
    """One row for several of the same structure: "blocks.3-38 linear", numbers as ranges."""
    if len(rows) == 1:
        return rows[0]
    return replace(
        rows[0],
        name=merged_name([row.name for row in rows]),
        block=merged_name([row.block for row in rows]),
        forward=_range([row.forward for row in rows]),
        backward=_range([row.backward for row in rows]),
        zero_share=_mean([row.zero_share for row in rows]),
        flat_share=_mean([row.flat_share for row in rows]),
        correlation=_mean([row.correlation for row in rows]),
        grad_to_weight=_mean([row.grad_to_weight for row in rows]),
        count=sum(row.count for row in rows),
    )


def merged_name(names: Sequence[str]) -> str:
    """Names that differ in their indices only as one.

    Examples:
        >>> merged_name(["blocks.3.mlp", "blocks.4.mlp", "blocks.5.mlp"]), merged_name(["0", "2", "4"])
        ('blocks.3-5.mlp', '0..4')
    """
    stems = INDEX.split(names[0])
    columns = zip(*(INDEX.findall(name) for name in names), strict=True)
    shown = [_index_range([int(i) for i in column]) for column in columns]
    return "".join(stem + index for stem, index in zip(stems, [*shown, ""], strict=True))


def _index_range(indices: list[int]) -> str:
    steps = {b - a for a, b in pairwise(indices)}
    if steps == {0}:
        return str(indices[0])
    if steps == {1}:
        return f"{indices[0]}-{indices[-1]}"
    return f"{min(indices)}..{max(indices)}"


def _range(ranges: Sequence[Range | None]) -> Range | None:
    """First and last where the numbers only rise or only fall, so that a trend can be read; else least and most."""
    values = [v for pair in ranges if pair is not None for v in pair]
    if not values:
        return None
    rising = all(a <= b for a, b in pairwise(values))
    falling = all(a >= b for a, b in pairwise(values))
    if rising or falling:
        return values[0], values[-1]
    odd = [v for v in values if not math.isfinite(v)]
    return (odd[0], odd[0]) if odd else (min(values), max(values))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _elide(rows: Sequence[Row], max_rows: int) -> list[Row]:
    """Neighbours with the same findings as one line each "a .. b", evenly, until the table is short enough."""
    free = sum(not row.pinned for row in rows)
    size = max(math.ceil(free / max(max_rows - (len(rows) - free), 8)), 2)
    short: list[Row] = []
    run: list[Row] = []
    for row in rows:
        joins = run and not row.pinned and not run[0].pinned and row.codes == run[0].codes and len(run) < size
        if run and not joins:
            short.append(_stretch(run))
            run = []
        run.append(row)
    return [*short, _stretch(run)] if run else short


def _stretch(rows: Sequence[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    row = merge([replace(r, name="", block="") for r in rows])
    return replace(row, name=f"{rows[0].name} .. {rows[-1].name}", op="", shape=())
