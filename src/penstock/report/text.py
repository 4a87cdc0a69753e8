"""The report as text: the verdict, the worst findings with their hints, then the table by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text

from penstock.checks.finding import SEVERITIES, Finding
from penstock.report.fold import fold_rows
from penstock.report.layers import Line, layer_table
from penstock.report.order import Told, counted, others_text, place_count, split_others, told
from penstock.report.report import Report
from penstock.report.rows import rows_of
from penstock.report.table import Signs, fold_middle, number, signs_for, wrap
from penstock.report.verdict import Verdict

# So many findings are shown whole; a reader mends the first ones and checks again.
MAX_BLOCKS = 6
MIN_WIDTH, DEFAULT_WIDTH = 48, 80
STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def render_report(
    report: Report, *, width: int | None = None, color: bool = True, encoding: str | None = None
) -> list[Text]:
    """The report as rich texts, one a line, of at most `width` cells.

    Args:
        report: what to show.
        width: in cells, at least 48; None for 80.
        color: with styles.
        encoding: where it will be shown; None for that of standard output. Where it has no block characters,
            bars are drawn in ASCII.
    """
    room = max(width or DEFAULT_WIDTH, MIN_WIDTH)
    lines = report_lines(report, width=room, signs=signs_for(encoding))
    return [styled(line, color=color) for line in lines]


def report_to_text(report: Report, *, width: int | None = DEFAULT_WIDTH, encoding: str | None = None) -> str:
    """The report as plain text: no colour, no control characters, no line longer than `width` cells.

    Args:
        report: what to show.
        width: in cells, at least 48; None for 80.
        encoding: where it will be shown; None for that of standard output.
    """
    return "\n".join(text.plain for text in render_report(report, width=width, color=False, encoding=encoding))


def styled(line: Line, *, color: bool = True) -> Text:
    """One line as rich text."""
    text = Text(no_wrap=True, overflow="ignore")
    for piece, style in line:
        text.append(piece, style if color else "")
    text.rstrip()
    return text


def report_lines(report: Report, *, width: int, signs: Signs) -> list[Line]:
    """All lines of the report, each a list of styled pieces."""
    lines = verdict_lines(report, width=width, signs=signs)
    found = finding_lines(report.findings, width=width, signs=signs)
    rows = fold_rows(rows_of(report))
    errors = frozenset(f.code for f in report.errors)
    table = layer_table(rows, width=width, signs=signs, errors=errors) if rows else []
    for part in (found, table, note_lines(report, width=width, signs=signs)):
        if part:
            lines += [[], *part]
    return lines


def _clean(finding: Finding, signs: Signs) -> Finding:
    """A finding whose texts cannot break the layout."""
    return replace(
        finding,
        code=signs.clean(finding.code),
        title=signs.clean(finding.title),
        place=signs.clean(finding.place),
        observation=signs.clean_lines(finding.observation),
        cause=signs.clean_lines(finding.cause),
        hint=signs.clean_lines(finding.hint),
        others=tuple(signs.clean(name) for name in finding.others),
        follows=None if finding.follows is None else signs.clean(finding.follows),
    )


def verdict_words(report: Verdict) -> str:
    """The verdict in words: "ok", or how many errors and warnings.

    Notes are no reason for concern and are not counted.
    """
    counts = [(sum(f.severity == s for f in report.findings), s) for s in SEVERITIES[:2]]
    words = [f"{n} {severity}{'s' * (n != 1)}" for n, severity in counts if n]
    return ", ".join(words) or "ok"


def facts(report: Report) -> list[str]:
    """What was looked at, as short phrases: parameters, batch, loss."""
    measured = report.measured
    sizes = [(math.prod(p.shape), p.trainable) for p in measured.parameters.values()]
    total, frozen = sum(n for n, _ in sizes), sum(n for n, trainable in sizes if not trainable)
    phrases = [f"{total:,} parameters" + (f" ({frozen:,} frozen)" if frozen else "")]
    if measured.batch_size is not None:
        phrases.append(f"batch of {measured.batch_size}")
    if measured.loss.given:
        constant = measured.loss.constant
        best = f" (best constant guess: {number(constant)})" if constant is not None else ""
        phrases.append(f"loss {number(measured.loss.value)}{best}")
    return phrases


def verdict_lines(report: Report, *, width: int, signs: Signs) -> list[Line]:
    """Model and verdict on the first line; what was looked at beside it, or below where there is no room."""
    return head_lines(report, facts(report), width=width, signs=signs)


def head_lines(report: Verdict, about_it: Sequence[str], *, width: int, signs: Signs) -> list[Line]:
    """The first line of any report, with short phrases about what was looked at."""
    words = verdict_words(report)
    style = STYLES["error"] if report.errors else "bold green" if report.ok else STYLES["warning"]
    model = fold_middle(signs.clean(report.model), width - len(words) - 2, ellipsis=signs.ellipsis)
    line: Line = [(f"{model}: ", "bold"), (words, style)]
    about = f" {signs.dot} ".join(about_it)
    if sum(cell_len(text) for text, _ in line) + 3 + len(about) <= width:
        return [[*line, (f" {signs.dot} {about}", "")]]
    return [line, *([(text, "")] for text in wrap(about, width))]


def finding_lines(findings: Sequence[Finding], *, width: int, signs: Signs) -> list[Line]:
    """The worst findings as blocks; below them the others on a line each; consequences behind what they follow from."""
    items = told([_clean(f, signs) for f in findings])
    whole = [item for item in items if item.finding.severity != "note"][:MAX_BLOCKS]
    lines: list[Line] = []
    explained: set[str] = set()
    for item in whole:
        cause = item.finding.cause
        lines += [[]] * bool(lines) + _block(item.finding, width, signs, explain=cause not in explained)
        lines += _consequences(item, width, signs)
        explained.add(cause)
    rest = [item for item in items if item not in whole]
    if rest and lines:
        lines.append([])
    for code in dict.fromkeys(item.finding.code for item in rest):
        same = [item for item in rest if item.finding.code == code]
        lines += _brief([item.finding for item in same], width, signs)
        lines += _consequences(same[-1], width, signs)
    return lines


def _block(finding: Finding, width: int, signs: Signs, *, explain: bool) -> list[Line]:
    style = STYLES[finding.severity]
    head = fold_middle(f"{finding.severity.upper()} {finding.code}", width // 2, ellipsis=signs.ellipsis) + " "
    title = wrap(finding.title, width - len(head))
    lines: list[Line] = [[(head, style), (title[0], "bold")], *([("  " + text, "bold")] for text in title[1:])]
    lines += _indented("at ", place_text(finding, width - 5, signs), "", width)
    lines += _indented("", finding.observation, "", width)
    if explain and finding.cause:
        lines += _indented("cause: ", finding.cause, "", width)
    if finding.hint:
        lines += _indented("hint: ", finding.hint, "green", width)
    if finding.others:
        names, more = split_others(finding.others)
        names = [fold_middle(name, width - 12, ellipsis=signs.ellipsis) for name in names]
        lines += _indented("also at: ", others_text(names, more), "dim", width)
    return lines


def place_text(finding: Finding, width: int, signs: Signs) -> str:
    """A finding's place and shape in at most `width` cells."""
    shape = f" ({signs.shape(finding.shape)})" if finding.shape else ""
    return fold_middle(finding.place or "the model", width - len(shape), ellipsis=signs.ellipsis) + shape


