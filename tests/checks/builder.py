"""Small synthetic measurements: plain and residual stacks with the profiles that a case asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from penstock.checks.finding import Finding
from penstock.checks.registry import check_of
from penstock.geometry import Geometry
from penstock.graph import Graph, Node
from penstock.signals import LossStats, Measured, ParameterStats, SignalStats

WIDTH = 64


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def weight(
    name: str, *, shape: tuple[int, ...] = (WIDTH, WIDTH), rms: float = 0.1768, **changes: Any
) -> ParameterStats:
    """A drawn weight: 0.1768 is sqrt(2 / 64)."""
    values: dict[str, Any] = {
        "name": name,
        "shape": shape,
        "dtype": "float32",
        "role": "weight",
        "geometry": Geometry(shape, in_axes=(1,), out_axes=(0,)) if len(shape) == 2 else None,
        "rms": rms,
        "max_abs": 4 * rms,
        "outlier": 4.0,
        "units": shape[0],
        "distinct_units": shape[0],
        "grad_rms": 0.01,
        "uses": 1,
    }
    return ParameterStats(**(values | changes))


def zeros(name: str, **changes: Any) -> ParameterStats:
    return weight(
        name, **({"rms": 0.0, "max_abs": 0.0, "zero_share": 1.0, "distinct_units": 1, "outlier": 0.0} | changes)
    )


def signal(rms: float = 1.0, **changes: Any) -> SignalStats:
    values: dict[str, Any] = {"shape": (8, WIDTH), "dtype": "float32", "rms": rms, "correlation": 0.1, "grad_rms": 0.01}
    return SignalStats(**(values | changes))


def measured(
    nodes: Sequence[Node],
    signals: Sequence[SignalStats | None],
    parameters: Sequence[ParameterStats] = (),
    *,
    outputs: tuple[int, ...] | None = None,
    loss: LossStats | None = None,
    batch_size: int | None = 8,
) -> Measured:
    graph = Graph(tuple(nodes), outputs if outputs is not None else (len(nodes) - 1,))
    table = {p.name: p for p in parameters}
    return Measured("Model", graph, tuple(signals), table, loss or LossStats(1.0, given=False), batch_size)


def stack(depth: int = 4, *, rms: float = 1.0, grad: float = 1.0, apart: float = 1.0) -> Measured:
    """A plain stack of linear layers with ReLU and a head.

    Args:
        depth: hidden layers.
        rms, grad, apart: factors a layer of the forward RMS, of the gradient on its way back and of 1 - cosine.
    """
    nodes = [Node(0, "input", "x")]
    signals = [signal(1.0)]
    parameters = []
    for layer in range(depth + 1):
        name, before = f"layers.{layer}", len(nodes) - 1
        parameters.append(weight(f"{name}.weight"))
        nodes.append(
            Node(before + 1, "contraction", "addmm", (before,), name, (f"{name}.weight",), parameters[-1].geometry, 1)
        )
        level = min(layer + 1, depth)
        numbers: dict[str, Any] = {
            "correlation": 1 - 0.9 * apart**level,
            "grad_rms": 0.01 * grad ** (depth - level),
        }
        signals.append(signal(rms**level, **numbers))
        if layer < depth:
            nodes.append(
                Node(before + 2, "pointwise", "relu", (before + 1,), f"act.{layer}", function=relu, unit_axis=1)
            )
            signals.append(signal(rms**level, dead_units=8, units=WIDTH, **numbers))
    return measured(nodes, signals, parameters)


def residual(branches: int = 3, **last: Any) -> Measured:
    """A residual stack: each branch is two layers and a ReLU; `last` changes the second layer's weight."""
    nodes, signals, parameters = [Node(0, "input", "x")], [signal(1.0)], []
    stream = 0
    for block in range(branches):
        first, second = weight(f"{block}.fc1.weight"), weight(f"{block}.fc2.weight", **last)
        parameters += [first, second]
        i = len(nodes)
        nodes += [
            Node(i, "contraction", "addmm", (stream,), f"{block}.fc1", (first.name,), first.geometry),
            Node(i + 1, "pointwise", "relu", (i,), f"{block}.act", function=relu),
            Node(i + 2, "contraction", "addmm", (i + 1,), f"{block}.fc2", (second.name,), second.geometry),
            Node(i + 3, "sum", "add", (stream, i + 2), f"{block}", residual=True),
        ]
        signals += [signal(), signal(0.7), signal(0.0 if second.rms == 0 else 0.5), signal()]
        stream = i + 3
    head = weight("head.weight")
    parameters.append(head)
    nodes.append(Node(len(nodes), "contraction", "addmm", (stream,), "head", (head.name,), head.geometry))
    signals.append(signal())
    return measured(nodes, signals, parameters)


def with_parameter(model: Measured, parameter: str, **changes: Any) -> Measured:
    table: Mapping[str, ParameterStats] = model.parameters
    return replace(model, parameters={**table, parameter: replace(table[parameter], **changes)})


def with_signal(model: Measured, index: int, **changes: Any) -> Measured:
    old = model.signals[index]
    new = replace(old if old is not None else signal(), **changes)
    return replace(model, signals=(*model.signals[:index], new, *model.signals[index + 1 :]))


def run(code: str, model: Measured) -> list[Finding]:
    """What one check alone finds, unsettled."""
    return list(check_of(code).run(model))


def verdict(code: str, model: Measured) -> tuple[str, str] | None:
    """Severity and place of the first finding of one check; None where it is silent."""
    found = run(code, model)
    return (found[0].severity, found[0].place) if found else None
