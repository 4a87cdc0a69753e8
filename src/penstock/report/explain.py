"""What each finding means, as text for a terminal and as pages of the documentation: one source for both."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from penstock.checks.check import Check
from penstock.report.table import wrap

FAMILIES = {
    "U": "uninitialized or written twice",
    "S": "symmetry and duplicates",
    "F": "forward signal",
    "B": "backward signal",
    "A": "activations",
    "G": "geometry",
    "L": "loss and outputs at step zero",
    "P": "precision",
    "R": "ranks and shards",
}


PICTURE = "Picture"


def explain_to_text(code: str, *, width: int = 80) -> str:
    """What a finding's code means, for a terminal.

    Args:
        code: for example "F101"; in any case.
        width: in cells.

    Raises:
        ArgumentError: if there is no such code.
    """
    # Imported here: the registry loads all checks.
    from penstock.checks.registry import check_of

    return check_to_text(check_of(code), width=width)


def check_to_text(check: Check, *, width: int = 80) -> str:
    """One check's explanation with headings and wrapped paragraphs; its picture is kept as drawn."""
    lines = [f"{check.code} {check.title}"]
    for heading, text in _sections(check):
        lines += ["", heading]
        body = text.strip("\n").split("\n")
        if heading == PICTURE:
            # A drawing is never wrapped; one as wide as the page loses its indent instead.
            indent = "  " if max(map(len, body)) <= width - 2 else ""
            lines += [indent + line for line in body]
        else:
            lines += [f"  {line}" for line in wrap("\n".join(body), width - 2)]
    return "\n".join(line.rstrip() for line in lines)


def _sections(check: Check) -> list[tuple[str, str]]:
    sections = [
        ("What", check.what),
        ("Why", check.why),
        (PICTURE, inspect.cleandoc(check.picture)),
        ("Fix", check.fix),
        ("Silent where", check.silent),
        ("Source", check.source),
    ]
    return [(heading, text) for heading, text in sections if text.strip()]


def check_to_markdown(check: Check) -> str:
    """One check's page of the documentation."""
    lines = [f"# {check.code}: {check.title}"]
    for heading, text in _sections(check):
        body = text.strip("\n")
        lines += ["", f"## {heading}", "", f"```text\n{body}\n```" if heading == PICTURE else body]
    lines += ["", f"In a terminal: `penstock explain {check.code}`. [All findings](index.md)"]
    return "\n".join(lines) + "\n"


def index_to_markdown(checks: Sequence[Check]) -> str:
    """The page that lists all findings by family."""
    doors = "`penstock.check`, `penstock.audit` and `penstock.check_ranks`"
    lines = ["# Findings", "", f"Each finding of {doors} has a stable code. The letter names its family."]
    for letter, family in FAMILIES.items():
        members = sorted((check for check in checks if check.code[0] == letter), key=lambda check: check.code)
        if members:
            lines += ["", f"## {letter}: {family}", "", "| code | what is wrong |", "| --- | --- |"]
            lines += [f"| [{check.code}]({check.code}.md) | {check.title} |" for check in members]
    return "\n".join(lines) + "\n"


def pages_of(checks: Sequence[Check]) -> dict[str, str]:
    """File name and text of each page: one a check, and the index."""
    pages = {f"{check.code}.md": check_to_markdown(check) for check in checks}
    return {**pages, "index.md": index_to_markdown(checks)}


def write_pages(folder: Path, checks: Sequence[Check]) -> list[Path]:
    """Write all pages into a folder and remove those of codes that are gone.

    Returns:
        The pages written, in order.
    """
    pages = pages_of(checks)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.md"):
        if stale.name not in pages:
            stale.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]
