"""Weights times signal: matrix products, convolutions and look-ups, with the axis roles that an operation shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from penstock.errors import ShapeError
from penstock.geometry import Geometry
from penstock.graph import Kind
from penstock.torch.trace import ops
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Axes, Constant, Weight

if TYPE_CHECKING:
    from penstock.torch.trace.call import Call
    from penstock.torch.trace.tracer import Tracer


def matmul(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """A matrix product: a contraction if one factor is made of parameters, else a product of two signals."""
    out = made[0]
    first, second = (1, 2) if call.op in ops.MATMUL_WITH_BIAS else (0, 1)
    left, right = call.values[first], call.values[second]
    biases = tuple(n for v in call.values[:first] if isinstance(v, Weight) for n in v.names)
    if isinstance(right, Weight) and not isinstance(left, Weight):
        weight, tensor, column = right, call.tensors[second], out.dim() - 1
        roles = _roles(right.axes, batch=call.op in ops.BATCHED, inputs=-2, outputs=-1)
    elif isinstance(left, Weight):
        weight, tensor, column = left, call.tensors[first], max(out.dim() - 2, 0)
        roles = _roles(left.axes, batch=call.op in ops.BATCHED, inputs=-1, outputs=-2)
    else:
        kind: Kind = "mix" if any(_is_average(tracer.recording, n) for n in call.nodes) else "gate"
        tracer.add(Step(kind, "matmul", call.nodes, parameters=call.names), out)
        return
    inputs = call.nodes or _sources(call)
    geometry = _geometry(tracer, weight, tensor, *roles) if roles else None
    step = Step(
        "contraction", call.op, inputs, parameters=weight.names + biases, geometry=geometry, unit_axes=(column,)
    )
    tracer.add(step, out, write=call.writes)


def convolution(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """A convolution, transposed or not, grouped or not."""
    value = call.values[1]
    if not isinstance(value, Weight):
        tracer.add(Step("gate", call.op, call.nodes, parameters=call.names), made[0])
        return
    shape = tuple(call.tensors[1].shape)
    stride, transposed, groups = call.args[3], bool(call.args[6]), int(call.args[8])
    geometry = None
    if value.axes == tuple((axis,) for axis in range(len(shape))):
        geometry = Geometry(
            shape,
            in_axes=(0,) if transposed else (1,),
            out_axes=(1,) if transposed else (0,),
            window_axes=tuple(range(2, len(shape))),
            groups=groups,
            split="out" if transposed else "in",
            stride=math.prod(stride) ** (len(shape) - 2 if len(stride) == 1 else 1),
            transposed=transposed,
        )
    names = tuple(dict.fromkeys((*value.names, *call.names)))
    step = Step("contraction", call.op, call.nodes, parameters=names, geometry=geometry, unit_axes=(1,))
    tracer.add(step, made[0])


def bilinear(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """The products of two signals, summed: x1^T W x2."""
    value = call.values[1]
    if not isinstance(value, Weight):
        tracer.add(Step("gate", call.op, call.nodes, parameters=call.names), made[0])
        return
    geometry = None
    if value.axes == ((0,), (1,), (2,)):
        geometry = Geometry(tuple(call.tensors[1].shape), in_axes=(1, 2), out_axes=(0,), bilinear=True)
    step = Step("contraction", "bilinear", call.nodes, parameters=value.names, geometry=geometry, unit_axes=(1,))
    tracer.add(step, made[0])


def lookup(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """Rows picked from a table by integers."""
    table = next((v for v in call.values if isinstance(v, Weight)), None)
    if table is None:
        tracer.add(Step("move", call.op, call.nodes), made[0])
        return
    rank = call.tensors[call.values.index(table)].dim()
    geometry = None
    if table.axes is not None and len(table.axes) >= 2 and rank == 2:
        shape = tuple(call.tensors[call.values.index(table)].shape)
        if table.axes == ((0,), (1,)):
            geometry = Geometry(shape, in_axes=(0,), out_axes=(1,), lookup=True)
    step = Step(
        "contraction",
        call.op,
        call.nodes or _sources(call),
        parameters=call.names,
        geometry=geometry,
        unit_axes=(made[0].dim() - 1,),
    )
    tracer.add(step, made[0])


def _sources(call: Call) -> tuple[int, ...]:
    return tuple(dict.fromkeys(i for v in call.values if isinstance(v, Constant) for i in v.inputs))


def _is_average(recording: Recording, number: int) -> bool:
    """Whether a signal is attention weights, perhaps dropped out or sliced on the way."""
    step = recording.steps[number]
    while step.kind == "move" and len(step.inputs) == 1:
        step = recording.steps[step.inputs[0]]
    return step.kind == "mix" and step.op == "softmax"


Roles = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _roles(axes: Axes | None, *, batch: bool, inputs: int, outputs: int) -> Roles | None:
    """(in_axes, out_axes, batch_axes) of the parameter, from how the factor lies over it."""
    if axes is None or len(axes) < 1:
        return None
    if len(axes) == 1:  # a vector: mv, dot
        return axes[0], (), ()
    return axes[inputs], axes[outputs], axes[0] if batch and len(axes) > 2 else ()


def _geometry(
    tracer: Tracer,
    weight: Weight,
    tensor: torch.Tensor,
    in_axes: tuple[int, ...],
    out_axes: tuple[int, ...],
    batch_axes: tuple[int, ...],
) -> Geometry | None:
    shape = tracer.shape_of(weight.names[0])
    out_axes = tuple(a for a in out_axes if a not in in_axes)
    batch_axes = tuple(a for a in batch_axes if a not in in_axes and a not in out_axes)
    try:
        return Geometry(shape, in_axes=in_axes, out_axes=out_axes, batch_axes=batch_axes)
    except ShapeError:  # a weight that is made of several parameters need not have the first one's axes
        return None
