"""F, B, A and P101: what happens to signals and gradients on their way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checks.builder import measured, residual, run, signal, stack, verdict, with_parameter, with_signal

from penstock.graph import Node

SIGNAL_CODES = ["F101", "F102", "F103", "B101", "B102", "B103", "B104", "A101", "A102", "P101", "G102"]

# Depth 10 to a factor a layer: ten layers to the power.
CASES = [
    ("F101", stack(10, rms=0.35), ("error", "layers.8")),  # 0.35^9 = 8e-5
    ("F101", stack(10, rms=0.45), ("warning", "layers.8")),  # 0.45^9 = 7.6e-4
    ("F101", stack(10, rms=0.55), None),  # 0.55^10 = 2.5e-3
    ("F102", stack(10, rms=2.8), ("error", "layers.8")),  # 2.8^9 = 1.06e4
    ("F102", stack(10, rms=2.1), ("warning", "layers.9")),  # 2.1^10 = 1.7e3
    ("F102", stack(10, rms=1.9), None),  # 613
    ("F103", stack(10, apart=0.18), ("error", "layers.9")),  # 0.18^10 = 3.6e-8
    ("F103", stack(10, apart=0.3), ("warning", "layers.9")),  # 5.9e-6
    ("F103", stack(10, apart=0.4), None),  # 1.0e-4
    ("B101", stack(10, grad=0.35), ("error", "act.0")),  # 0.35^9 = 8e-5
    ("B101", stack(10, grad=0.45), ("warning", "act.0")),
    ("B101", stack(10, grad=0.55), None),
    ("B102", stack(10, grad=2.8), ("error", "act.0")),  # 2.8^9 = 1.06e4
    ("B102", stack(10, grad=2.2), ("warning", "act.0")),  # 1.2e3
    ("B102", stack(10, grad=2.0), None),  # 512
    # Three standard errors above one half of 64 units: 0.6875; 90 % of 64 is 57.6.
    ("A101", with_signal(stack(), 2, dead_units=58), ("error", "act.0")),
    ("A101", with_signal(stack(), 2, dead_units=44), ("warning", "act.0")),
    ("A101", with_signal(stack(), 2, dead_units=43), None),
    ("A101", with_signal(stack(), 2, dead_units=7, units=7), None),
    ("A101", replace(with_signal(stack(), 2, dead_units=64), batch_size=1), None),
    ("A102", with_signal(stack(), 2, saturated_share=0.91), ("error", "act.0")),
    ("A102", with_signal(stack(), 2, saturated_share=0.71), ("warning", "act.0")),
    ("A102", with_signal(stack(), 2, saturated_share=0.69), None),
    ("B103", with_parameter(stack(), "layers.1.weight", grad_rms=None), ("error", "layers.1.weight")),
    ("B103", with_parameter(stack(), "layers.1.weight", grad_rms=0.0), ("warning", "layers.1.weight")),
    ("B103", with_parameter(stack(), "layers.1.weight", grad_rms=None, uses=0), ("note", "layers.1.weight")),
    ("B103", with_parameter(stack(), "layers.1.weight", grad_rms=None, trainable=False), None),
    ("B104", with_parameter(stack(), "layers.1.weight", grad_rms=150.0), ("warning", "layers.1.weight")),
    ("B104", with_parameter(stack(), "layers.1.weight", grad_rms=50.0), None),
    ("B104", with_parameter(stack(), "layers.1.weight", grad_rms=0.9e-7), ("warning", "layers.1.weight")),
    ("B104", with_parameter(stack(), "layers.1.weight", grad_rms=1.2e-7), None),
    ("B104", with_parameter(stack(1), "layers.1.weight", grad_rms=150.0), None),
    ("P101", with_signal(with_signal(stack(1), 1, nonfinite_share=0.5), 3, nonfinite_share=1.0), ("error", "layers.0")),
    ("P101", with_signal(stack(), 3, grad_nonfinite_share=0.5), ("error", "layers.1")),
    ("P101", with_signal(stack(), 3, grad_subnormal_share=0.06, dtype="float16"), ("warning", "layers.1")),
    ("P101", with_signal(stack(), 3, grad_subnormal_share=0.04, dtype="float16"), None),
    ("P101", with_signal(stack(), 2, nonfinite_share=0.5), None),  # a mask that the next layer absorbs
]


@pytest.mark.parametrize(("code", "model", "expected"), CASES)
def test_threshold_and_place(code, model, expected):
    assert verdict(code, model) == expected


@pytest.mark.parametrize("code", SIGNAL_CODES)
@pytest.mark.parametrize("model", [stack(), stack(20), residual(), residual(24)], ids=["4", "20", "3 sums", "24 sums"])
def test_is_silent_on_healthy_stacks(code, model):
    assert verdict(code, model) is None


def test_a_norm_that_restores_the_signal_forgives_and_one_that_does_not_does_not():
    model = stack(10, rms=0.3)
    norm = replace(model.graph.nodes[20], kind="norm", op="native_layer_norm", function=None)
    nodes = (*model.graph.nodes[:20], norm, *model.graph.nodes[21:])
    normed = replace(model, graph=replace(model.graph, nodes=nodes))
    assert verdict("F101", with_signal(normed, 20, rms=1.0)) is None
    assert verdict("F101", with_signal(normed, 20, rms=1e-5)) is not None


def test_pooling_does_not_count_as_vanishing():
    nodes = [Node(0, "input", "x"), Node(1, "contraction", "conv", (0,)), Node(2, "mix", "mean", (1,))]
    nodes += [Node(3, "contraction", "mm", (2,)), Node(4, "contraction", "mm", (3,))]
    model = measured(nodes, [signal(r) for r in (1.0, 1.0, 1e-5, 1e-5, 1e-5)])
    assert verdict("F101", model) is None
    as_weights = replace(model.graph, nodes=(*nodes[:2], replace(nodes[2], kind="contraction"), *nodes[3:]))
    assert verdict("F101", replace(model, graph=as_weights)) == ("error", "mean#2")


def test_a_zero_head_stops_the_gradient_by_design():
    model = with_parameter(stack(), "layers.4.weight", rms=0.0)
    for index in range(1, 9):
        model = with_signal(model, index, grad_rms=0.0)
    for layer in range(4):
        model = with_parameter(model, f"layers.{layer}.weight", grad_rms=0.0)
    assert run("B101", model) == []
    assert run("B103", model) == []
    drawn = with_parameter(model, "layers.4.weight", rms=0.1)
    assert verdict("B101", drawn) == ("error", "act.3")
    assert verdict("B103", drawn) == ("warning", "layers.0.weight")


def test_many_layers_are_one_finding_with_the_rest_counted():
    (finding,) = run("F101", stack(40, rms=0.3))
    assert finding.others[-1].startswith("and ")
    assert len(finding.others) == 6


def small_weights(model):
    for layer in range(9):
        model = with_parameter(model, f"layers.{layer}.weight", rms=0.01)  # 0.01 * sqrt(64) = 0.08 instead of 1.414
    return model


def test_g102_is_silent_where_the_weights_suit_another_working_point():
    assert run("G102", small_weights(stack(8))) == []  # what differs between inputs arrives whole


def test_g102_names_the_gains_of_a_small_stack():
    model = small_weights(stack(8, rms=0.08))
    (finding,) = run("G102", model)
    assert finding.severity == "warning"
    assert "1.41" in finding.observation
    assert "0.08" in finding.observation
