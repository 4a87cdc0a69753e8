"""The table by layer as text: a line a row, with bars on a log axis, at any width from 48 columns on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.cells import cell_len

from penstock.report.blocks import INDENT, Entry, entries_of
from penstock.report.rows import Range, Row
from penstock.report.table import DRAWN, Signs, fold_middle, log_axis, log_bar, number, pad, share, span, wrap

# A line is a list of pieces of text, each with a rich style ("" for none).
Line = list[tuple[str, str]]
Axis = tuple[int, int]

WIDE, NARROW = 100, 64
UNLIMITED = 10_000
# Header and style of the two measured signals.
FORWARD, BACKWARD = ("forward RMS", "cyan"), ("backward RMS", "magenta")
BAR_WIDTH, WIDE_BAR_WIDTH = 6, 12
# An optional column is left out when the longest name would get less than this.
NAME_FOR_SHAPE, NAME_FOR_MORE = 20, 30
MAX_SHAPE, MAX_CODE = 16, 8


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, a cell a row, and its place.

    Attributes:
        title: its header.
        cells: one a row, each a list of styled pieces.
        right: numbers stand at the right.
    """

    title: str
    cells: Sequence[Line]
    right: bool = False

    @property
    def width(self) -> int:
        """Cells that the longest content needs."""
        return max(len(self.title), *(line_width(cell) for cell in self.cells), 0)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not any(text.strip() for cell in self.cells for text, _ in cell)

    def line(self, cell: Line) -> Line:
        """A cell filled to the column's width."""
        gap = (" " * (self.width - line_width(cell)), "")
        return [gap, *cell] if self.right else [*cell, gap]


