"""Lines of the table by layer: rows of one block stand indented under the block's name, which is written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from penstock.report.rows import Row

# A heading costs a line: fewer rows than this keep their full names.
MIN_BLOCK = 3
INDENT = "  "


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a row, or the heading of a block.

    Attributes:
        name: what is left of the name under a heading.
        op: the operation; "" for a heading.
        count: how many nodes or blocks the line stands for; 1 under a heading that says it already.
        row: None for a heading.
        indented: stands under a heading.
    """

    name: str
    op: str
    count: int
    row: Row | None
    indented: bool = False


def entries_of(rows: Sequence[Row]) -> list[Entry]:
    """The lines for these rows, in order."""
    entries: list[Entry] = []
    for block, members in groupby(rows, key=lambda row: row.block):
        group = list(members)
        if not block or len(group) < MIN_BLOCK:
            entries += [Entry(row.name, row.op, row.count, row) for row in group]
            continue
        counts = {row.count for row in group}
        common = counts.pop() if len(counts) == 1 else 1
        entries.append(Entry(block, "", common, None))
        entries += [
            Entry(row.name.removeprefix(block).lstrip("."), row.op, row.count if common == 1 else 1, row, indented=True)
            for row in group
        ]
    return entries
