"""The same seed, batch and names start PyTorch and Keras with the same bits, on every backend of Keras."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from adapters.keras.test_backends import SOURCE, installed, keras_is_installed

SCRIPT = Path(__file__).parent / "seed_cases.py"
FAMILIES = ("mlp", "cnn", "resnet", "transformer", "lstm", "separable", "tied", "gated")
COMPILED = ("mlp", "tied")
"""Of JAX two, with one seed: Flax's models go the same way through its adapter, and each must be compiled."""
PAIRS = [(b, name) for b in ("tensorflow", "torch", "jax") for name in (COMPILED if b == "jax" else FAMILIES)]

pytestmark = pytest.mark.skipif(
    not (keras_is_installed() and installed("torch") and installed("flax")), reason="keras, torch and flax are needed"
)


@functools.cache
def told(backend: str) -> dict:
    """Pair -> seed -> the parameters that differ."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    names = [name for own, name in PAIRS if own == backend]
    command = [sys.executable, SCRIPT, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("backend", "name"), PAIRS)
def test_a_seed_alone_starts_both_alike(backend, name):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    result = told(backend)
    assert result[name] == {seed: [] for seed in (("3",) if backend == "jax" else ("0", "3", "11"))}
    # Control: another seed gives other weights; biases are zero with every seed.
    assert result["control"] == ["a.weight", "b.weight", "c.weight"]
