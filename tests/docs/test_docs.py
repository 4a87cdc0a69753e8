"""The documentation says what the code says: generated pages are up to date, links lead somewhere, examples run."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from penstock.checks.registry import CHECKS
from penstock.planning.rules import RULES
from penstock.recipes import catalogue
from penstock.report.explain import pages_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """Imports a script of docs/ by name."""
    monkeypatch.syspath_prepend(str(DOCS))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def dead_links(text: str, folder: Path) -> list[str]:
    local = [link.partition("#")[0] for link in LINK.findall(text) if not link.startswith(("https://", "#"))]
    return [link for link in local if not (folder / link).exists()]


def test_pages_of_the_findings_are_up_to_date():
    pages = pages_of(CHECKS)
    assert {path.name for path in (DOCS / "findings").iterdir()} == set(pages)
    for name, text in pages.items():
        assert text_of(DOCS / "findings" / name) == text, f"{name}: run make docs"


def test_recipes_and_rules_are_up_to_date(script):
    blocks = script("blocks")
    assert text_of(DOCS / "recipes.md") == blocks.recipes_page(), "run make docs"
    assert blocks.rules_table() in text_of(DOCS / "how_it_works.md"), "run make docs"
    assert all(f"### {entry.name}\n" in blocks.recipes_page() for entry in catalogue())
    assert all(f"| {name} | " in blocks.rules_table() for name, _ in RULES)


def test_named_plans_are_up_to_date(script):
    assert text_of(DOCS / "named_plans.md") == script("named_plans").page(), "run make docs"


def test_a_block_goes_between_its_marks(script):
    blocks = script("blocks")
    text = "a\n<!-- x: written by make docs -->\nold\n<!-- end of x -->\nb"
    changed = blocks.with_block(text, "x", "new")
    assert changed == text.replace("old", "new")
    assert blocks.with_block(changed, "x", "old") == text
    with pytest.raises(ValueError, match=r"the page must hold '<!-- y: "):
        blocks.with_block(text, "y", "new")


@pytest.mark.parametrize("place", range(12))
def test_each_broken_start_is_found_and_mended(script, place):
    """Floats may differ from one processor to another, so that codes and verdicts are compared, not pages."""
    gallery = script("gallery")
    assert len(gallery.CASES) == 12
    case = gallery.CASES[place]
    shown = gallery.play(case)
    found = shown.before.findings[0]
    assert (found.code, found.severity in ("error", "warning")) == (case.finds, True)
    assert shown.after.ok
    assert shown.file.is_file(), "run make docs"
    for page in (ROOT / "README.md", DOCS / "gallery.md")[place >= gallery.IN_README :]:
        assert case.title in text_of(page)
        assert case.code in text_of(page)
        assert found.title in text_of(page)


def test_a_healthy_start_would_not_pass_for_broken(script):
    """Control: the gallery's own way of playing a case finds nothing in a good start."""
    gallery = script("gallery")
    case = gallery.Case("healthy", "model = mlp(depth=3)\npenstock.initialize(model, batch)", "")
    assert gallery.play(case).before.errors == ()


def test_the_readme_runs(capsys):
    code = PYTHON.findall(text_of(ROOT / "README.md"))[0]
    exec(code, {})
    assert "Sequential: " in capsys.readouterr().out


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 170


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    assert dead_links(text_of(path), path.parent) == []


def test_dead_links_are_seen():
    """Control of the test above."""
    assert dead_links("[a](nowhere.md) [b](index.md#part) [c](https://example.org)", DOCS) == ["nowhere.md"]


def test_the_picture_loads_nothing():
    text = text_of(DOCS / "report.svg")
    ElementTree.fromstring(text)
    assert "F101" in text
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text.replace("url(#", "")


def test_the_picture_is_of_that_report(script):
    """The same words, whatever the numbers are on this machine."""
    drawn = script("picture").picture()

    def words(text: str) -> set[str]:
        return set(re.findall(r"[FGBLS]\d{3}|Sequential|forward|backward", text))

    assert words(drawn) == words(text_of(DOCS / "report.svg"))
