"""The report of an audit as text: the verdict, the findings, then who wrote each group of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text

from penstock.provenance import Audited, TensorRecord
from penstock.report.audit_report import AuditReport
from penstock.report.layers import Line
from penstock.report.plan_text import INDEX, PlanRow, table_lines
from penstock.report.table import Signs, signs_for
from penstock.report.text import DEFAULT_WIDTH, MIN_WIDTH, finding_lines, head_lines, sentence_lines, styled

PATH_WORDS = {"direct": "directly", "meta": "on the meta device"}


def render_audit(
    report: AuditReport, *, width: int | None = None, color: bool = True, encoding: str | None = None
) -> list[Text]:
    """The report as rich texts, one a line, of at most `width` cells.

    Args:
        report: what to show.
        width: in cells, at least 48; None for 80.
        color: with styles.
        encoding: where it will be shown; None for that of standard output.
    """
    room = max(width or DEFAULT_WIDTH, MIN_WIDTH)
    return [styled(line, color=color) for line in _lines(report, width=room, signs=signs_for(encoding))]


def audit_to_text(report: AuditReport, *, width: int | None = DEFAULT_WIDTH, encoding: str | None = None) -> str:
    """The report as plain text: no colour, no control characters, no line longer than `width` cells."""
    return "\n".join(text.plain for text in render_audit(report, width=width, color=False, encoding=encoding))


def _lines(report: AuditReport, *, width: int, signs: Signs) -> list[Line]:
    audited = report.audited
    lines = head_lines(report, _facts(audited), width=width, signs=signs)
    rows = _pooled([_row(tensor) for tensor in audited.tensors.values()])
    table = table_lines(rows, width=width, signs=signs, titles=("asked", "by")) if rows else []
    for part in (
        finding_lines(report.findings, width=width, signs=signs),
        [[(line, "")] for line in table],
        sentence_lines(_notes(audited), width=width, signs=signs),
    ):
        if part:
            lines += [[], *part]
    return lines


def _facts(audited: Audited) -> list[str]:
    kinds = [tensor.kind for tensor in audited.tensors.values()]
    counts = [(kinds.count(kind), kind) for kind in ("parameter", "buffer")]
    phrases = [f"{n:,} {kind}{'s' * (n != 1)}" for n, kind in counts if n or kind == "parameter"]
    return [*phrases, f"built {' and '.join(PATH_WORDS[path] for path in audited.paths)}", audited.library]


def _notes(audited: Audited) -> list[str]:
    ran = [f"On the meta path this was run: {', '.join(audited.own)}."] if audited.own else []
    return [*ran, *audited.notes]


def _row(tensor: TensorRecord) -> PlanRow:
    """What is shown of one tensor: what was asked, the measured std, and who asked where."""
    history = tensor.shown
    last = history.last
    if last is None:
        asked, by = "nothing" if history.unwritten or not tensor.size else "not seen", ""
    else:
        asked, by = last.asked, f"{last.writer}, {last.site}" if last.writer not in last.site else last.site
        later = len(history.writes) - 1 - history.writes.index(last)
        asked += f" +{later}" if later else ""
        if history.unwritten:
            asked = f"{asked} (in part)"
    if tensor.direct is not None and tensor.meta is not None and tensor.meta.unwritten and not history.unwritten:
        asked = f"not on meta: {asked}"
    return PlanRow(
        tensor.name, tensor.shape, asked, None if history.unwritten >= 1 or not tensor.size else history.std, by
    )


def _pooled(rows: Sequence[PlanRow]) -> list[PlanRow]:
    """The rows with the RMS of the stds of all that differ in the indices of their names only: these fold into one."""
    groups: dict[tuple[object, ...], list[PlanRow]] = {}
    for row in rows:
        groups.setdefault((INDEX.sub("#", row.name), row.shape, row.recipe, row.reason), []).append(row)
    pooled = {}
    for same in groups.values():
        known = [row.std for row in same if row.std is not None]
        std = math.sqrt(sum(s * s for s in known) / len(known)) if known else None
        pooled.update({row.name: std for row in same})
    return [replace(row, std=pooled[row.name]) for row in rows]
