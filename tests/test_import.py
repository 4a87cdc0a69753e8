"""`import penstock` is light, its public names are all there, and these tests can fail."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import penstock

HEAVY = (
    *("torch", "jax", "keras", "tensorflow", "transformers"),
    *("scipy", "numba", "rich", "typer", "matplotlib", "sklearn", "safetensors"),
)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def loaded_by(statement: str) -> set[str]:
    """Which of the heavy packages a statement loads, in a process of its own."""
    done = run_python(f"import sys\n{statement}\nprint([name for name in {HEAVY!r} if name in sys.modules])")
    assert done.returncode == 0, done.stderr
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy():
    assert loaded_by("import penstock") == set()


@pytest.mark.parametrize("package", ["rich", "safetensors"])
def test_the_check_can_fail(package):
    """Control: a package that is loaded is seen."""
    assert package in loaded_by(f"import penstock, {package}")


def test_errors_load_nothing_heavy():
    assert loaded_by("from penstock import PenstockError, Finding") == set()


def test_all_is_sorted_and_complete():
    assert list(penstock.__all__) == sorted(penstock.__all__)
    assert set(penstock.__all__) == {*penstock._HOME, "__version__"}


@pytest.mark.parametrize("name", penstock.__all__)
def test_every_public_name_is_there_and_cached(name):
    value = getattr(penstock, name)
    assert getattr(penstock, name) is value
    assert vars(penstock)[name] is value
    assert name in dir(penstock)


@pytest.mark.parametrize("name", penstock.__all__)
def test_no_module_has_the_name_of_a_function(name):
    """Importing `penstock.gain`, were it a module, would put that module in the function's place."""
    assert importlib.util.find_spec(f"penstock.{name}") is None


def test_a_module_is_found_under_its_name():
    """Control of the test above."""
    assert importlib.util.find_spec("penstock.errors") is not None


@pytest.mark.parametrize("name", sorted(penstock._MODULES))
def test_modules_without_an_import_of_their_own(name):
    done = run_python(f"import penstock\nprint(penstock.{name}.__name__)")
    assert done.stdout.strip() == f"penstock.{name}", done.stderr


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'penstock' has no attribute 'chekc'"):
        penstock.chekc  # noqa: B018  (the look-up itself is what is tested)


def test_eager_import_loads_every_name():
    done = run_python(
        "import penstock\nprint(sorted(set(penstock.__all__) - set(vars(penstock))))", PENSTOCK_EAGER_IMPORT="1"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_lazy_import_leaves_names_for_later():
    """Control of the eager test: without the variable they are not there yet."""
    done = run_python(
        "import penstock\nprint(sorted(set(penstock.__all__) - set(vars(penstock))))", PENSTOCK_EAGER_IMPORT=""
    )
    assert "check" in ast.literal_eval(done.stdout)


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert penstock.__version__ == project["version"]
