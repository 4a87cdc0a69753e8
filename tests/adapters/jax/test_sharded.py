"""`penstock.jax.materialize`: the same bits on 1, 2, 4 and 8 devices, eager and compiled; and clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from penstock import jax as pjax
from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.planning.plan import Entry, Plan
from penstock.recipes import Normal

WORLD = Path(__file__).with_name("sharded_world.py")
SHAPES = {"dense": {"kernel": jax.ShapeDtypeStruct((8, 4), jnp.float32)}}


def test_one_two_four_and_eight_devices_make_the_same_bits():
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = [sys.executable, str(WORLD)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "all equal"


@pytest.mark.parametrize(
    ("plan", "match"),
    [
        ({}, "a recipe or an initializer for 'dense.kernel'"),
        ({"*.kernel": Normal(1.0), "*.bias": Normal(1.0)}, r"'\*.bias' fits no parameter"),
        ({"*.kernel": 0.02}, "got 0.02"),
        (Plan("x", ()), "must draw 'dense.kernel' of shape"),
        (Plan("x", (Entry("dense.kernel", (4, 8), Normal(1.0), "", "", Geometry((4, 8))),)), r"it has \(4, 8\)"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(plan, match):
    with pytest.raises(ArgumentError, match=match):
        pjax.materialize(SHAPES, None, plan, 0)


def test_shardings_must_be_as_many():
    with pytest.raises(ArgumentError, match="a tree of 1 of them"):
        pjax.materialize(SHAPES, [None, None], {"*": Normal(1.0)}, 0)
