"""The structure holds, and each rule rejects a source that breaks it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("penstock_architecture", HERE / "architecture.py")
assert SPEC is not None
assert SPEC.loader is not None
architecture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(architecture)


def test_the_source_keeps_the_structure():
    assert architecture.all_problems() == []


def test_the_source_is_read():
    """Control: the walk sees the files, so that an empty list means something."""
    modules = {architecture.module_name(path) for path in architecture.SOURCE.rglob("*.py")}
    assert {"__init__", "errors", "geometry", "checks.finding", "report.report"} <= modules


@pytest.mark.parametrize(
    ("module", "text", "wanted"),
    [
        ("geometry", "from penstock.graph import Graph", "imports penstock.graph, which lies above geometry"),
        ("errors", "import penstock.report.text", "imports penstock.report, which lies above errors"),
        ("moments", "def f():\n    from penstock.planning import plan", "lies above moments"),
        ("graph", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from penstock.doors import check", "doors"),
        ("checks.finding", "from ..report import text", "imports penstock.report, which lies above checks"),
        ("recipes.he", "from penstock import doors", "imports penstock.doors, which lies above recipes"),
        ("cli.app", "from penstock import check", "name the module that defines it"),
        ("cli.app", "import penstock", "name the module that defines it"),
        ("graph", "import torch", "only the adapter penstock.torch may"),
        ("cli.app", "def f():\n    import torch.nn as nn", "only the adapter penstock.torch may"),
        ("torch.trace", "import jax", "only the adapter penstock.jax may"),
        ("demo.run", "import torch", "inside functions only"),
        ("surprise", "", "is not in ORDER"),
    ],
)
def test_bad_imports_are_rejected(module, text, wanted):
    problems = architecture.import_problems(text, module)
    assert len(problems) == 1
    assert wanted in problems[0]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("graph", "from penstock.geometry import Geometry\nimport numpy as np"),
        ("report.report", "def f():\n    from penstock.report.json import report_to_dict"),
        ("torch.trace", "import torch\nfrom torch import nn"),
        ("demo.run", "def f():\n    import torch"),
        ("demo.run", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("checks.forward", "from .finding import Finding"),
        ("cli.app", "from penstock.torch.tensors import from_numpy"),
        ("__init__", "from penstock.doors import check"),
        ("graph", "import torchinfo_like_name"),
    ],
)
def test_good_imports_are_accepted(module, text):
    assert architecture.import_problems(text, module) == []


def test_relative_imports_of_a_package_count_from_the_package():
    text = "from ..report import text"
    assert architecture.import_problems(text, "checks", is_package=True)[0].startswith("checks:1: imports")


def test_long_files_and_functions_are_rejected():
    limit = architecture.MAX_FILE_LINES
    assert architecture.size_problems("x = 1\n" * limit, "graph") == []
    assert architecture.size_problems("x = 1\n" * (limit + 1), "graph") == [
        f"graph: {limit + 1} lines; at most {limit}"
    ]

    def function(lines: int, docstring: int = 0) -> str:
        text = "    '''Says it.\n" + "\n" * (docstring - 2) + "    '''\n" if docstring else ""
        return "def long():\n" + text + "    x = 1\n" * (lines - 1)

    limit = architecture.MAX_FUNCTION_LINES
    assert architecture.size_problems(function(limit, docstring=40), "graph") == []
    assert "long has 61 lines without its docstring" in architecture.size_problems(function(limit + 1), "graph")[0]


def test_stale_exceptions_are_rejected(monkeypatch):
    monkeypatch.setattr(architecture, "EXCEPTIONS", {("geometry", "report"): "for no reason"})
    assert architecture.stale_exceptions() == ["geometry: EXCEPTIONS lets it import penstock.report, which it does not"]


def test_the_script_fails_on_a_bad_tree(tmp_path):
    """The command that lint runs exits with 1 when a rule is broken."""
    script = tmp_path / "tests" / "architecture.py"
    source = tmp_path / "src" / "penstock"
    script.parent.mkdir()
    source.mkdir(parents=True)
    script.write_text((HERE / "architecture.py").read_text(encoding="utf-8"), encoding="utf-8")
    (source / "errors.py").write_text("import torch\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "errors:1: imports torch; only the adapter penstock.torch may" in done.stdout
