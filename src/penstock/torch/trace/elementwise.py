"""Elementwise operations: scalar functions and their regions, sums, gates, and norms that are written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from penstock.torch.trace import ops
from penstock.torch.trace.recording import Program, Step
from penstock.torch.trace.values import Constant, Signal, Weight

if TYPE_CHECKING:
    from penstock.torch.trace.call import Call
    from penstock.torch.trace.tracer import Tracer

MASK_VALUE = -1e4
"""A constant summand below this is an attention mask (they use -1e4, finfo.min or -inf), not a part of the signal."""


def elementwise(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """Record one elementwise operation with at least one signal operand."""
    out = made[0]
    if not out.is_floating_point() and not out.is_complex():
        # A comparison: a mask, that is a constant, but one that a scalar function can be written with.
        region = _region(tracer, call, out)
        if region is not None and region.program is not None and out.dtype == torch.bool:
            tracer.values.set(out, Constant(mask_of=region.inputs[0], program=region.program))
        return
    if (same := _with_zeros(call, out)) is not None:
        (tracer.values.wrote if call.writes else tracer.values.set)(out, same)
        return
    step = _norm(tracer, call, out) or _statistic(tracer, call, out) or _region(tracer, call, out)
    if step is None and call.names:
        step = _with_parameter(tracer, call, out)
    if step is None and len(call.nodes) == 1:
        if call.op in ops.ADD and _is_mask(call):
            value = Signal(call.nodes[0], call.signals[0].unit_axis)
            (tracer.values.wrote if call.writes else tracer.values.set)(out, value)
            return
        step = _with_constant(call)
    if step is None:
        step = _with_signals(tracer, call)
    if step.unit_axis is None:
        step.unit_axis = _units(call, out)
    tracer.add(step, out, write=call.writes)


def _with_zeros(call: Call, out: torch.Tensor) -> Signal | Constant | None:
    """What a signal is when zeros (the first state of a recurrent loop) are added, or it is multiplied by them."""
    if call.op not in ("add", "mul") or len(call.tensors) != 2 or len(call.signals) != 1:
        return None
    signal, other = call.tensors if isinstance(call.values[0], Signal) else call.tensors[::-1]
    constant = next(v for v in call.values if not isinstance(v, Signal))
    plain = isinstance(constant, Constant) and constant.program is None and not constant.inputs
    if not plain or other.numel() == 0 or other.is_meta or bool(other.any()):
        return None
    if call.op == "mul":
        return Constant()
    return call.signals[0] if signal.shape == out.shape else None


def scalar_function(tracer: Tracer, call: Call, out: torch.Tensor) -> bool:
    """Record an operation as a scalar function of one signal (`where(x > 0, x, 0)`); False where it is none."""
    step = _region(tracer, call, out)
    if step is None:
        return False
    step.unit_axis = _units(call, out)
    tracer.add(step, out, write=call.writes)
    return True


def _region(tracer: Tracer, call: Call, out: torch.Tensor) -> Step | None:
    """One scalar function of one signal: all signal operands come, elementwise, from the same signal."""
    roots = {tracer.recording.steps[n].inputs[0] if _is_function(tracer, n) else n for n in call.nodes}
    if len(roots) != 1 or any(t.shape != out.shape for t, v in _pairs(call) if isinstance(v, Signal)):
        return None
    slope = call.op in ops.PRELU
    if any(isinstance(v, Weight) for v in call.values) and not slope:
        return None
    (root,) = roots
    if "out" in call.kwargs or any(isinstance(v, Constant) and not _same_for_all(t, v, root) for t, v in _pairs(call)):
        return None
    program = _program(tracer, call, root)
    return Step("pointwise", call.op, (root,), parameters=call.names, program=program)


def _program(tracer: Tracer, call: Call, root: int) -> Program:
    """The operation as a function of the root signal alone; keeps no tensor of the model alive."""

    def freeze(item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            value = tracer.values.get(item)
            if isinstance(value, Signal):
                return _Slot(None if value.node == root else tracer.recording.steps[value.node].program)
            if isinstance(value, Constant) and value.program is not None:
                return _Slot(value.program)
            return item.detach().double().mean().item()
        return item

    func, inplace = call.func, call.writes
    args = tuple(freeze(a) for a in call.args)
    kwargs = {k: freeze(v) for k, v in call.kwargs.items() if k != "dtype"}

    def program(x: torch.Tensor) -> torch.Tensor:
        def thaw(item: Any) -> Any:
            if isinstance(item, _Slot):
                made = x if item.program is None else item.program(x)
                return made.clone() if inplace else made
            return item

        given = [thaw(a) for a in args]
        schema = func._schema.arguments
        for i, item in enumerate(given):
            # An overload that wants a tensor gets the constant as one.
            if isinstance(item, float) and i < len(schema) and str(schema[i].type) == "Tensor":
                given[i] = torch.tensor(item, dtype=x.dtype)
        result = func(*given, **{k: thaw(v) for k, v in kwargs.items()})
        return result[0] if isinstance(result, (tuple, list)) else result

    return program


class _Slot:
    """Place of the root signal, or of a function of it, among an operation's arguments."""

    __slots__ = ("program",)

    def __init__(self, program: Program | None) -> None:
        self.program = program


