"""Weights times signal: products, convolutions and look-ups, with the axis roles that the operation shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.errors import ShapeError
from penstock.geometry import Geometry
from penstock.keras.tensorflow.moves import inputs_of, names_of
from penstock.keras.tensorflow.program import Op
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Axes, Operand, Weight

if TYPE_CHECKING:
    from penstock.keras.tensorflow.interpret import Trace

Labels = Sequence[str]
"""A letter or number for each axis; the same where the axes of two factors are the same."""


def matmul(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A matrix product, stacked over the axes before the last two."""
    p = op.params
    left = p.get("transpose_a", p.get("adj_x", False)), len(operands[0].shape)
    right = p.get("transpose_b", p.get("adj_y", False)), len(operands[1].shape)
    rank = max(left[1], right[1])
    stacked = [str(place) for place in range(rank - 2)]
    first, second = ("k", "m") if left[0] else ("m", "k"), ("n", "k") if right[0] else ("k", "n")
    labels = [*stacked[rank - left[1] :], *first], [*stacked[rank - right[1] :], *second]
    product(trace, op, operands, labels, [*stacked, "m", "n"])


def einsum(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A product of two tensors by an equation."""
    terms, _, result = op.params["equation"].decode().replace(" ", "").partition("->")
    factors = terms.split(",")
    if len(factors) == 2:
        labels = [_spread(term, len(o.shape), result) for term, o in zip(factors, operands, strict=True)]
        rank = len(trace.program.avals[op.outputs[0]].shape)
        product(trace, op, operands, labels, _spread(result, rank, result))
        return
    nodes = inputs_of(operands)
    trace.add(Step("move", "einsum", nodes, parameters=names_of(operands)), op.outputs[0])


def _spread(term: str, rank: int, result: str) -> list[str]:
    """The labels of a term, with numbers for the axes that its dots stand for, counted from the last."""
    before, dots, after = term.partition("...")
    count = rank - len(before) - len(after) if dots else 0
    return [*before, *(f"-{count - place}" for place in range(count)), *after]


def product(trace: Trace, op: Op, operands: list[Operand], labels: Sequence[Labels], result: Labels) -> None:
    """A product summed over axes: a contraction if one factor is made of parameters, else a product of two signals."""
    weights = [isinstance(o.value, Weight) for o in operands[:2]]
    nodes = inputs_of(operands)
    place = 1 if weights[1] else 0
    value = operands[place].value
    if not isinstance(value, Weight):
        averages = [n for n in nodes if is_average(trace.recording, n)]
        # The average's weights come first, in whatever order the operands are.
        nodes = (*averages, *(n for n in nodes if n not in averages))
        trace.add(Step("mix" if averages else "gate", "matmul", nodes), op.outputs[0])
        return
    own, other = labels[place], labels[1 - place]
    free = [a for a, label in enumerate(own) if label in result and label not in other]
    stacked = [a for a, label in enumerate(own) if label in result and label in other]
    summed = [a for a in range(len(own)) if a not in free and a not in stacked]
    roles = (summed, free, stacked)
    units = tuple(a for a, label in enumerate(result) if label in [own[f] for f in free])
    if value.parts:
        steps = [
            Step("contraction", "linear", nodes, parameters=w.names, geometry=_geometry(trace, w, *roles))
            for w in value.parts
        ]
        made = tuple(trace.recording.add(step, ()) for step in steps)
        trace.add(Step("move", "concatenate", made, unit_axes=units), op.outputs[0])
        return
    others = tuple(n for n in names_of(operands) if n not in value.names)
    geometry = _geometry(trace, value, *roles)
    step = Step("contraction", "linear", nodes, parameters=value.names + others, geometry=geometry, unit_axes=units)
    trace.add(step, op.outputs[0])


def convolution(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A convolution with a kernel (*taps, in, out), grouped or depthwise too; of a transposed one (*taps, out, in)."""
    transposed = op.name in _TRANSPOSED
    x, kernel = (operands[2], operands[1]) if transposed else (operands[0], operands[1])
    value, nodes = kernel.value, inputs_of([x])
    if not isinstance(value, Weight):
        trace.add(Step("gate", "conv", inputs_of(operands), parameters=names_of(operands)), op.outputs[0])
        return
    first = op.params["data_format"].startswith(b"NC")
    units = 1 if first else len(x.shape) - 1
    geometry = None
    if value.axes is not None and all(len(group) == 1 for group in value.axes[-2:]):
        windows = tuple(a for group in value.axes[:-2] for a in group)
        (one,), (two,) = value.axes[-2:]
        depthwise = op.name == "DepthwiseConv2dNative"
        into, out = ((two,), (one,)) if transposed else ((), (one, two)) if depthwise else ((one,), (two,))
        channels = x.shape[units]
        try:
            geometry = Geometry(
                trace.shapes[value.names[0]],
                in_axes=into,
                out_axes=out,
                window_axes=windows,
                groups=channels if depthwise else 1 if transposed else channels // kernel.shape[-2],
                stride=math.prod(op.params["strides"]),
                transposed=transposed,
            ).in_order()
        except ShapeError:  # a kernel that is made of several parameters need not have the first one's axes
            geometry = None
    step = Step("contraction", "conv", nodes, parameters=value.names, geometry=geometry, unit_axes=(units,))
    trace.add(step, op.outputs[0])


_TRANSPOSED = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2"})


def lookup(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """Rows picked from a table by integers."""
    table = operands[0]
    value = table.value
    if not isinstance(value, Weight):
        return
    geometry = None
    whole = trace.integers(op.inputs[2]) == (0,) and not op.params["batch_dims"]
    if value.axes == ((0,), (1,)) and whole:
        geometry = Geometry(trace.shapes[value.names[0]], in_axes=(0,), out_axes=(1,), lookup=True)
    rank = len(trace.program.avals[op.outputs[0]].shape)
    units = tuple(range(rank - len(table.shape) + 1, rank)) if whole else ()
    nodes = inputs_of(operands)
    step = Step("contraction", "embedding", nodes, parameters=value.names, geometry=geometry, unit_axes=units)
    trace.add(step, op.outputs[0])


def is_average(recording: Recording, number: int) -> bool:
    """Whether a signal is attention weights, perhaps dropped out or sliced on the way."""
    step = recording.steps[number]
    while step.kind == "move" and len(step.inputs) == 1:
        step = recording.steps[step.inputs[0]]
    return step.kind == "mix" and step.op == "softmax"


def _geometry(trace: Trace, value: Weight, summed: list[int], free: list[int], stacked: list[int]) -> Geometry | None:
    if value.axes is None:
        return None
    in_axes = _over(value.axes, summed)
    out_axes = tuple(a for a in _over(value.axes, free) if a not in in_axes)
    batch = tuple(a for a in _over(value.axes, stacked) if a not in in_axes and a not in out_axes)
    try:
        shape = trace.shapes[value.names[0]]
        return Geometry(shape, in_axes=in_axes, out_axes=out_axes, batch_axes=batch).in_order()
    except ShapeError:  # a weight that is made of several parameters need not have the first one's axes
        return None


def _over(axes: Axes, places: list[int]) -> tuple[int, ...]:
    return tuple(sorted({a for place in places for a in axes[place]}))
