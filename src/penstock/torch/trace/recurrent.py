"""Recurrent layers and cells, recorded one level up: each weight a contraction, the layer's result one signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from penstock.geometry import FUSED_GATES, Geometry
from penstock.torch.trace import ops
from penstock.tracing.recording import Step
from penstock.tracing.values import Signal, Weight

if TYPE_CHECKING:
    from penstock.torch.trace.tracer import Tracer


def record_recurrent(tracer: Tracer, name: str, args: Sequence[Any], result: Any) -> None:
    """Record an LSTM, GRU or plain RNN, a whole layer or one cell.

    Args:
        tracer: takes the steps.
        name: "lstm", "gru_cell", ...
        args: of the functional call: the signal first, somewhere the states and the weights.
        result: the outputs, or (outputs, states...).
    """
    gates = ops.RECURRENT[name]
    tensors = list(_flatten(args))
    sources = tuple(dict.fromkeys(v.node for t in tensors if isinstance(v := tracer.read(t), Signal)))
    made: tuple[int, ...]
    layers = _layers([v.names[0] for t in tensors if isinstance(v := tracer.values.get(t), Weight)], tracer)
    inputs, made = sources, ()
    for names in layers:
        if made and not names[0].endswith("_reverse"):  # the layer above reads both directions of the one below
            inputs, made = made, ()
        matrices = [n for n in names if len(tracer.shape_of(n)) == 2]
        biases = [n for n in names if len(tracer.shape_of(n)) == 1]
        made += tuple(_contraction(tracer, name, gates, m, biases, i, inputs) for i, m in enumerate(matrices))
    for tensor in _flatten((result,)):
        if tensor.is_floating_point():
            tracer.add(Step("other", name, made or inputs, unit_axes=(tensor.dim() - 1,)), tensor)


def _contraction(
    tracer: Tracer, name: str, gates: int, matrix: str, biases: list[str], index: int, inputs: tuple[int, ...]
) -> int:
    rows, _ = shape = tracer.shape_of(matrix)
    fused = gates > 1 and index < 2 and rows % gates == 0  # the third matrix is an LSTM's projection
    geometry = Geometry(
        shape,
        in_axes=(1,),
        out_axes=(0,),
        blocks=(rows // gates,) * gates if fused else (),
        block_names=FUSED_GATES[gates] if fused else (),
    )
    own = (matrix, *biases[index : index + 1])
    return tracer.add_unseen(
        Step(
            "contraction",
            f"{name}.{'input hidden projection'.split()[index]}",
            inputs,
            parameters=own,
            geometry=geometry,
        )
    )


def _layers(names: list[str], tracer: Tracer) -> list[list[str]]:
    """Group the flat list of weights by layer and direction: each starts with two matrices."""
    layers: list[list[str]] = []
    for name in names:
        matrices = [n for n in layers[-1] if len(tracer.shape_of(n)) == 2] if layers else []
        vectors = len(layers[-1]) - len(matrices) if layers else 0
        is_matrix = len(tracer.shape_of(name)) == 2
        projection = (
            is_matrix and vectors == 2 and len(matrices) == 2 and name.rsplit(".", 1)[-1].startswith("weight_hr")
        )
        if not layers or (is_matrix and not projection and (len(matrices) >= 2)):
            layers.append([])
        layers[-1].append(name)
    return layers


def _flatten(items: Any) -> Any:
    for item in items:
        if isinstance(item, torch.Tensor):
            yield item
        elif isinstance(item, (tuple, list)):
            yield from _flatten(item)
