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

import numpy as np
import pytest

BACKENDS = ("tensorflow", "jax", "torch")
SCRIPT = Path(__file__).parent / "backend_cases.py"
MODELS = SCRIPT.with_name("model_cases.py")


def cases_of(*scripts: Path) -> list[str]:
    found = [re.findall(r"^def case_(\w+)", s.read_text(encoding="utf-8"), flags=re.MULTILINE) for s in scripts]
    return [name for names in found for name in names]


CASES = cases_of(SCRIPT, SCRIPT.with_name("promise_cases.py"))
MODEL_CASES = cases_of(MODELS, *(SCRIPT.with_name(f"{part}_cases.py") for part in ("family", "recurrent")))
OWN_CASES = cases_of(SCRIPT.with_name("tensorflow_cases.py"))
FAMILIES = ("mlp", "cnn", "resnet", "transformer", "lstm", "separable", "tied", "gated")
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


@pytest.mark.parametrize("case", MODEL_CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_model_case(backend, case):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    result = told(backend, MODELS)
    assert result["backend"] == backend
    assert case in result["cases"]
    assert case not in result["failures"], result["failures"][case]


@pytest.mark.skipif(not installed("tensorflow"), reason="tensorflow is not installed")
@pytest.mark.parametrize("case", OWN_CASES)
def test_tensorflow_case(case):
    result = told("tensorflow", MODELS)
    assert case in result["cases"]
    assert case not in result["failures"], result["failures"][case]


def pairs():
    """The first backend that is installed, with each of the others."""
    there = [backend for backend in BACKENDS if installed(backend)]
    return [(there[0], other) for other in there[1:]]


@pytest.mark.skipif(not pairs(), reason="needs two backends")
def test_models_are_the_same_on_all_backends():
    for first, second in ((told(a, MODELS)["facts"], told(b, MODELS)["facts"]) for a, b in pairs()):
        assert first.keys() == second.keys()
        assert first["broken"] == second["broken"]
        assert first["rate"] == pytest.approx(second["rate"], rel=0.02)
        compared = 0
        for name in first.keys() - {"broken", "rate"}:
            assert first[name]["digests"] == second[name]["digests"], name
            assert first[name]["forward"] == pytest.approx(second[name]["forward"], rel=1e-4), name
            compared += len(first[name]["forward"])
        assert compared > 10


def alike(first, second):
    """Whether numbers by name are the same but for rounding: in themselves, or beside the largest."""
    floor = 1e-6 * max(np.abs(np.asarray(list(second.values()))).max(), 1e-30)
    return first.keys() == second.keys() and all(
        np.allclose(first[name], second[name], rtol=1e-4, atol=floor) for name in first
    )


@pytest.mark.skipif(not pairs(), reason="needs two backends")
@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_the_same_on_all_backends(name):
    for a, b in pairs():
        first, second = (told(backend, MODELS)["families"][name] for backend in (a, b))
        assert first["recipes"] == second["recipes"]
        assert first["bits"] == second["bits"]
        for state in ("right", "broken"):
            assert first[state]["codes"] == second[state]["codes"]
            assert alike(first[state]["gradients"], second[state]["gradients"])
            # PyTorch's loop over time begins with another product: its first signal is not the same.
            if (name, b) != ("lstm", "torch"):
                assert alike(first[state]["signals"], second[state]["signals"])
        assert not alike(first["right"]["gradients"], second["broken"]["gradients"])
