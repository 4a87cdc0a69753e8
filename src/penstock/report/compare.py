"""Two reports on one model side by side: what an initialization changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from penstock.report.layers import BAR_WIDTH, Column, Line, join
from penstock.report.order import place_count
from penstock.report.report import Report
from penstock.report.rows import node_name, op_name
from penstock.report.table import Signs, fold_middle, log_axis, log_bar, number, pad, signs_for, span
from penstock.report.text import DEFAULT_WIDTH, verdict_words
from penstock.signals import SignalStats

# So many places along the trunk are shown: enough to see a trend.
MAX_PLACES = 8
MIN_NAME = 16

Pick = Callable[[SignalStats], float | None]


def before_after_to_text(before: Report, after: Report, *, width: int = 80, encoding: str | None = None) -> str:
    """What changed between two reports on one model: verdict, findings, and RMS along the trunk.

    The trunk is what every path from an input to an output passes through.

    Args:
        before: the report before the change.
        after: the report after it.
        width: in cells, at least 60.
        encoding: where it will be shown; None for that of standard output.
    """
    signs = signs_for(encoding)
    title = fold_middle(signs.clean(after.measured.model), width, ellipsis=signs.ellipsis)
    parts = [[title], _summary(before, after, width, signs), _findings(before, after, width, signs)]
    parts += [
        _along_trunk("forward RMS", lambda signal: signal.rms, (before, after), width, signs),
        _along_trunk("backward RMS", lambda signal: signal.grad_rms, (before, after), width, signs),
    ]
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts if part)


def _summary(before: Report, after: Report, width: int, signs: Signs) -> list[str]:
    facts: list[tuple[str, str, str]] = [("verdict", verdict_words(before), verdict_words(after))]
    if before.measured.loss.given and after.measured.loss.given:
        facts.append(("loss at step zero", number(before.measured.loss.value), number(after.measured.loss.value)))
    for name, pick in (
        ("forward RMS along the trunk", lambda signal: signal.rms),
        ("backward RMS along the trunk", lambda signal: signal.grad_rms),
    ):
        facts.append((name, _extent(before, pick), _extent(after, pick)))
    facts.append(("largest correlation of inputs", _correlation(before), _correlation(after)))
    return _columns(("", "before", "after"), [f for f in facts if f[1] or f[2]], width, signs)


def _findings(before: Report, after: Report, width: int, signs: Signs) -> list[str]:
    """How many places each code names, before and after."""
    titles = {f.code: f"{f.code} {f.title}" for report in (before, after) for f in report.findings}
    counts = [
        {code: sum(place_count(f) for f in report.findings if f.code == code) for code in titles}
        for report in (before, after)
    ]
    rows = [(title, *(f"{c[code]} place{'s' * (c[code] != 1)}" if c[code] else "none" for c in counts))
            for code, title in titles.items()]  # fmt: skip
    return _columns(("finding", "before", "after"), rows, width, signs) if rows else []


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, signs: Signs) -> list[str]:
    """A plain table whose first column gives way."""
    cells = [[signs.clean(cell) for cell in row] for row in rows]
    columns = [Column(title, [[(row[i], "")] for row in cells]) for i, title in enumerate(titles)]
    room = max(width - sum(column.width + 2 for column in columns[1:]), 1)
    first = [[(fold_middle(row[0], room, ellipsis=signs.ellipsis), "")] for row in cells]
    return _plain([Column(titles[0], first), *columns[1:]])


def _plain(columns: Sequence[Column]) -> list[str]:
    lines: list[Line] = [join(columns, [[(column.title, "")] for column in columns])]
    lines += [join(columns, [column.cells[i] for column in columns]) for i in range(len(columns[0].cells))]
    return ["".join(text for text, _ in line) for line in lines]


def _trunk_values(report: Report, pick: Pick) -> dict[int, float]:
    """The numbers along the trunk, by node."""
    signals = report.measured.signals
    pairs = [(i, signals[i]) for i in report.measured.graph.trunk]
    values = [(i, pick(signal)) for i, signal in pairs if signal is not None]
    return {i: value for i, value in values if value is not None}


def _extent(report: Report, pick: Pick) -> str:
    values = list(_trunk_values(report, pick).values())
    odd = [v for v in values if not math.isfinite(v)]
    if not values or odd:
        return number(odd[0]) if odd else ""
    return span(min(values), max(values))


def _correlation(report: Report) -> str:
    values = _trunk_values(report, lambda signal: signal.correlation)
    return number(max(values.values(), default=None))


def _along_trunk(title: str, pick: Pick, reports: tuple[Report, Report], width: int, signs: Signs) -> list[str]:
    """A small table with bars: some places along the trunk, before and after, on one axis."""
    old, new = (_trunk_values(report, pick) for report in reports)
    old_nodes, nodes = (report.measured.graph.nodes for report in reports)
    places = [i for i in old if i in new]
    if old_nodes != nodes or len(places) < 2:
        return []
    shown = _spread(places)
    axis = log_axis([*old.values(), *new.values()])
    both = (("before", old), ("after", new))
    bar = 2 * BAR_WIDTH if width >= DEFAULT_WIDTH else BAR_WIDTH
    draw = partial(log_bar, axis=axis, width=bar, signs=signs)
    columns = [_bars(name, [values[i] for i in shown], draw) for name, values in both]
    room = max(width - sum(column.width + 2 for column in columns), MIN_NAME)
    labels = [signs.clean(f"{node_name(nodes[i])} {op_name(nodes[i])}".strip()) for i in shown]
    names = Column(title, [[(fold_middle(label, room, ellipsis=signs.ellipsis), "")] for label in labels])
    ends = f"{number(10.0 ** axis[0], digits=1)}..{number(10.0 ** axis[1], digits=1)}"
    return [*_plain([names, *columns]), f"bars: log scale, {ends}"]


def _bars(title: str, values: Sequence[float], draw: Callable[..., str]) -> Column:
    texts = [number(value) for value in values]
    size = max(map(len, texts))
    return Column(title, [
        [(pad(text, size, right=True) + " " + draw(value, value), "")]
        for text, value in zip(texts, values, strict=True)
    ])  # fmt: skip


def _spread(places: Sequence[int]) -> list[int]:
    """At most `MAX_PLACES` of these, evenly, with the first and the last."""
    if len(places) <= MAX_PLACES:
        return list(places)
    step = (len(places) - 1) / (MAX_PLACES - 1)
    return [places[round(i * step)] for i in range(MAX_PLACES)]