def _consequences(item: Told, width: int, signs: Signs) -> list[Line]:
    """One dim line with the codes of the findings that follow from this one."""
    if not item.consequences:
        return []
    text = f"follows from {item.finding.code}: {counted(item.consequences, signs.times)}"
    return _indented("", text, "dim", width)


def _brief(findings: Sequence[Finding], width: int, signs: Signs) -> list[Line]:
    """All findings of one code in one sentence: those of too little weight, or too many, for a block."""
    first = findings[0]
    more = sum(place_count(f) for f in findings) - 1
    also = f" (and {more} more)" if more else ""
    head = fold_middle(f"{first.severity.upper()} {first.code}", width // 2, ellipsis=signs.ellipsis) + " "
    sentence = f"{first.title}: {place_text(first, width - 4, signs)}{also}"
    if first.severity == "note":
        sentence += f". {first.observation}"
    body = wrap(sentence, width - len(head))
    lines: list[Line] = [[(head, STYLES[first.severity]), (body[0], "")]]
    return lines + [[(" " * len(head) + text, "")] for text in body[1:]]


def _indented(label: str, text: str, style: str, width: int) -> list[Line]:
    """A label and a text below the finding's head, wrapped under itself."""
    first, *rest = wrap(text, width - 2 - len(label))
    hanging = " " * (2 + len(label))
    return [[(f"  {label}", "dim"), (first, style)], *([(hanging + line, style)] for line in rest)]


def note_lines(report: Report, *, width: int, signs: Signs) -> list[Line]:
    """What could not be measured, and the operations that were passed through."""
    sentences = list(report.measured.notes)
    unknown = report.measured.graph.unknown_ops
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        sentences.append(f"Operations unknown to penstock, passed through: {names}.")
    return sentence_lines(sentences, width=width, signs=signs)


def sentence_lines(sentences: Sequence[str], *, width: int, signs: Signs) -> list[Line]:
    """Sentences at the end of a report, each a note."""
    lines: list[Line] = []
    for sentence in sentences:
        first, *rest = wrap(signs.clean(sentence), width - len("note: "))
        lines += [[("note: ", "dim"), (first, "")], *([("      " + text, "")] for text in rest)]
    return lines
