"""`penstock.keras` on each backend of Keras, in a process of its own for each."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

BACKENDS = ("tensorflow", "jax", "torch")
SCRIPT = Path(__file__).parent / "backend_cases.py"
MODELS = SCRIPT.with_name("model_cases.py")


def cases_of(*scripts: Path) -> list[str]:
    found = [re.findall(r"^def case_(\w+)", s.read_text(encoding="utf-8"), flags=re.MULTILINE) for s in scripts]
    return [name for names in found for name in names]


CASES = cases_of(SCRIPT, SCRIPT.with_name("promise_cases.py"))
MODEL_CASES = [(b, c) for b in BACKENDS for c in cases_of(MODELS) if ("tensorflow" in c) == (b == "tensorflow")]
SOURCE = Path(__file__).parents[3] / "src"


def installed(package: str) -> bool:
    # By its module and not by import, which would load it; a folder of tests has the same name but no file.
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def keras_is_installed() -> bool:
    try:
        return bool(version("keras"))
    except PackageNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not keras_is_installed(), reason="keras is not installed")


@functools.cache
def told(backend: str, script: Path = SCRIPT) -> dict:
    """What the cases of a script say on a backend."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Small models run once: compiling them well takes longer than running them.
        **({"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if script == MODELS else {}),
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_case(backend, case):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    result = told(backend)
    assert result["backend"] == backend
    assert case in result["cases"]
    assert case not in result["failures"], result["failures"][case]


@pytest.mark.parametrize(("backend", "case"), MODEL_CASES)
def test_model_case(backend, case):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    result = told(backend, MODELS)
    assert result["backend"] == backend
    assert case in result["cases"]
    assert case not in result["failures"], result["failures"][case]


@pytest.mark.skipif(not (installed("jax") and installed("torch")), reason="needs both backends")
def test_models_are_the_same_on_both_backends():
    first, second = (told(backend, MODELS)["facts"] for backend in ("jax", "torch"))
    assert first.keys() == second.keys()
    assert first["broken"] == second["broken"]
    compared = 0
    for name in first.keys() - {"broken"}:
        assert first[name]["digests"] == second[name]["digests"], name
        assert first[name]["forward"] == pytest.approx(second[name]["forward"], rel=1e-4), name
        compared += len(first[name]["forward"])
    assert compared > 10
