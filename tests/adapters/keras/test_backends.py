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
CASES = [
    name
    for script in (SCRIPT, SCRIPT.with_name("promise_cases.py"))
    for name in re.findall(r"^def case_(\w+)", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
]
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
def told(backend: str) -> dict:
    """What the cases say on a backend."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False, env=environment)
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
