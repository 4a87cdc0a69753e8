"""The report on ranks and files as text: the verdict and the findings."""

from __future__ import annotations

from rich.text import Text

from penstock.report.ranks_report import RanksReport
from penstock.report.table import signs_for
from penstock.report.text import DEFAULT_WIDTH, MIN_WIDTH, finding_lines, head_lines, sentence_lines, styled


def render_ranks(
    report: RanksReport, *, width: int | None = None, color: bool = True, encoding: str | None = None
) -> list[Text]:
    """The report as rich texts, one a line, of at most `width` cells.

    Args:
        report: what to show.
        width: in cells, at least 48; None for 80.
        color: with styles.
        encoding: where it will be shown; None for that of standard output.
    """
    room, signs = max(width or DEFAULT_WIDTH, MIN_WIDTH), signs_for(encoding)
    lines = head_lines(report, report.facts(), width=room, signs=signs)
    for part in (
        finding_lines(report.findings, width=room, signs=signs),
        sentence_lines(report.holdings.notes, width=room, signs=signs),
    ):
        if part:
            lines += [[], *part]
    return [styled(line, color=color) for line in lines]


def ranks_to_text(report: RanksReport, *, width: int | None = DEFAULT_WIDTH, encoding: str | None = None) -> str:
    """The report as plain text: no colour, no control characters, no line longer than `width` cells."""
    return "\n".join(text.plain for text in render_ranks(report, width=width, color=False, encoding=encoding))
