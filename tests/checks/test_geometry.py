"""G101: which wrong fans are recognized, and what is taken for an accident."""

from __future__ import annotations

import math

import pytest
from checks.builder import measured, run, signal, weight

from penstock.checks.wrong_fans import SHARD, right_fans, wrong_fans
from penstock.geometry import Geometry
from penstock.graph import Node

DEPTHWISE = Geometry((256, 1, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=256)
FUSED = Geometry((768, 256), in_axes=(1,), out_axes=(0,), blocks=(256, 256, 256))
EXPERTS = Geometry((16, 64, 256), in_axes=(1,), out_axes=(2,), batch_axes=(0,))
TRANSPOSED = Geometry(
    (512, 32, 4, 4), in_axes=(0,), out_axes=(1,), window_axes=(2, 3), split="out", stride=4, transposed=True
)
PLAIN = Geometry((256, 256), in_axes=(1,), out_axes=(0,))


def model(geometry: Geometry, std: float, *, uniform: bool = True, kept: float = 0.1, norm: bool = False):
    peak = std * math.sqrt(3) * (1 - 1 / math.prod(geometry.shape)) if uniform else 4.4 * std
    parameter = weight("w", shape=geometry.shape, geometry=geometry, rms=std, max_abs=peak)
    nodes = [Node(0, "input", "x"), Node(1, "contraction", "conv", (0,), "conv", ("w",), geometry)]
    nodes.append(Node(2, "norm" if norm else "pointwise", "next", (1,)))
    return measured(nodes, [signal(), signal(kept), signal(kept)], [parameter])


@pytest.mark.parametrize(
    ("geometry", "std", "severity", "mistake"),
    [
        (DEPTHWISE, math.sqrt(2 / 2304), "error", "groups"),  # He by fan_out: 16 times too small
        (FUSED, math.sqrt(2 / 1024), "note", "fused"),  # Xavier over (3d, d): sqrt(2) too small
        (EXPERTS, math.sqrt(1 / 16384), "error", "stacked"),  # size(1) * size(2) as fan_in
        (TRANSPOSED, math.sqrt(1 / 3 / 512), "warning", "swapped"),  # PyTorch's default; 2048 is right
    ],
)
def test_recognizes_what_naive_code_computes(geometry, std, severity, mistake):
    (finding,) = run("G101", model(geometry, std))
    assert (finding.severity, finding.place) == (severity, "w")
    assert mistake in finding.cause


@pytest.mark.parametrize(
    ("geometry", "std"),
    [
        (DEPTHWISE, math.sqrt(2 / 9)),
        (DEPTHWISE, math.sqrt(1 / 27)),
        (FUSED, math.sqrt(2 / 512)),
        (EXPERTS, math.sqrt(1 / 64)),
        (TRANSPOSED, math.sqrt(2 / 2048)),
        (PLAIN, math.sqrt(1 / 768)),
        (DEPTHWISE, 0.02),
        (FUSED, 0.02),
    ],
)
def test_is_silent_where_the_fan_is_right_or_the_std_is_a_constant(geometry, std):
    assert run("G101", model(geometry, std)) == []
    assert run("G101", model(geometry, std, uniform=False)) == []


def test_is_a_note_where_nothing_is_lost():
    wrong = math.sqrt(2 / 2304)
    assert run("G101", model(DEPTHWISE, wrong, norm=True))[0].severity == "note"
    assert run("G101", model(DEPTHWISE, wrong, kept=0.8))[0].severity == "note"


GATES = Geometry((96, 256), in_axes=(0,), out_axes=(1,), blocks=(64,) * 4, block_names=("i", "f", "g", "o"))


def test_glorot_over_fused_gates_is_a_note_and_what_is_further_off_is_not():
    """Keras starts its LSTM so: 1/sqrt((96 + 256) / 2) for 1/sqrt((96 + 64) / 2). Gates do not mind."""
    own = math.sqrt(2 / (96 + 256))
    assert [f.severity for f in run("G101", model(GATES, own, kept=0.3))] in ([], ["note"])
    unnamed = Geometry((96, 512), in_axes=(0,), out_axes=(1,), blocks=(64,) * 8)
    assert [f.severity for f in run("G101", model(unnamed, math.sqrt(2 / (96 + 512))))] == ["warning"]


def test_a_norm_behind_another_weight_gives_the_size_back():
    """Keras starts the depthwise half of a separable convolution 1/sqrt(groups) too small."""
    std = math.sqrt(2 / 2304)
    depthwise = weight("w", shape=DEPTHWISE.shape, geometry=DEPTHWISE, rms=std, max_abs=std * math.sqrt(3) * 0.9996)
    after = [Node(2, "contraction", "conv", (1,), "pointwise", ("v",), PLAIN)]
    for last, severity in (("norm", "note"), ("pointwise", "error")):
        nodes = [Node(0, "input", "x"), Node(1, "contraction", "conv", (0,), "conv", ("w",), DEPTHWISE), *after]
        nodes.append(Node(3, last, "next", (2,)))
        signals = [signal(), signal(0.1), signal(0.1), signal(0.1)]
        (finding,) = run("G101", measured(nodes, signals, [depthwise]))
        assert (finding.severity, finding.place) == (severity, "w")


def test_one_small_normal_weight_is_no_evidence():
    small = Geometry((16, 1, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=16)
    assert run("G101", model(small, math.sqrt(2 / 144), uniform=False)) == []


def test_no_wrong_fan_is_a_right_one():
    for geometry in (DEPTHWISE, FUSED, EXPERTS):
        assert wrong_fans(geometry)
        assert not {w.fan for w in wrong_fans(geometry)} & set(right_fans(geometry))
    assert all(w.mistake.startswith(SHARD) for w in wrong_fans(PLAIN))
