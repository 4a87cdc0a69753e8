"""The report as a picture of a terminal: SVG that loads nothing from anywhere."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from penstock.report.report import Report
from penstock.report.text import render_report

# Rich's own template loads a font from a server; here the reader's monospaced font is used, and textLength keeps
# the columns in line whatever its width.
SVG_FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix, .{unique_id}-title {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
}}
.{unique_id}-matrix {{
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def report_to_svg(report: Report, *, title: str, width: int = 88) -> str:
    """The report in colour as an SVG picture; the same report gives the same bytes.

    Args:
        report: what to draw.
        title: what stands in the window's title bar, for example the command that was typed.
        width: in character cells.
    """
    return lines_to_svg(render_report(report, width=width, encoding="utf-8"), title=title, width=width)


def lines_to_svg(lines: list[Text], *, title: str, width: int = 88) -> str:
    """Any rich lines as such a picture.

    Args:
        lines: one a line, none longer than `width` cells.
        title: what stands in the window's title bar.
        width: in character cells.
    """
    console = Console(
        record=True, width=width, file=io.StringIO(), color_system="truecolor", force_terminal=True,
        legacy_windows=False, _environ={},
    )  # fmt: skip
    for line in lines:
        console.print(line)
    return console.export_svg(title=title, code_format=SVG_FORMAT, unique_id="penstock")
