"""Models of `keras.applications`, one a family: checked, planned and initialized without an error left.

All of them are run by `benchmarks/applications.py`, which needs an hour; its table is in `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("zoo_cases.py")
SOURCE = Path(__file__).parents[3] / "src"
FAMILIES = (
    "ConvNeXtTiny DenseNet121 EfficientNetB0 InceptionV3 MobileNet MobileNetV2 MobileNetV3Small ResNet50V2 VGG16 "
    "Xception"
).split()
BROKEN = "MobileNet:broken"

pytestmark = pytest.mark.skipif(not (find_spec("keras") and find_spec("torch")), reason="needs keras and torch")


@functools.cache
def told() -> dict[str, dict]:
    """What the script says of each model, on PyTorch: it compiles nothing, so a model's first run is its last."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, str(SCRIPT), *FAMILIES, BROKEN]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["name"]: line for line in lines}


def errors(findings: list[list[str]]) -> list[list[str]]:
    return [f for f in findings if f[1] == "error"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_starts_well(name):
    found = told()[name]
    assert errors(found["after"]) == []
    assert found["unread"] == []
    assert found["planned"] == found["trainable"]
    # What keeps its values was made small on purpose.
    assert all("scale" in reason or "multipl" in reason for reason in found["kept"].values()), found["kept"]


@pytest.mark.parametrize("name", FAMILIES)
def test_keras_own_start_is_no_wrong_fan(name):
    """Glorot's rule on a depthwise kernel leaves its groups out, but norms give the size back."""
    assert [f for f in told()[name]["before"] if f[0] == "G101" and f[1] != "note"] == []


def test_a_broken_one_is_found():
    found = told()[BROKEN]
    assert errors(found["before"]), found
