"""Zeros that are right, and the same zeros in the wrong place."""

from __future__ import annotations

import pytest
from checks.builder import measured, signal, weight, zeros

from penstock.checks.by_design import constant_by_design, zero_by_design
from penstock.graph import Node


def lora(*, joined: bool):
    """base(x) + b(a(x)), or b's output alone in front of another weight."""
    base, a, b, after = weight("base"), weight("a", shape=(8, 64)), zeros("b", shape=(64, 8)), weight("after")
    nodes = [
        Node(0, "input", "x"),
        Node(1, "contraction", "mm", (0,), parameters=("base",), geometry=base.geometry),
        Node(2, "contraction", "mm", (0,), parameters=("a",), geometry=a.geometry),
        Node(3, "contraction", "mm", (2,), parameters=("b",), geometry=b.geometry),
        Node(4, "sum" if joined else "move", "add", (1, 3) if joined else (3,)),
        Node(5, "contraction", "mm", (4,), parameters=("after",), geometry=after.geometry),
    ]
    signals = [signal(), signal(), signal(), signal(0.0), signal(1.0 if joined else 0.0), signal()]
    return measured(nodes, signals, [base, a, b, after])


def gamma(*, joined: bool):
    """A norm with a zero scale in a residual branch, or on the trunk in front of a weight."""
    scale, after = zeros("gamma", role="scale", shape=(64,), geometry=None), weight("after")
    nodes = [
        Node(0, "input", "x"),
        Node(1, "norm", "native_batch_norm", (0,), parameters=("gamma",)),
        Node(2, "sum", "add", (0, 1), residual=True) if joined else Node(2, "pointwise", "relu", (1,)),
        Node(3, "contraction", "mm", (2,), parameters=("after",), geometry=after.geometry),
    ]
    return measured(nodes, [signal(), signal(0.0), signal(1.0 if joined else 0.0), signal()], [scale, after])


def queries(*, values: bool):
    """Attention with zero queries (uniform averages), or with zero values (nothing is passed on)."""
    q, v, out = weight("q"), weight("v"), weight("out")
    q, v = (q, zeros("v")) if values else (zeros("q"), v)
    nodes = [
        Node(0, "input", "x"),
        Node(1, "contraction", "mm", (0,), parameters=("q",), geometry=q.geometry),
        Node(2, "contraction", "mm", (0,), parameters=("v",), geometry=v.geometry),
        Node(3, "gate", "bmm", (1, 0)),
        Node(4, "mix", "softmax", (3,)),
        Node(5, "mix", "bmm", (4, 2)),
        Node(6, "contraction", "mm", (5,), parameters=("out",), geometry=out.geometry),
    ]
    zero_q, zero_v = 0.0 if not values else 1.0, 0.0 if values else 1.0
    numbers = [1.0, zero_q, zero_v, zero_q, 0.3, zero_v, zero_v]
    return measured(nodes, [signal(r) for r in numbers], [q, v, out])


@pytest.mark.parametrize(
    ("model", "right"),
    [
        (lora(joined=True), {"b"}),
        (lora(joined=False), set()),
        (gamma(joined=True), {"gamma"}),
        (gamma(joined=False), set()),
        (queries(values=False), {"q"}),
        (queries(values=True), set()),
    ],
    ids=["lora", "no lora", "zero gamma", "zero gamma on the trunk", "queries", "values"],
)
def test_zero_by_design(model, right):
    assert zero_by_design(model) == right


def test_what_a_right_zero_makes_is_constant_until_it_joins():
    assert constant_by_design(lora(joined=True)) == {3}
    assert constant_by_design(gamma(joined=True)) == {1}
    assert constant_by_design(gamma(joined=False)) == set()
