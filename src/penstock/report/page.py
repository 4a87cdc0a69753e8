"""The report as one HTML file: verdict, findings, the signal through the depth, every layer; nothing loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from penstock.checks.finding import Finding
from penstock.report.order import Told, counted, others_text, split_others, told
from penstock.report.plan_text import PlanRow, fold_plan
from penstock.report.report import Report
from penstock.report.rows import Row, rows_of
from penstock.report.table import DRAWN, number
from penstock.report.text import facts, verdict_words
from penstock.web.page import asset, page

OPEN_FINDINGS = 3
"""So many findings are open; a reader mends the first ones and checks again."""


def report_to_page(report: Report) -> str:
    """A whole HTML document about one report."""
    return _page(report.measured.model, [("", report)])


def before_after_to_page(before: Report, after: Report, plan: Sequence[PlanRow], *, notes: Sequence[str] = ()) -> str:
    """A whole HTML document about an initialization: what changed, and what was written and why.

    Args:
        before: the report of the model as it came.
        after: the report of the model as it is now.
        plan: one row a parameter.
        notes: sentences about the plan.
    """
    return _page(after.measured.model, [("before", before), ("after", after)], plan, notes)


def _page(
    model: str, reports: Sequence[tuple[str, Report]], plan: Sequence[PlanRow] = (), notes: Sequence[str] = ()
) -> str:
    body = [
        f"<header><h1>{_text(model)}</h1>{''.join(_verdict(label, report) for label, report in reports)}</header>",
        "<main>",
        *(_findings(label, report.findings) for label, report in reports),
        '<section id="depth" aria-label="The signal through the depth"></section>',
        '<section id="layers" aria-label="Layers"></section>',
        _plan(plan, notes),
        *(_notes(label, report) for label, report in reports),
        "<noscript><p>The pictures and the table of layers need JavaScript; the findings above do not.</p></noscript>",
        "</main>",
        '<p class="visually-hidden" role="status" id="status"></p>',
    ]
    return page(
        f"{model} · penstock",
        body="\n".join(part for part in body if part),
        styles=[asset("penstock.web", "style.css"), asset("penstock.report", "page.css")],
        scripts=[asset("penstock.web", "chart.js"), asset("penstock.report", "page.js")],
        data={"reports": [_data(label, report) for label, report in reports]},
    )


def _text(text: str) -> str:
    return escape(DRAWN.clean(text), quote=True)


def _verdict(label: str, report: Report) -> str:
    tone = "bad" if report.errors else "good" if report.ok else "warn"
    sign = {"bad": "✗", "good": "✓", "warn": "!"}[tone]
    name = f"<b>{label}</b> " if label else ""
    about = " · ".join(_text(fact) for fact in facts(report))
    words = f'<b class="{tone}">{sign} {verdict_words(report)}</b>'
    return f'<p class="verdict">{name}{words} <span class="dim">{about}</span></p>'


def _findings(label: str, findings: Sequence[Finding]) -> str:
    """The worst findings open; the others, and all that are mended since, behind a click."""
    items = [_finding(item) for item in told(findings)]
    if not items:
        return ""
    shown = 0 if label == "before" else OPEN_FINDINGS
    title = {"before": "What was found before", "after": "What is left", "": "What was found"}[label]
    more = len(items) - shown
    folded = f"{more} findings" if shown == 0 else f"{more} more"
    rest = f"<details><summary>{folded}</summary>{''.join(items[shown:])}</details>" if more > 0 else ""
    return f"<section><h2>{title}</h2>{''.join(items[:shown])}{rest}</section>"


def _finding(item: Told) -> str:
    found = item.finding
    code = f'<span class="code">{found.severity} {_text(found.code)}</span>'
    cause = f"<dt>cause</dt><dd>{_text(found.cause)}</dd>" if found.cause else ""
    others = f"<dt>also at</dt><dd>{_text(others_text(*split_others(found.others)))}</dd>" if found.others else ""
    follows = f"<dt>follows from it</dt><dd>{_text(counted(item.consequences, '×'))}</dd>" if item.consequences else ""
    copy = '<button class="copy" type="button">Copy</button>'
    hint = f'<dt>hint</dt><dd class="hint"><pre>{_text(found.hint)}</pre>{copy}</dd>' if found.hint else ""
    return (
        f'<article class="finding {found.severity}"><h3>{code} {_text(found.title)}</h3>'
        f"<p>at <code>{_text(found.place)}</code>: {_text(found.observation)}</p>"
        f"<dl>{cause}{hint}{others}{follows}</dl></article>"
    )


def _plan(rows: Sequence[PlanRow], notes: Sequence[str]) -> str:
    if not rows:
        return ""
    lines = [
        f"<tr><td><code>{_text(row.name)}</code>{f' (×{row.count})' if row.count > 1 else ''}</td>"
        f"<td>{DRAWN.shape(row.shape)}</td><td>{_text(row.recipe)}</td><td>{number(row.std)}</td>"
        f"<td>{_text(row.reason)}</td></tr>"
        for row in fold_plan(rows)
    ]
    head = "<tr><th>parameter</th><th>shape</th><th>recipe</th><th>std</th><th>why</th></tr>"
    said = "".join(f'<p class="dim">{_text(note)}</p>' for note in notes)
    return (
        f'<section><h2>What was written, and why</h2><div class="wide" tabindex="0" role="region" aria-label="Plan">'
        f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table></div>{said}</section>"
    )


def _notes(label: str, report: Report) -> str:
    unknown = dict.fromkeys(report.measured.graph.unknown_ops)
    notes = [*report.measured.notes]
    if unknown:
        notes.append(f"Operations unknown to penstock, passed through: {', '.join(unknown)}.")
    name = f"{label}: " if label else ""
    return "".join(f'<p class="dim">{name}{_text(note)}</p>' for note in notes)


def _data(label: str, report: Report) -> dict[str, Any]:
    errors = {f.code for f in report.errors}
    trunk = set(report.measured.graph.trunk)
    rows = [_row(report, row, errors, trunk) for row in rows_of(report)]
    return {"label": label, "columns": COLUMNS, "rows": rows}


COLUMNS = (
    "name op shape block forward backward gradToWeight zero flat correlation codes error trunk quantiles gradQuantiles"
).split()
"""What a row holds, in order: lists are half the size of objects, and a model may have a thousand rows."""


def _row(report: Report, row: Row, errors: set[str], trunk: set[int]) -> list[Any]:
    signal = report.measured.signals[row.node]
    return [
        DRAWN.clean(row.name),
        DRAWN.clean(row.op),
        list(row.shape),
        DRAWN.clean(row.block),
        _number(row.forward and row.forward[0]),
        _number(row.backward and row.backward[0]),
        _number(row.grad_to_weight),
        _number(row.zero_share),
        _number(row.flat_share),
        _number(row.correlation),
        list(row.codes),
        any(code in errors for code in row.codes),
        row.node in trunk,
        [] if signal is None else [_number(q, 3) for q in signal.quantiles],
        [] if signal is None else [_number(q, 3) for q in signal.grad_quantiles],
    ]


def _number(value: float | None, digits: int = 4) -> float | str | None:
    """A number of few digits; what JSON has no number for, as a word."""
    if value is None:
        return None
    return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)
