"""Elementwise operations: scalar functions and their regions, sums, gates, biases, scales and masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from penstock.graph import ScalarFunction
from penstock.tracing.call import ADD, MULTIPLY, WEIGHTED_SUM, Array, Call
from penstock.tracing.dropout import dropout, multiple
from penstock.tracing.norms import average, norm
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Constant, Signal, Value, Weight

MASK_VALUE = -1e4
"""A constant summand below this is an attention mask (they use -1e4, finfo.min or -inf), not a part of the signal."""


def elementwise(recording: Recording, call: Call) -> Value:
    """Record one elementwise operation with at least one signal operand; returns what its result holds."""
    made = meaning(recording, call)
    return add(recording, call, made) if isinstance(made, Step) else made


def meaning(recording: Recording, call: Call) -> Step | Value:
    """What one elementwise operation with at least one signal operand does: a step to record, or what it made."""
    if not call.floating:
        # A comparison: a mask, that is a constant, but one that a scalar function can be written with.
        region = _region(recording, call)
        made = region.program if region is not None else None
        return Constant(mask_of=region.inputs[0], program=made) if region is not None and made else Constant()
    if (same := _neutral(call)) is not None:
        return same
    step = dropout(recording.steps, call.op, call.operands) or average(recording, call) or norm(recording, call)
    step = step or _statistic(recording, call) or _region(recording, call)
    if step is None and call.names:
        step = _with_parameter(recording, call)
    if step is None and len(call.nodes) == 1:
        if call.op in ADD and any(o.size > 1 and o.lowest <= MASK_VALUE for o in call.operands):
            return call.signals[0].value
        step = _with_constant(call)
    return _with_units(call, step or _with_signals(call))


def _neutral(call: Call) -> Value | None:
    """The signal itself, where zero is added or it is multiplied by one."""
    if call.op not in ADD | MULTIPLY or len(call.signals) != 1 or len(call.operands) != 2:
        return None
    first, second = call.operands
    signal, other = (first, second) if isinstance(first.value, Signal) else (second, first)
    reversed_matters = call.op == "rsub" or (signal is second and call.op in ("sub", "div"))
    if call.op == "mul" and other.number == 0.0:
        return Constant(number=0.0)
    neutral = 0.0 if call.op in ADD else 1.0
    return signal.value if other.number == neutral and not reversed_matters and signal.shape == call.shape else None


def scalar_function(recording: Recording, call: Call) -> Value | None:
    """Record `where` as a scalar function of one signal (`where(x > 0, x, 0)`), or dropout; None if it is neither."""
    step = scalar_step(recording, call)
    return None if step is None else add(recording, call, step)


def scalar_step(recording: Recording, call: Call) -> Step | None:
    """What `scalar_function` records."""
    step = dropout(recording.steps, call.op, call.operands) or _statistic(recording, call) or _region(recording, call)
    return None if step is None else _with_units(call, step)


def add(recording: Recording, call: Call, step: Step) -> Signal:
    """Write the step down."""
    return Signal(recording.add(step, call.shape), step.unit_axes)


def _with_units(call: Call, step: Step) -> Step:
    """The step with the units of its operands where it has none of its own."""
    step.unit_axes = step.unit_axes or _units(call)
    return step


def _region(recording: Recording, call: Call) -> Step | None:
    """One scalar function of one signal: all signal operands come, elementwise, from the same signal."""
    steps = recording.steps
    roots = {steps[n].inputs[0] if steps[n].program is not None else n for n in call.nodes}
    masks = {o.value.mask_of for o in call.operands if isinstance(o.value, Constant) and o.value.program is not None}
    roots |= {m for m in masks if m is not None}
    if call.function is None or len(roots) != 1 or call.names or any(o.shape != call.shape for o in call.signals):
        return None
    (root,) = roots
    parts: list[ScalarFunction | float] = []
    for operand in call.operands:
        value = operand.value
        if isinstance(value, Signal):
            own = steps[value.node].program
            parts.append(_itself if value.node == root or own is None else own)
        elif isinstance(value, Constant) and value.program is not None:
            parts.append(value.program)
        elif operand.number is None:
            return None
        else:
            parts.append(operand.number)
    program = _composed(call.function, tuple(parts))
    return Step("pointwise", call.op, (root,), program=program, multiple_of=multiple(call.op, call.operands))


def _itself(x: Array) -> Array:
    return x


def _composed(function: Callable[..., Array], parts: tuple[ScalarFunction | float, ...]) -> ScalarFunction:
    def program(x: Array) -> Array:
        with np.errstate(all="ignore"):
            made = function(*(part(x) if callable(part) else np.float64(part) for part in parts))
        return np.broadcast_to(made, np.shape(x))

    return program


def _statistic(recording: Recording, call: Call) -> Step | None:
    """A function of statistics of one signal is a statistic of that signal; so is what a norm's vectors make of it."""
    steps = [recording.steps[n] for n in call.nodes]
    reduced = {s.statistic_of for s in steps}
    if len(reduced) != 1 or None in reduced or (call.names and call.op not in ADD | MULTIPLY):
        return None
    region = _region(recording, call) if len(call.nodes) == 1 and not call.names else None
    return Step(
        "pointwise",
        call.op,
        call.nodes if region is None else region.inputs,
        parameters=tuple(dict.fromkeys((*(n for s in steps for n in s.parameters), *call.names))),
        program=None if region is None else region.program,
        multiple_of=None if region is None else region.multiple_of,
        statistic_of=reduced.pop(),
        peak=any(s.peak for s in steps),
        total=any(s.total for s in steps),
        reduced=steps[0].reduced,
    )


