"""Batch norm that was never trained, in evaluation mode."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checks.builder import stack, weight, with_signal

from penstock.checks.eval_mode import has_stale_norms
from penstock.checks.registry import find
from penstock.signals import Measured


def normed(before: float, after: float) -> Measured:
    """A vanishing stack whose first function is a batch norm with unit scale."""
    model = stack(12, rms=0.3)
    norm = replace(model.graph.nodes[2], kind="norm", op="native_batch_norm", parameters=("gamma",), function=None)
    nodes = (*model.graph.nodes[:2], norm, *model.graph.nodes[3:])
    gamma = weight("gamma", shape=(64,), role="scale", rms=1.0, units=None, distinct_units=None)
    model = replace(model, graph=replace(model.graph, nodes=nodes), parameters={**model.parameters, "gamma": gamma})
    return with_signal(with_signal(model, 1, rms=before), 2, rms=after)


@pytest.mark.parametrize(
    ("before", "after", "stale"),
    [(0.1, 0.1, True), (9.0, 9.0, True), (1.0, 1.0, False), (0.1, 1.0, False), (1e-6, 3e-4, False)],
)
def test_is_seen_by_what_it_leaves_unchanged(before, after, stale):
    assert has_stale_norms(normed(before, after)) is stale


def test_its_findings_are_notes_that_say_what_to_do():
    stale, trained = find(normed(0.1, 0.1)), find(normed(0.1, 1.0))
    assert {f.severity for f in stale if f.code == "F101"} == {"note"}
    assert "model.train()" in next(f.hint for f in stale if f.code == "F101")
    assert {f.severity for f in trained if f.code == "F101"} == {"error"}