def line_width(line: Line) -> int:
    """Cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def layer_table(rows: Sequence[Row], *, width: int, signs: Signs, errors: frozenset[str] = frozenset()) -> list[Line]:
    """Lines of at most `width` cells: a header, a line a row, and what the bars mean.

    Args:
        rows: folded already.
        width: in cells.
        signs: the characters to draw with.
        errors: codes to mark as errors; other codes are warnings.
    """
    entries = entries_of(rows)
    lines = [entry.row for entry in entries]
    axes = axes_of(rows)
    bar = WIDE_BAR_WIDTH if width >= WIDE else BAR_WIDTH if width >= NARROW else 0
    codes = Column("", [_code(row, errors, signs) for row in lines])
    shapes = Column("shape", [[(_shape(row, signs), "dim")] for row in lines])
    draw = partial(log_bar, width=bar, signs=signs)
    forward = _signal_column(FORWARD, [row and row.forward for row in lines], axes[0], draw)
    backward = _signal_column(BACKWARD, [row and row.backward for row in lines], axes[1], draw)
    more = [
        Column("grad/w", [[(number(row and row.grad_to_weight, digits=2), "")] for row in lines], right=True),
        Column("zero/flat", [[(off_share(row) if row else "", "")] for row in lines], right=True),
        Column("corr", [[(number(row and row.correlation, digits=2), "")] for row in lines], right=True),
    ]
    needed = max(line_width(_label(entry, UNLIMITED, signs)) for entry in entries)
    needed = max(needed, len("layer"))
    columns, room = _fit((codes, shapes, forward, backward), more, width=width, needed=needed)
    names = Column("layer", [_label(entry, max(min(room, needed), len("layer")), signs) for entry in entries])
    columns.insert(1 if codes in columns else 0, names)
    header = join(columns, [[(column.title, "bold")] for column in columns])
    body = [join(columns, [column.cells[i] for column in columns]) for i in range(len(entries))]
    sentences = _legend(axes, (forward, backward)) if bar else []
    if any(row.count > 1 for row in rows):
        sentences.append(f"({signs.times}n): n like layers in one line; a..b: the range of their numbers")
    legend: list[Line] = [[(text, "dim")] for sentence in sentences for text in wrap(sentence, width)]
    return [header, *body, *legend]


def _fit(base: Sequence[Column], more: Sequence[Column], *, width: int, needed: int) -> tuple[list[Column], int]:
    """The columns that there is room for, and the room that is left for the name."""
    columns = [column for column in base if not column.empty]
    room = width - sum(column.width + 2 for column in columns)
    shapes = base[1]
    if room < min(needed, NAME_FOR_SHAPE) and shapes in columns:
        columns.remove(shapes)
        room += shapes.width + 2
    for column in more:
        if not column.empty and room - column.width - 2 >= min(needed, NAME_FOR_MORE):
            columns.append(column)
            room -= column.width + 2
    return columns, room


def join(columns: Sequence[Column], cells: Sequence[Line]) -> Line:
    """One line of a table: a cell a column, two spaces in between."""
    line: Line = []
    for column, cell in zip(columns, cells, strict=True):
        line += ([("  ", "")] if line else []) + column.line(cell)
    return line


def _signal_column(
    head: tuple[str, str], values: Sequence[Range | None], axis: Axis, draw: Callable[..., str]
) -> Column:
    """RMS and bar, the number at the right of its part so that the bars begin below each other."""
    texts = [range_text(value) for value in values]
    size = max(map(len, [*texts, ""]))
    cells: list[Line] = []
    for text, value in zip(texts, values, strict=True):
        low, high = (None, None) if value is None else (min(value), max(value))
        cells.append([(pad(text, size, right=True) + " ", ""), (draw(low, high, axis), head[1])])
    return Column(head[0], cells)


def off_share(row: Row) -> str:
    """The share of a row's elements that are on a function's flat end, or exactly 0, in words."""
    flat, zero = share(row.flat_share), share(row.zero_share)
    return f"{flat} flat" if flat else f"{zero} zero" if zero else ""


def range_text(value: Range | None) -> str:
    """A forward or backward RMS, or the range of a group."""
    return "" if value is None else span(*value)


def axes_of(rows: Sequence[Row]) -> tuple[Axis, Axis]:
    """The log axes of the forward and of the backward bars."""
    forward = log_axis(v for row in rows if row.forward for v in row.forward)
    backward = log_axis(v for row in rows if row.backward for v in row.backward)
    return forward, backward


def code_text(row: Row, *, signs: Signs = DRAWN) -> str:
    """The first code that names a row, with a plus where there are more."""
    if not row.codes:
        return ""
    return fold_middle(signs.clean(row.codes[0]), MAX_CODE, ellipsis=signs.ellipsis) + "+" * (len(row.codes) > 1)


def _code(row: Row | None, errors: frozenset[str], signs: Signs) -> Line:
    if row is None:
        return []
    return [(code_text(row, signs=signs), "bold red" if errors.intersection(row.codes) else "bold yellow")]


def _shape(row: Row | None, signs: Signs) -> str:
    return "" if row is None else fold_middle(signs.shape(row.shape), MAX_SHAPE, ellipsis=signs.ellipsis)


def _label(entry: Entry, width: int, signs: Signs) -> Line:
    """Name, operation and count in at most `width` cells; the name's middle goes first, then the operation's."""
    count = f" ({signs.times}{entry.count})" if entry.count > 1 else ""
    name, op = signs.clean(entry.name), signs.clean(entry.op)
    indent = INDENT if entry.indented else ""
    room = width - len(count) - len(indent)
    op = fold_middle(op, max(room // 2, room - cell_len(name) - 1), ellipsis=signs.ellipsis)
    op = f" {op}" if op and name else op
    name = fold_middle(name, room - cell_len(op), ellipsis=signs.ellipsis)
    rest = fold_middle(op + count, room + len(count) - cell_len(name), ellipsis=signs.ellipsis)
    return [(indent + name, "" if entry.row else "bold"), (rest, "dim")]


def _legend(axes: tuple[Axis, Axis], columns: tuple[Column, Column]) -> list[str]:
    shown = [
        f"{column.title.split()[0]} {number(10.0 ** axis[0], digits=1)}..{number(10.0 ** axis[1], digits=1)}"
        for axis, column in zip(axes, columns, strict=True)
        if not column.empty
    ]
    return [f"bars: log scale, {', '.join(shown)}"] if shown else []
