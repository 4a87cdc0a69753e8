"""What findings mean, as text and as pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from penstock.checks.check import Check
from penstock.checks.registry import CHECKS
from penstock.errors import ArgumentError
from penstock.report.explain import check_to_markdown, check_to_text, explain_to_text, pages_of, write_pages

FINDINGS = Path(__file__).resolve().parents[2] / "docs" / "findings"


def check(code: str = "F101", **changes: str) -> Check:
    texts = {
        "title": "forward signal vanishes",
        "what": "RMS of the trunk against the input's. " * 5,
        "why": "No gradient comes back through it.",
        "picture": "in  ████\nout ▏",
        "fix": "Call:\n    penstock.initialize(model, batch)",
        "silent": "",
        "source": "He et al. 2015, eq. 10",
    }
    return Check(code=code, **(texts | changes), run=lambda measured: ())


def test_text(golden):
    text = check_to_text(check())
    assert max(map(cell_len, text.split("\n"))) <= 80
    golden("explain.txt", text)


def test_page(golden):
    golden("explain.md", check_to_markdown(check()).rstrip("\n"))


def test_write_pages_removes_those_that_are_gone(tmp_path):
    (tmp_path / "F999.md").write_text("old")
    written = write_pages(tmp_path, [check(), check("B101", title="gradient vanishes")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["B101.md", "F101.md", "index.md"]
    assert [path.read_text(encoding="utf-8") for path in written] == list(
        pages_of([check(), check("B101", title="gradient vanishes")]).values()
    )


def test_index_lists_each_code_in_its_family():
    index = pages_of([check("F102"), check("F101"), check("B101")])["index.md"]
    assert index.index("[F101](F101.md)") < index.index("[F102](F102.md)") < index.index("## B: backward signal")


def test_every_code_is_explained():
    for known in CHECKS:
        text = explain_to_text(known.code.lower())
        assert text.startswith(f"{known.code} {known.title}")
        assert max(map(cell_len, text.split("\n"))) <= 80


def test_every_code_is_in_the_index():
    pages = pages_of(CHECKS)
    assert set(pages) == {f"{known.code}.md" for known in CHECKS} | {"index.md"}
    for known in CHECKS:
        assert f"[{known.code}]({known.code}.md)" in pages["index.md"]


def test_unknown_code_names_the_nearest():
    with pytest.raises(ArgumentError, match="Did you mean 'F101'"):
        explain_to_text("F1O1")


def test_committed_pages_are_the_generated_ones():
    """Run docs/generate.py where this fails."""
    committed = {path.name: path.read_text(encoding="utf-8") for path in FINDINGS.glob("*.md")}
    assert committed == pages_of(CHECKS)
