"""What people read: the overview of an activation, the command, the page, and the lazy name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import penstock
from penstock.errors import ArgumentError
from penstock.meanfield import LeakyShape, Tailored, overview

DOCS = Path(__file__).parents[2] / "docs"


def test_overview():
    text = str(overview("gelu"))
    for part in (
        "exact gain 1.5335 0 1 0.7604 1.072 45 size drifts",
        "He 1.4142 0 0 - 0.5 15 signal dies out",
        "edge of chaos 1.7271 0.1 0.1835 1 1 64 size drifts",
        "kernel-shaped, 40 layers, zeta 1.5 alpha 0.136 beta 0.2571 gamma 10.492 delta -0.1615",
        "tailored, 40 layers, tau 0.3 alpha 0.09149",
    ):
        assert part in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_what_does_not_apply_is_left_out():
    relu = overview("relu")
    assert isinstance(relu.tailored, LeakyShape)
    assert "negative slope 0.3776" in str(relu)
    assert "(variance not balanced)" in str(relu)
    assert [edge.bias_std for edge in relu.edges] == [0.0]
    assert overview("hardtanh").tailored is None
    assert "tailored" not in str(overview("hardtanh"))
    assert "no part of the curve has that slope" in str(overview("identity"))
    assert isinstance(overview("tanh").tailored, Tailored)
    with pytest.raises(ArgumentError, match="depth must be a whole number of at least 1; got 0"):
        overview("tanh", depth=0)


@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "softplus"])
def test_the_page_says_what_the_code_says(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.syspath_prepend(str(DOCS))
    script = importlib.import_module("meanfield_page")
    text = (DOCS / "meanfield.md").read_text(encoding="utf-8")
    found = overview(name)
    for row in (script.start_row(found), script.edge_row(found), script.shape_row(found)):
        assert f"| {row} |\n" in text, "run docs/meanfield_page.py"
    for part in (script.EDGES, script.SHAPES):
        assert part in text


def test_the_page_holds_all_activations():
    text = (DOCS / "meanfield.md").read_text(encoding="utf-8")
    assert text.count("\n| selu |") == 3
    assert text.count("\n| hardshrink |") == 0
    rows = text.partition("## Starts")[2].partition("## Edge")[0].splitlines()
    assert sum(row.startswith("| ") for row in rows) == 31 + 2


def test_it_is_there_without_an_import_of_its_own():
    code = (
        "import sys, penstock\n"
        "assert 'penstock.meanfield' not in sys.modules and 'meanfield' in dir(penstock)\n"
        "print(round(float(penstock.meanfield.trainable_depth('relu', start='torch')), 3))\n"
        "print([name for name in ('torch', 'scipy', 'numba', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["3.349", "[]"]
    assert penstock.meanfield.overview is overview
