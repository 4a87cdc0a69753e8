"""The report: what was measured and what was found, as one frozen value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.checks.finding import SEVERITIES, Finding, Severity
from penstock.signals import Measured


@dataclass(frozen=True)
class Report:
    """What `penstock.check` found.

    Attributes:
        measured: the graph with its signals and parameters.
        findings: worst first.
    """

    measured: Measured
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not self.at_least("warning")

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return self.at_least("error")

    def at_least(self, severity: Severity, *, ignore: Sequence[str] = ()) -> tuple[Finding, ...]:
        """The findings of this severity or a worse one, without those whose code is in `ignore`."""
        rank = SEVERITIES.index(severity)
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) <= rank and f.code not in ignore)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, with a version: see `penstock.report.json`."""
        from penstock.report.json import report_to_dict

        return report_to_dict(self)

    def to_json(self) -> str:
        """The report as JSON text."""
        from penstock.report.json import report_to_json

        return report_to_json(self)

    def __str__(self) -> str:
        from penstock.report.text import report_to_text

        return report_to_text(self)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len([f for f in self.findings if f.severity == s])} {s}s" for s in SEVERITIES)
        return f"<Report of {self.measured.model}: {counts}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from penstock.report.text import render_report

        yield from render_report(self, width=options.max_width)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from penstock.report.notebook import report_to_html

        return {"text/plain": str(self), "text/html": report_to_html(self)}
