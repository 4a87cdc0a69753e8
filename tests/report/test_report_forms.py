"""The report as HTML, SVG and workflow commands: whole, escaped, self-contained."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from report_builders import Builder, broken_mlp, finding, healthy_transformer, hostile, mlp

from penstock.report.github import escape_message, escape_property, report_to_github
from penstock.report.notebook import BACKWARD, COLORS, FORWARD, report_to_html
from penstock.report.svg import report_to_svg
from penstock.report.table import DRAWN

REPORTS = [broken_mlp, healthy_transformer, hostile]
VOID = {"br"}


class Reader(HTMLParser):
    """Collects tags and text, and checks that every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("make", REPORTS)
def test_html_is_well_formed_and_inert(make):
    """Only plain tags, styles and spans: no script, nothing loaded, all tags closed."""
    html = report_to_html(make())
    reader = Reader(html)
    assert reader.open == []
    assert reader.tags <= {"div", "b", "span", "code", "br", "table", "tr", "th", "td", "details", "summary"}
    assert reader.attributes <= {"style", "colspan"}
    assert "http" not in html
    assert "url(" not in html


def test_html_shows_hostile_names_as_text():
    text = "".join(Reader(report_to_html(hostile())).words)
    assert "<script>alert('x')</script>" in text
    assert "\x1b" not in text


def test_control_unescaped_names_would_be_tags():
    assert "script" in Reader("<div><script></script></div>").tags


def test_html_has_the_order_of_the_text():
    text = "".join(Reader(report_to_html(broken_mlp())).words)
    follows = f"follows from F101: B101 ({DRAWN.times}2)"
    marks = ["GeluMLP: ", "1 error, 1 warning", "ERROR F101", "hint:", follows, "WARNING F103", "NOTE P102"]
    marks += ["forward RMS", "layers.39"]
    places = [text.find(mark) for mark in marks[:-1]] + [text.rfind(marks[-1])]
    assert -1 not in places
    assert places == sorted(places)


def test_html_hides_the_less_bad_behind_a_click():
    report = mlp(4).report([finding(f"F{i}", place=f"layers.{i}") for i in range(9)])
    assert "<summary>3 more findings</summary>" in report_to_html(report)


def test_html_of_many_layers_is_small():
    assert len(report_to_html(mlp(300).report())) < 50_000


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2.1."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", [*COLORS.values(), FORWARD, BACKWARD])
@pytest.mark.parametrize("ground", ["#ffffff", "#1e1e1e"])
def test_colours_can_be_read_on_light_and_on_dark(color, ground):
    """WCAG asks for 3 to 1 for bold and large text and for graphics."""
    low, high = sorted((luminance(color), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 3.0


@pytest.mark.parametrize("make", REPORTS)
def test_svg_loads_nothing(make):
    svg = report_to_svg(make(), title="penstock check <model> & more")
    assert re.findall(r'\S*http[^"]*', svg) == ['xmlns="http://www.w3.org/2000/svg']
    assert "@font-face" not in svg
    assert "@import" not in svg
    assert re.findall(r"url\((?!#)", svg) == []


def test_svg_is_xml_with_the_text_in_colour():
    svg = report_to_svg(broken_mlp(), title="penstock check <model>")
    root = ElementTree.fromstring(svg)
    text = "".join(root.itertext()).replace("\xa0", " ")
    for mark in ("penstock check <model>", "ERROR F101", "forward signal vanishes", "████"):
        assert mark in text
    assert "fill: #cc555a" in svg


def test_svg_is_the_same_each_time():
    assert report_to_svg(broken_mlp(), title="x") == report_to_svg(broken_mlp(), title="x")


def test_svg_does_not_depend_on_the_terminal(monkeypatch):
    plain = report_to_svg(broken_mlp(), title="x")
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "40")):
        monkeypatch.setenv(name, value)
    assert report_to_svg(broken_mlp(), title="x") == plain


def test_github_commands():
    lines = report_to_github(broken_mlp()).split("\n")
    assert [line.split("::")[1].split(" ")[0] for line in lines[:-1]] == ["error", "warning", "notice"]
    assert lines[0].startswith("::error title=F101 forward signal vanishes::layers.39: RMS falls")
    assert "%0AHint: penstock.initialize(model, batch)%0AAlso at: layers.41," in lines[0]
    assert lines[-1] == "penstock: GeluMLP: 1 error, 1 warning"


def test_github_healthy_is_one_line():
    assert report_to_github(healthy_transformer()) == "penstock: GPT: ok"


def test_github_hostile_names_add_no_command():
    lines = report_to_github(hostile()).split("\n")
    assert len(lines) == 2
    title = lines[0].removeprefix("::error title=").split("::")[0]
    assert not set(title) & set(",\r\n:")


def test_github_escapes():
    assert escape_message("100%\r\na: b, c") == "100%25%0D%0Aa: b, c"
    assert escape_property("100%\r\na: b, c") == "100%25%0D%0Aa%3A b%2C c"


def test_forms_of_a_report_without_signals():
    report = Builder("Empty").report(batch_size=None)
    assert "Empty: " in "".join(Reader(report_to_html(report)).words)
    assert "Empty" in report_to_svg(report, title="x")
