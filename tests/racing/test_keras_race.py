"""Races of Keras models on each backend of Keras, in a process of its own for each."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("keras_cases.py")
CASES = re.findall(r"^def case_(\w+)", SCRIPT.read_text(encoding="utf-8"), flags=re.MULTILINE)
COMPILED = ["an_arm_is_what_keras_trains", "every_start_by_name"]
"""What a backend does of its own. On JAX, where each race is compiled anew, these cases alone are run."""

RUNS = {"tensorflow": CASES, "torch": CASES, "jax": COMPILED}

pytestmark = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is not installed")


@functools.cache
def told(backend: str) -> dict:
    """What the cases say on a backend."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folders = [str(SCRIPT.parents[2] / "src"), str(SCRIPT.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONPATH": os.pathsep.join(folders),
    }
    command = [sys.executable, str(SCRIPT), *RUNS[backend]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("backend", "case"), [(backend, case) for backend, cases in RUNS.items() for case in cases])
def test_case(backend, case):
    result = told(backend)
    assert result["backend"] == backend
    assert case not in result["failures"], result["failures"][case]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_backend_trains_the_same_arms(backend):
    """Draws follow from seed and name, batches from the seed: the losses of every start are those of PyTorch."""
    here, there = told(backend)["facts"]["losses"], told("torch")["facts"]["losses"]
    assert here.keys() == there.keys()
    for start, losses in there.items():
        np.testing.assert_allclose(here[start], losses, rtol=1e-3, err_msg=start)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):  # control: another start
        np.testing.assert_allclose(here["he"], there["lsuv"], rtol=1e-3)