def _norm(tracer: Tracer, call: Call, out: torch.Tensor) -> Step | None:
    """X - mean(x), x / std(x) and the like: a signal combined with a statistic of itself."""
    if call.op not in ops.ADD | ops.MULTIPLY or len(call.nodes) != 2:
        return None
    steps = [tracer.recording.steps[n] for n in call.nodes]
    for (number, step), other in zip(zip(call.nodes, steps, strict=True), reversed(steps), strict=True):
        origin = tracer.recording.origin(number)
        if other.statistic_of == origin and step.statistic_of is None:
            if other.total:  # exp(x) / sum(exp(x)), or x - log(sum(exp(x)))
                return Step("mix", "softmax", (origin,))
            return Step("norm", call.op if other.peak else "norm", (origin,))
        if step.kind == "norm" and step.parameters and step.op == "norm" and (other.statistic_of,) == step.inputs:
            # scale * (x - mean(x)) / std(x): divided only after it was scaled.
            step.absorbed = True
            return Step("norm", "norm", step.inputs, path=step.path, parameters=step.parameters)
    return None


def _statistic(tracer: Tracer, call: Call, out: torch.Tensor) -> Step | None:
    """A function of statistics of one signal is a statistic of that signal."""
    steps = [tracer.recording.steps[n] for n in call.nodes]
    reduced = {s.statistic_of for s in steps}
    if len(reduced) != 1 or None in reduced or call.names:
        return None
    program = None
    if len(call.nodes) == 1 and not any(isinstance(v, Constant) and t.numel() != 1 for t, v in _pairs(call)):
        region = _region(tracer, call, out)
        program = region.program if region else None
    root = steps[0].inputs[0] if _is_function(tracer, call.nodes[0]) and program else call.nodes[0]
    inputs = (root,) if program else call.nodes
    return Step(
        "pointwise",
        call.op,
        inputs,
        program=program,
        statistic_of=reduced.pop(),
        peak=any(s.peak for s in steps),
        total=any(s.total for s in steps),
    )


def _with_parameter(tracer: Tracer, call: Call, out: torch.Tensor) -> Step | None:
    """A signal and a parameter: a bias, a norm's scale or offset, a layer scale, a position."""
    if len(call.nodes) != 1:
        return None
    number = call.nodes[0]
    before = tracer.recording.steps[number]
    size = max(t.numel() for t, v in _pairs(call) if isinstance(v, Weight))
    if call.op in ops.ADD and before.kind == "contraction" and size == _unit_count(call, out):
        before.absorbed = True
        return Step(
            "contraction",
            before.op,
            before.inputs,
            path=before.path,
            parameters=before.parameters + call.names,
            geometry=before.geometry,
            unit_axis=call.signals[0].unit_axis,
        )
    if call.op in ops.ADD | ops.MULTIPLY and before.kind == "norm":
        before.absorbed = True
        names = tuple(dict.fromkeys(before.parameters + call.names))
        return Step("norm", before.op, before.inputs, path=before.path, parameters=names)
    if call.op in ops.ADD:
        return Step("sum", call.op, call.nodes, parameters=call.names)
    if call.op in ops.MULTIPLY:
        return Step("gate", call.op, call.nodes, parameters=call.names)
    return Step("other", call.op, call.nodes, parameters=call.names)


def _with_constant(call: Call) -> Step:
    if call.op in ops.MULTIPLY:
        return Step("move", "mask", call.nodes)
    if call.op in ops.ADD:
        return Step("sum", call.op, call.nodes)
    return Step("other", call.op, call.nodes)


def _with_signals(tracer: Tracer, call: Call) -> Step:
    if call.op in ops.ADD or call.op in ops.WEIGHTED_SUM:
        return Step("sum", call.op, call.nodes, parameters=call.names)
    if call.op in ops.MULTIPLY:
        return Step("gate", call.op, call.nodes, parameters=call.names)
    return Step("other", call.op, call.nodes, parameters=call.names)


def _is_mask(call: Call) -> bool:
    constants = [t for t, v in _pairs(call) if isinstance(v, Constant) and t.is_floating_point() and t.numel() > 1]
    return any(float(t.min()) <= MASK_VALUE for t in constants)


def _same_for_all(tensor: torch.Tensor, value: Constant, root: int) -> bool:
    """Whether a constant is one number for all elements (`zeros_like(x)`), or a mask that the root itself makes."""
    if value.program is not None:
        return value.mask_of == root
    return tensor.numel() == 1 or (
        tensor.numel() > 0 and not tensor.is_complex() and bool((tensor == tensor.reshape(-1)[0]).all())
    )


def _is_function(tracer: Tracer, number: int) -> bool:
    return tracer.recording.steps[number].program is not None


def _pairs(call: Call) -> Any:
    return zip(call.tensors, call.values, strict=True)


def _units(call: Call, out: torch.Tensor) -> int | None:
    for tensor, value in _pairs(call):
        if isinstance(value, Signal) and tensor.dim() == out.dim() and value.unit_axis is not None:
            return value.unit_axis
    return None


def _unit_count(call: Call, out: torch.Tensor) -> int | None:
    axis = call.signals[0].unit_axis
    return out.shape[axis] if axis is not None and axis < out.dim() else None
