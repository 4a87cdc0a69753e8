"""Findings as GitHub workflow commands, so that a check in CI annotates the run."""

from __future__ import annotations

from penstock.checks.finding import Finding
from penstock.report.order import others_text, split_others, told
from penstock.report.text import verdict_words
from penstock.report.verdict import Verdict

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def report_to_github(report: Verdict) -> str:
    """One workflow command a finding, worst first, and the verdict on the last line.

    Findings that follow from another one are left out: mending the cause mends them.

    Source:
        GitHub's workflow commands "error", "warning" and "notice",
        https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    commands = [finding_to_github(item.finding) for item in told(report.findings)]
    # A line of its own that begins with "::" would be read as a command, so the model's name is escaped too.
    return "\n".join([*commands, f"penstock: {escape_message(report.model)}: {verdict_words(report)}"])


def finding_to_github(finding: Finding) -> str:
    """One finding as a workflow command on one line.

    Examples:
        >>> finding_to_github(Finding("F101", "error", "signal vanishes", "fc", (2,), "RMS 1e-9.", "", "", 0.0, 0.0))
        '::error title=F101 signal vanishes::fc: RMS 1e-9.'
    """
    title = escape_property(f"{finding.code} {finding.title}")
    others = f"Also at: {others_text(*split_others(finding.others))}" if finding.others else ""
    hint = f"Hint: {finding.hint}" if finding.hint else ""
    lines = [f"{finding.place or 'the model'}: {finding.observation}", finding.cause, hint, others]
    return f"::{COMMANDS[finding.severity]} title={title}::{escape_message(chr(10).join(filter(None, lines)))}"


def escape_message(text: str) -> str:
    """A workflow command's message: what would end the line, and the sign that escapes."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A workflow command's property: as the message, and what would end the property."""
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
