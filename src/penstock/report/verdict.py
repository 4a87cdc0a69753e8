"""What every report says: whether the model is fine, and the findings if it is not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from os import PathLike
from pathlib import Path

from penstock.checks.finding import SEVERITIES, Finding, Severity


class Verdict(ABC):
    """The part that all reports share, whatever they rest on.

    Attributes:
        findings: worst first.
    """

    findings: tuple[Finding, ...]

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the model's class."""

    @abstractmethod
    def to_json(self) -> str:
        """The report as JSON text."""

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The report's text as an HTML document, which loads nothing; written to `path` if one is given."""
        title, body = escape(f"penstock: {self.model}", quote=True), escape(str(self), quote=True)
        page = f'<!doctype html>\n<meta charset="utf-8">\n<title>{title}</title>\n<pre>{body}</pre>\n'
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

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

    def counted(self) -> str:
        """How many findings of each severity: "1 errors, 0 warnings, 2 notes"."""
        return ", ".join(f"{sum(f.severity == s for f in self.findings)} {s}s" for s in SEVERITIES)
