"""The report: what was measured and what was found, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.checks.finding import Finding
from penstock.report.verdict import Verdict
from penstock.signals import Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def written(text: str, path: str | PathLike[str] | None) -> str:
    """The text, which is also written to a file if one is given."""
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


@dataclass(frozen=True)
class Report(Verdict):
    """What `penstock.check` found.

    Attributes:
        measured: the graph with its signals and parameters.
        findings: worst first.
    """

    measured: Measured
    findings: tuple[Finding, ...]

    @property
    def model(self) -> str:
        """Name of the model's class."""
        return self.measured.model

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, with a version: see `penstock.report.json`."""
        from penstock.report.json import report_to_dict

        return report_to_dict(self)

    def to_json(self) -> str:
        """The report as JSON text."""
        from penstock.report.json import report_to_json

        return report_to_json(self)

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The report as one self-contained HTML document, which loads nothing; written to `path` if one is given.

        Examples:
            >>> import torch
            >>> report = penstock.check(torch.nn.Linear(4, 2), torch.ones(3, 4))
            >>> report.to_html().startswith("<!doctype html>")
            True
        """
        from penstock.report.page import report_to_page

        return written(report_to_page(self), path)

    def figure(self, *, size: tuple[float, float] = (11.0, 7.5)) -> Figure:
        """The report as a Matplotlib figure: RMS, distributions, saturation, gradient-to-weight ratios by layer.

        Needs the extra `plot`. `report.figure().savefig("start.pdf")` writes it.

        Args:
            size: width and height in inches.
        """
        from penstock.report.figure import report_figure

        return report_figure(self, size=size)

    def __str__(self) -> str:
        from penstock.report.text import report_to_text

        return report_to_text(self)

    def __repr__(self) -> str:
        return f"<Report of {self.model}: {self.counted()}>"

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from penstock.report.text import render_report

        yield from render_report(self, width=options.max_width)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from penstock.report.notebook import report_to_html

        return {"text/plain": str(self), "text/html": report_to_html(self)}
