"""The report as text: order, widths, folding, signs."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from report_builders import Builder, broken_mlp, finding, healthy_transformer, hostile, mlp, transformer
from rich.cells import cell_len
from rich.console import Console

from penstock.report.report import Report
from penstock.report.table import DRAWN, PLAIN
from penstock.report.text import render_report, report_to_text

X = DRAWN.times
REPORTS = {"broken_mlp": broken_mlp, "healthy_transformer": healthy_transformer, "hostile": hostile}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [80, 120])
def test_golden(name, width, golden):
    golden(f"{name}_{width}.txt", report_to_text(REPORTS[name](), width=width, encoding="utf-8"))


def test_golden_ascii(golden):
    text = report_to_text(broken_mlp(), encoding="ascii")
    assert text.isascii()
    golden("broken_mlp_ascii.txt", text)


def long_names() -> Report:
    """Names, operations and shapes longer than any column, and wide characters."""
    build = Builder("モデル" * 40)
    for i in range(4):
        path = f"backbone.{i}." + "very_long_module_name." * 6 + "層"
        build.add("contraction", "a_rather_long_operation_name" * 2, rms=1e-30, grad_rms=1e30, path=path,
                  shape=(1, 2, 3, 4, 5, 6, 7, 8, 123456), weight=f"{path}.weight")  # fmt: skip
    places = [f"{path}.weight" for path in (n.path for n in build.nodes)]
    return build.report([finding(place=places[0], hint="x" * 300, observation="長い " * 80, others=tuple(places[1:]))])


@pytest.mark.parametrize("width", [48, 60, 64, 80, 88, 100, 120, 200])
@pytest.mark.parametrize("make", [*REPORTS.values(), long_names, lambda: transformer(100).report()])
def test_no_line_is_wider(make, width):
    lines = report_to_text(make(), width=width, encoding="utf-8").split("\n")
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("make", REPORTS.values())
def test_plain_text_has_no_control_characters(make):
    text = report_to_text(make(), encoding="utf-8")
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text) == []


def test_colour_is_only_colour():
    """The same text with and without colour; and colour is really there."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system="truecolor", legacy_windows=False)
    console.print(*render_report(broken_mlp(), width=80, encoding="utf-8"), sep="\n")
    coloured = out.getvalue()
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).rstrip("\n") == report_to_text(broken_mlp(), encoding="utf-8")


def test_order_and_words():
    """Verdict first, worst finding next with its consequences, table, notes; severity is said in words."""
    report = broken_mlp()
    measured = replace(report.measured, notes=("A note.",))
    text = report_to_text(Report(measured, report.findings), encoding="utf-8")
    marks = [
        "GeluMLP: 1 error, 1 warning",
        "163,940 parameters · batch of 32 · loss 2.31 (best constant guess: 2.30)",
        "ERROR F101 forward signal vanishes",
        f"at layers.39 (32{X}64)",
        "hint: penstock.initialize(model, batch)",
        "also at: layers.41",
        f"follows from F101: B101 ({X}2)",
        "WARNING F103",
        "NOTE P102 outlier: head.weight",
        "forward RMS",
        "bars: log scale",
        "note: A note.",
    ]
    places = [text.find(mark) for mark in marks]
    assert -1 not in places
    assert places == sorted(places)
    assert "ERROR B101" not in text
    assert "NOTE B101" not in text


def test_healthy_says_ok():
    assert report_to_text(healthy_transformer(), encoding="utf-8").startswith("GPT: ok · ")


def test_chain_of_consequences_is_told_at_its_first_cause():
    report = mlp(4).report([finding("S101"), finding("F101", follows="S101"), finding("B101", follows="F101")])
    assert "follows from S101: F101, B101" in report_to_text(report)


def test_consequence_without_its_cause_is_told():
    assert "ERROR F101" in report_to_text(mlp(4).report([finding("F101", follows="S101")]))


def test_consequences_in_a_circle_are_told():
    report = mlp(4).report([finding("F101", follows="B101"), finding("B101", follows="F101")])
    text = report_to_text(report)
    assert "ERROR F101" in text
    assert "ERROR B101" in text


@pytest.mark.parametrize("gain", [1.0, 0.97, 0.5])
@pytest.mark.parametrize("flagged", [False, True])
def test_300_layers_below_120_lines(gain, flagged):
    codes = ("F101", "F102", "B101", "B102", "A101", "A102", "G101", "G102", "S101", "P101")
    findings = [
        finding(code, place=f"layers.{i}", others=tuple(f"layers.{j}" for j in range(i, 600, 2)))
        for i, code in enumerate(codes)
    ]
    report = mlp(300, gain=gain).report(findings if flagged else ())
    text = report_to_text(report, encoding="utf-8")
    assert len(text.split("\n")) < 120
    for i in range(len(codes) if flagged else 0):
        assert re.search(rf"^[A-Z]\d+\+? +layers\.{i} ", text, re.MULTILINE), f"layers.{i} was folded away"


def test_300_unlike_layers_below_120_lines():
    """Nothing to fold: neighbours share a line, and what is named keeps its own."""
    build = Builder()
    for i in range(300):
        build.add(
            "contraction",
            "linear",
            rms=10.0 ** (i % 7),
            path=f"part_{'abc'[i % 3]}{i}x{'y' * (i % 50)}",
            weight=f"w{i}",
        )
    place = build.nodes[150].path
    text = report_to_text(build.report([finding(place=place)]), encoding="utf-8")
    assert len(text.split("\n")) < 120
    assert re.search(r"^F101 +part_a150xy? ?", text, re.MULTILINE)
    assert sum(int(n) for n in re.findall(rf"\({X}(\d+)\)", text)) > 250


def test_like_blocks_fold_and_the_named_layer_does_not():
    place = "transformer.h.33.mlp.c_fc.weight"
    text = report_to_text(transformer(100).report([finding("B104", "warning", place)]), encoding="utf-8")
    for heading in (f"transformer.h.0-32 ({X}33)", "transformer.h.33\n", f"transformer.h.34-99 ({X}66)"):
        assert heading in text
    assert re.search(rf"^B104 +mlp\.c_fc linear +4{X}128{X}3072 +0\.550", text, re.MULTILINE)


def test_a_place_with_words_behind_it_marks_its_layer():
    found = finding("G102", others=("layers.0.weight (wanted 1.75, found 0.575)",), place="gelu#2")
    text = report_to_text(mlp(2).report([found]), encoding="utf-8")
    assert re.search(r"^G102 +layers\.0 linear", text, re.MULTILINE)
    assert re.search(r"^G102 +layers\.1 gelu", text, re.MULTILINE)
    assert len(re.findall(r"^G102 ", text, re.MULTILINE)) == 2


def test_bars_are_drawn_in_ascii_where_blocks_cannot_be_shown(monkeypatch):
    """The encoding of standard output decides when none is given."""
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    assert PLAIN.eighths in report_to_text(broken_mlp())
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert "█" in report_to_text(broken_mlp())


def test_report_without_signals():
    """A model whose signals were not measured still has its verdict."""
    report = Builder("Empty").report()
    assert report_to_text(report, encoding="utf-8") == "Empty: ok · 0 parameters · batch of 32"


def test_report_value_uses_these():
    report = broken_mlp()
    assert str(report).startswith("GeluMLP: 1 error, 1 warning")
    assert set(report._repr_mimebundle_()) == {"text/plain", "text/html"}
    out = io.StringIO()
    Console(file=out, width=80).print(report)
    assert [line.rstrip() for line in out.getvalue().rstrip("\n").split("\n")] == str(report).split("\n")
