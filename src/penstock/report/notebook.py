"""The report as a fragment of HTML for notebooks: no script, nothing loaded, readable on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from penstock.checks.finding import Finding
from penstock.report.blocks import Entry, entries_of
from penstock.report.fold import fold_rows
from penstock.report.layers import Axis, axes_of, code_text, off_share, range_text
from penstock.report.order import Told, counted, others_text, split_others, told
from penstock.report.report import Report
from penstock.report.rows import Range, rows_of
from penstock.report.table import DRAWN, log_position, number
from penstock.report.text import MAX_BLOCKS, facts, place_text, verdict_words

# Middle tones: each has a contrast of at least 4 to 1 with white and with a notebook's dark ground (#1e1e1e).
COLORS = {"error": "#e5484d", "warning": "#ad7a00", "note": "#3b82c4", "ok": "#2f9154"}
FORWARD, BACKWARD = "#2a94a8", "#b266c8"
BOX = "font-size:13px;line-height:1.45;max-width:60em"
CELL = "text-align:left;white-space:nowrap;padding:1px 6px"
DIM = "opacity:.7"
# A folded name keeps both of its ends within so many characters.
MAX_PLACE = 100


def report_to_html(report: Report) -> str:
    """The report as one self-contained <div>: verdict, findings, table by layer, notes.

    Everything that comes from the model is escaped.
    """
    parts = [
        _verdict(report),
        _findings(report.findings),
        _table(report),
        *(f'<div style="{DIM}">note: {_text(note)}</div>' for note in report.measured.notes),
    ]
    unknown = report.measured.graph.unknown_ops
    if unknown:
        names = _text(", ".join(dict.fromkeys(unknown)))
        parts.append(f'<div style="{DIM}">note: Operations unknown to penstock, passed through: {names}.</div>')
    return f'<div style="{BOX}">\n' + "\n".join(part for part in parts if part) + "\n</div>"


def _text(text: str) -> str:
    return escape(DRAWN.clean(text), quote=True)


def _verdict(report: Report) -> str:
    color = COLORS["error"] if report.errors else COLORS["ok"] if report.ok else COLORS["warning"]
    about = " · ".join(_text(fact) for fact in facts(report))
    return (
        f'<div><b>{_text(report.measured.model)}: <span style="color:{color}">{verdict_words(report)}</span></b>'
        f' <span style="{DIM}">· {about}</span></div>'
    )


def _findings(findings: Sequence[Finding]) -> str:
    """The worst findings; the others behind a click."""
    blocks = [_finding(item) for item in told(findings)]
    more = blocks[MAX_BLOCKS:]
    details = [f"<details><summary>{len(more)} more findings</summary>", *more, "</details>"] if more else []
    return "\n".join([*blocks[:MAX_BLOCKS], *details])


def _finding(item: Told) -> str:
    finding = item.finding
    color = COLORS[finding.severity]
    lines = [
        f'<b style="color:{color}">{finding.severity.upper()} {_text(finding.code)}</b> <b>{_text(finding.title)}</b>',
        f"at <code>{_text(place_text(finding, MAX_PLACE, DRAWN))}</code>",
        _text(finding.observation),
        f'<span style="{DIM}">cause:</span> {_text(finding.cause)}' if finding.cause else "",
        f'<span style="{DIM}">hint:</span> <code>{_text(finding.hint)}</code>' if finding.hint else "",
    ]
    if finding.others:
        lines.append(f'<span style="{DIM}">also at: {_text(others_text(*split_others(finding.others)))}</span>')
    if item.consequences:
        codes = _text(counted(item.consequences, DRAWN.times))
        lines.append(f'<span style="{DIM}">follows from {_text(finding.code)}: {codes}</span>')
    body = "<br>".join(line for line in lines if line)
    return f'<div style="margin:8px 0;padding-left:8px;border-left:3px solid {color}">{body}</div>'


def _table(report: Report) -> str:
    rows = fold_rows(rows_of(report))
    if not rows:
        return ""
    axes = axes_of(rows)
    errors = frozenset(f.code for f in report.errors)
    titles = ("", "layer", "shape", "forward RMS", "", "backward RMS", "", "grad/w", "zero/flat", "corr")
    head = "".join(f'<th style="{CELL}">{title}</th>' for title in titles)
    body = "\n".join(_row(entry, axes, errors) for entry in entries_of(rows))
    return (
        '<div style="overflow-x:auto;margin-top:8px"><table style="border-collapse:collapse;border:0">\n'
        f"<tr>{head}</tr>\n{body}\n</table></div>"
    )


def _row(entry: Entry, axes: tuple[Axis, Axis], errors: frozenset[str]) -> str:
    count = f" ({DRAWN.times}{entry.count})" if entry.count > 1 else ""
    indent = "&emsp;" * entry.indented
    label = f'{indent}{_text(entry.name)} <span style="{DIM}">{_text(entry.op)}{count}</span>'
    row = entry.row
    if row is None:
        return f'<tr><td></td><td style="{CELL}" colspan="9"><b>{label}</b></td></tr>'
    color = COLORS["error" if errors.intersection(row.codes) else "warning"]
    cells = [
        f'<b style="color:{color}">{_text(code_text(row))}</b>' if row.codes else "",
        label,
        DRAWN.shape(row.shape),
        range_text(row.forward),
        _bar(row.forward, axes[0], FORWARD),
        range_text(row.backward),
        _bar(row.backward, axes[1], BACKWARD),
        number(row.grad_to_weight, digits=2),
        off_share(row),
        number(row.correlation, digits=2),
    ]
    return "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' if cell else "<td></td>" for cell in cells) + "</tr>"


def _bar(value: Range | None, axis: Axis, color: str) -> str:
    """A bar on a log axis, 80 pixels long; what a group spans is paler."""
    if value is None:
        return ""
    low, high = (round(80 * log_position(v, axis)) for v in (min(value), max(value)))
    piece = f'<span style="display:inline-block;height:8px;background:{color};width:'
    paler = f'{piece}{high - low}px;opacity:.4"></span>' if high > low else ""
    return f'{piece}{low}px"></span>{paler}'