def _with_parameter(recording: Recording, call: Call) -> Step | None:
    """A signal and a parameter: a bias, a norm's scale or offset, a layer scale, a position."""
    if len(call.nodes) != 1:
        return None
    before, signal = recording.steps[call.nodes[0]], call.signals[0].value
    units = signal.unit_axes if isinstance(signal, Signal) else ()
    if call.op in ADD and before.kind == "contraction" and _one_a_unit(call):
        before.absorbed = True
        return Step(
            "contraction",
            before.op,
            before.inputs,
            path=before.path,
            parameters=before.parameters + call.names,
            geometry=before.geometry,
            unit_axes=units,
        )
    if call.op in ADD | MULTIPLY and before.kind == "norm":
        before.absorbed = True
        names = tuple(dict.fromkeys(before.parameters + call.names))
        path = before.path if before.parameters else ""
        return Step("norm", before.op, before.inputs, path=path, parameters=names, reduced=before.reduced)
    if call.op in ADD:
        return Step("sum", call.op, call.nodes, parameters=call.names)
    return Step("gate" if call.op in MULTIPLY else "other", call.op, call.nodes, parameters=call.names)


def _one_a_unit(call: Call) -> bool:
    """Whether the parameter has one number for each unit of the signal."""
    signal, weight = call.signals[0], next(o for o in call.operands if isinstance(o.value, Weight))
    missing = len(signal.shape) - len(weight.shape)
    if not isinstance(signal.value, Signal) or missing < 0:
        return False
    shape = (1,) * missing + tuple(weight.shape)
    wide = tuple(a for a, size in enumerate(shape) if size > 1)
    units = tuple(a for a in signal.value.unit_axes if signal.shape[a] > 1)
    return wide == units and all(shape[a] == signal.shape[a] for a in units)


def _with_constant(call: Call) -> Step:
    if call.op in MULTIPLY:
        return Step("move", "mask", call.nodes)
    return Step("sum" if call.op in ADD else "other", call.op, call.nodes)


def _with_signals(call: Call) -> Step:
    kind = "sum" if call.op in ADD | WEIGHTED_SUM else "gate" if call.op in MULTIPLY else "other"
    return Step(kind, call.op, call.nodes, parameters=call.names)


def _units(call: Call) -> tuple[int, ...]:
    for operand in call.signals:
        if isinstance(operand.value, Signal) and len(operand.shape) == len(call.shape) and operand.value.unit_axes:
            return operand.value.unit_axes
    return ()
