"""`assert_healthy`, as a function and as a pytest fixture."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch_models import integers, normal, seeded

from penstock.errors import ArgumentError, ModelError
from penstock.testing import assert_healthy

SOURCE = Path(__file__).resolve().parents[1] / "src"
X = normal(32, 16)


def healthy() -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))


def equal_units() -> nn.Module:
    model = seeded(healthy)
    nn.init.ones_(model[0].weight)
    return model


def test_a_healthy_model_passes():
    assert_healthy(seeded(healthy), X)
    assert_healthy(seeded(healthy), X, loss=lambda o: F.cross_entropy(o, integers(32, high=4)))


def test_a_broken_one_fails_with_its_findings():
    with pytest.raises(AssertionError) as failed:
        assert_healthy(equal_units(), X)
    text = str(failed.value)
    assert text.startswith("Sequential is not healthy: ")
    assert "S101 error: " in text
    assert "\n  at: 0.weight (16, 16)" in text
    assert "\nHint: penstock.initialize(model, batch)" in text


def test_ignored_codes_and_milder_severities_pass():
    with pytest.raises(AssertionError, match="S101"):
        assert_healthy(equal_units(), X, severity="error", ignore=["G102"])
    assert_healthy(equal_units(), X, severity="error", ignore=["S101"])


def test_the_model_is_left_as_it_was():
    model = equal_units()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(AssertionError, match="not healthy"):
        assert_healthy(model, X)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"severity": "warn"}, ArgumentError, r"severity must be one of error, warning, note; got 'warn'"),
        ({"ignore": "S101"}, ArgumentError, r"ignore must be a list of codes; got the string 'S101'"),
        ({"loss": lambda o: o}, ArgumentError, r"loss must return a scalar"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], text: str):
    with pytest.raises(error, match=text):
        assert_healthy(seeded(healthy), X, **options)


def test_a_model_that_raises_is_no_assertion():
    with pytest.raises(ModelError, match="must run on the batch"):
        assert_healthy(seeded(healthy), normal(32, 15))


TESTS = """
    import torch

    def model(std):
        torch.manual_seed(0)
        made = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
        torch.nn.init.constant_(made[0].weight, 1.0) if std == 0 else None
        return made

    def test_right(assert_healthy):
        assert_healthy(model(1), torch.randn(32, 16))

    def test_wrong(assert_healthy):
        assert_healthy(model(0), torch.randn(32, 16))
"""


def run(arguments: list[str], folder: Path) -> str:
    command = [sys.executable, *arguments]
    # Where penstock is installed its entry point would register the plugin a second time.
    env = {"PYTHONPATH": str(SOURCE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr


def test_the_fixture(tmp_path: Path):
    (tmp_path / "test_models.py").write_text(textwrap.dedent(TESTS), encoding="utf-8")
    text = run(["-m", "pytest", "-q", "-p", "penstock.pytest_plugin", "test_models.py"], tmp_path)
    assert "1 failed, 1 passed" in text, text
    assert "S101 error" in text


LOADED = "import sys; import penstock.pytest_plugin; {extra}; print(sorted(m for m in {names} if m in sys.modules))"
HEAVY = ("torch", "scipy", "numba", "rich", "penstock.doors", "penstock.testing")


@pytest.mark.parametrize(
    ("extra", "loaded"), [("pass", []), ("import penstock.testing", ["penstock.doors", "penstock.testing"])]
)
def test_the_plugin_loads_nothing_heavy(extra: str, loaded: list[str], tmp_path: Path):
    """The second row is the control: the list is not empty when something is loaded."""
    assert run(["-c", LOADED.format(extra=extra, names=HEAVY)], tmp_path).strip() == str(loaded)


def test_the_plugin_is_registered():
    import tomllib

    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"penstock": "penstock.pytest_plugin"}
