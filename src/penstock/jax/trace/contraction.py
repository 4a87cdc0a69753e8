"""Weights times signal: matrix products, convolutions and look-ups, with the axis roles that the operation shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from penstock.errors import ShapeError
from penstock.geometry import Geometry
from penstock.jax.trace.moves import inputs_of, names_of
from penstock.jax.trace.program import Op
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Axes, Operand, Weight

if TYPE_CHECKING:
    from penstock.jax.trace.interpret import Trace


def matmul(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A product summed over axes: a contraction if one factor is made of parameters, else a product of two signals."""
    (left_in, right_in), (left_batch, right_batch) = op.params["dimension_numbers"]
    left, right = operands[0], operands[1]
    nodes = inputs_of(operands)
    if not isinstance(left.value, Weight) and not isinstance(right.value, Weight):
        averages = [n for n in nodes if is_average(trace.recording, n)]
        # The average's weights come first, in whatever order the operands are.
        nodes = (*averages, *(n for n in nodes if n not in averages))
        trace.add(Step("mix" if averages else "gate", "matmul", nodes), op.outputs[0])
        return
    batch = len(left_batch)
    free_left = len(left.shape) - len(left_in) - batch
    if isinstance(right.value, Weight):
        value, shape, summed, stacked = right.value, right.shape, right_in, right_batch
        first = batch + free_left
    else:
        value, shape, summed, stacked = left.value, left.shape, left_in, left_batch
        first = batch
    if not isinstance(value, Weight):
        return
    free = [a for a in range(len(shape)) if a not in summed and a not in stacked]
    units = tuple(range(first, first + len(free)))
    if value.parts:
        parts = [
            Step("contraction", op.name, nodes, parameters=w.names, geometry=_geometry(trace, w, summed, free, stacked))
            for w in value.parts
        ]
        made = tuple(trace.recording.add(part, ()) for part in parts)
        trace.add(Step("move", "concatenate", made, unit_axes=units), op.outputs[0])
        return
    geometry = _geometry(trace, value, summed, free, stacked)
    others = tuple(n for n in names_of(operands) if n not in value.names)
    step = Step("contraction", op.name, nodes, parameters=value.names + others, geometry=geometry, unit_axes=units)
    trace.add(step, op.outputs[0])


def convolution(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A convolution, transposed or not, grouped or not."""
    value, p, nodes = operands[1].value, op.params, inputs_of(operands)
    spec = p["dimension_numbers"]
    if not isinstance(value, Weight):
        trace.add(Step("gate", "conv", nodes, parameters=names_of(operands)), op.outputs[0])
        return
    out_axis, in_axis, *windows = spec.rhs_spec
    geometry = None
    if value.axes is not None and all(len(group) == 1 for group in value.axes):
        axes = [group[0] for group in value.axes]
        dilation = math.prod(p["lhs_dilation"])
        try:
            geometry = Geometry(
                trace.shapes[value.names[0]],
                in_axes=(axes[in_axis],),
                out_axes=(axes[out_axis],),
                window_axes=tuple(axes[w] for w in windows),
                groups=p["feature_group_count"],
                stride=dilation if dilation > 1 else math.prod(p["window_strides"]),
                transposed=dilation > 1,
            ).in_order()
        except ShapeError:
            geometry = None
    step = Step("contraction", op.name, nodes, parameters=value.names, geometry=geometry, unit_axes=(spec.out_spec[1],))
    trace.add(step, op.outputs[0])


def lookup(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """Rows picked from a table by integers."""
    table, d = operands[0], op.params["dimension_numbers"]
    value = table.value
    if not isinstance(value, Weight):
        trace.add(Step("move", "gather", inputs_of(operands)), op.outputs[0])
        return
    geometry = None
    whole = op.params["slice_sizes"] == (1, *table.shape[1:])
    if value.axes == ((0,), (1,)) and whole:
        geometry = Geometry(trace.shapes[value.names[0]], in_axes=(0,), out_axes=(1,), lookup=True)
    units = tuple(d.offset_dims) if whole else ()
    step = Step("contraction", op.name, inputs_of(operands), parameters=value.names, geometry=geometry, unit_axes=units)
    trace.add(step, op.outputs[0])


def is_average(recording: Recording, number: int) -> bool:
    """Whether a signal is attention weights, perhaps dropped out or sliced on the way."""
    step = recording.steps[number]
    while step.kind == "move" and len(step.inputs) == 1:
        step = recording.steps[step.inputs[0]]
    return step.kind == "mix" and step.op == "softmax"


def _geometry(
    trace: Trace, value: Weight, summed: tuple[int, ...], free: list[int], stacked: tuple[int, ...]
) -> Geometry | None:
    if value.axes is None:
        return None
    in_axes, out_axes = _over(value.axes, summed), _over(value.axes, free)
    out_axes = tuple(a for a in out_axes if a not in in_axes)
    batch = tuple(a for a in _over(value.axes, stacked) if a not in in_axes and a not in out_axes)
    try:
        shape = trace.shapes[value.names[0]]
        return Geometry(shape, in_axes=in_axes, out_axes=out_axes, batch_axes=batch).in_order()
    except ShapeError:  # a weight that is made of several parameters need not have the first one's axes
        return None


def _over(axes: Axes, places: tuple[int, ...] | list[int]) -> tuple[int, ...]:
    return tuple(sorted({a for place in places for a in axes[place]}))
