"""One truth: the same architecture in PyTorch and in Flax has the same graph, numbers, findings and weights."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")
pytest.importorskip("flax.nnx", reason="flax is not installed")

import jax.numpy as jnp
import torch
from flax import nnx
from jax_pairs import PAIRS, Pair, copied, to_flax, torch_name

import penstock
from penstock.graph import Node
from penstock.report.report import Report

SAME = 1e-4
"""Relative: both compute in float32, in another order."""
ROUNDING = 1e-9
"""Gradients below this are rounding errors of what cancels (the bias of keys)."""


@pytest.fixture(scope="module", params=PAIRS)
def pair(request) -> Pair:
    return PAIRS[request.param]


def made(pair: Pair) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return pair.torch()


def checked(pair: Pair, model: torch.nn.Module) -> tuple[Report, Report]:
    """Both reports, with the same loss."""
    x, y = pair.inputs()
    with torch.no_grad():
        shape = tuple(copy.deepcopy(model)(x).shape)
    target = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    first = penstock.check(model, x, loss=lambda out: (out - torch.from_numpy(target)).square().mean())
    second = penstock.check(copied(pair, model), y, loss=lambda out: jnp.mean((out - target) ** 2))
    return first, second


def shape_of(node: Node, *, flax: bool) -> tuple[object, ...]:
    names = tuple(torch_name(n) if flax else n for n in node.parameters)
    return node.kind, node.inputs, names, node.residual


@pytest.fixture(scope="module")
def reports(pair) -> tuple[Report, Report]:
    return checked(pair, made(pair))


def test_same_graph(reports):
    first, second = (report.measured.graph for report in reports)
    assert [shape_of(n, flax=True) for n in second.nodes] == [shape_of(n, flax=False) for n in first.nodes]
    assert second.outputs == first.outputs


def test_same_signals(reports):
    first, second = (report.measured for report in reports)
    for node, one, other in zip(first.graph.nodes, first.signals, second.signals, strict=True):
        assert (one is None) == (other is None)
        if one is None or other is None:
            continue
        assert other.rms == pytest.approx(one.rms, rel=SAME), node
        assert other.mean == pytest.approx(one.mean, abs=SAME * one.rms), node
        assert other.zero_share == pytest.approx(one.zero_share, abs=SAME), node
        if one.correlation is not None:
            assert other.correlation == pytest.approx(one.correlation, abs=SAME), node
        assert (one.grad_rms is None) == (other.grad_rms is None), node
        if one.grad_rms is not None:
            assert other.grad_rms == pytest.approx(one.grad_rms, rel=SAME, abs=ROUNDING), node
        if one.dead_units is not None:
            assert (other.dead_units, other.units) == (one.dead_units, one.units), node


def test_same_parameters(reports):
    first, second = (report.measured.parameters for report in reports)
    assert sorted(map(torch_name, second)) == sorted(first)
    for name, other in second.items():
        one = first[torch_name(name)]
        assert (other.role, other.uses, other.units, other.distinct_units) == (
            one.role,
            one.uses,
            one.units,
            one.distinct_units,
        ), name
        assert other.rms == pytest.approx(one.rms, rel=SAME)
        assert other.grad_rms == pytest.approx(one.grad_rms, rel=SAME, abs=ROUNDING), name
        if one.geometry is not None and one.geometry.is_weight:
            assert other.geometry.fans == one.geometry.fans, name


def test_same_findings(reports):
    first, second = (sorted(f.code for f in report.findings) for report in reports)
    assert second == first


def test_same_findings_where_it_is_broken(pair):
    model = made(pair)
    name, factor = pair.broken
    with torch.no_grad():
        model.get_parameter(name).mul_(factor)
    first, second = checked(pair, model)
    codes = [sorted((f.code, f.severity) for f in report.findings) for report in (first, second)]
    assert codes[0], "the broken model must be found"
    assert codes[1] == codes[0]


def test_same_weights_bit_for_bit(pair):
    model, twin = made(pair), pair.flax(nnx.Rngs(1))
    x, y = pair.inputs()
    plan = penstock.plan(model, x)
    own = penstock.plan(copied(pair, model), y)
    names = {e.name: torch_name(e.name) for e in own.entries}
    for entry in own.entries:
        assert entry.rule == plan[names[entry.name]].rule, entry.name
        assert entry.recipe == plan[names[entry.name]].recipe, entry.name
    same = replace(own, entries=tuple(replace(e, drawn_as=names[e.name]) for e in own.entries))
    plan.apply(model, seed=3)
    same.apply(twin, seed=3)
    values = {name: p.detach().numpy() for name, p in model.named_parameters()}
    for name, array in flat(twin).items():
        np.testing.assert_array_equal(array, to_flax(name, values[torch_name(name)]), err_msg=name)
    # Control: under its own names Flax's weights are others.
    replace(same, entries=tuple(replace(e, drawn_as="") for e in same.entries)).apply(twin, seed=3)
    assert any(not np.array_equal(a, to_flax(n, values[torch_name(n)])) for n, a in flat(twin).items())


def flat(model: nnx.Module) -> dict[str, np.ndarray]:
    from penstock.jax.models import target_of

    return {name: np.asarray(array) for name, array in target_of(model, "check").parameters.items()}
