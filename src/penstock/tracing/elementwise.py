"""Elementwise operations: scalar functions and their regions, sums, gates, and norms that are written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.graph import ScalarFunction
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Constant, Operand, Signal, Value, Weight

MASK_VALUE = -1e4
"""A constant summand below this is an attention mask (they use -1e4, finfo.min or -inf), not a part of the signal."""

ADD = frozenset("add sub".split())
MULTIPLY = frozenset("mul div".split())

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One elementwise operation.

    Attributes:
        op: its name: "add", "sub", "mul", "div" and "exp" have a meaning here, others are scalar functions.
        operands: in order; those of one element and those with axes of one are spread.
        shape: of the result.
        function: the operation on float64 arrays; None where there is none.
        floating: whether the result holds floating-point numbers.
    """

    op: str
    operands: Sequence[Operand]
    shape: tuple[int, ...]
    function: Callable[..., Array] | None
    floating: bool = True

    @property
    def signals(self) -> list[Operand]:
        """Operands that hold signals."""
        return [o for o in self.operands if isinstance(o.value, Signal)]

    @property
    def nodes(self) -> tuple[int, ...]:
        """Their numbers, each once."""
        return tuple(dict.fromkeys(o.value.node for o in self.operands if isinstance(o.value, Signal)))

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters among the operands, each once."""
        return tuple(dict.fromkeys(n for o in self.operands if isinstance(o.value, Weight) for n in o.value.names))


def elementwise(recording: Recording, call: Call) -> Value:
    """Record one elementwise operation with at least one signal operand; returns what its result holds."""
    if not call.floating:
        # A comparison: a mask, that is a constant, but one that a scalar function can be written with.
        region = _region(recording, call)
        made = region.program if region is not None else None
        return Constant(mask_of=region.inputs[0], program=made) if region is not None and made else Constant()
    if (same := _neutral(call)) is not None:
        return same
    step = _average(recording, call) or _norm(recording, call) or _statistic(recording, call)
    step = step or _region(recording, call)
    if step is None and call.names:
        step = _with_parameter(recording, call)
    if step is None and len(call.nodes) == 1:
        if call.op in ADD and any(o.size > 1 and o.lowest <= MASK_VALUE for o in call.operands):
            return call.signals[0].value
        step = _with_constant(call)
    if step is None:
        step = _with_signals(call)
    return add(recording, call, step)


def _neutral(call: Call) -> Value | None:
    """The signal itself, where zero is added or it is multiplied by one."""
    if call.op not in ADD | MULTIPLY or len(call.signals) != 1 or len(call.operands) != 2:
        return None
    first, second = call.operands
    signal, other = (first, second) if isinstance(first.value, Signal) else (second, first)
    reversed_matters = signal is second and call.op in ("sub", "div")
    if call.op == "mul" and other.number == 0.0:
        return Constant(number=0.0)
    neutral = 0.0 if call.op in ADD else 1.0
    return signal.value if other.number == neutral and not reversed_matters and signal.shape == call.shape else None


def scalar_function(recording: Recording, call: Call) -> Value | None:
    """Record an operation as a scalar function of one signal (`where(x > 0, x, 0)`); None where it is none."""
    step = _statistic(recording, call) or _region(recording, call)
    return None if step is None else add(recording, call, step)


def add(recording: Recording, call: Call, step: Step) -> Signal:
    """Write the step down, with the units of its operands where it has none of its own."""
    step.unit_axes = step.unit_axes or _units(call)
    return Signal(recording.add(step, call.shape), step.unit_axes)


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
    return Step("pointwise", call.op, (root,), program=_composed(call.function, tuple(parts)))


def _itself(x: Array) -> Array:
    return x


def _composed(function: Callable[..., Array], parts: tuple[ScalarFunction | float, ...]) -> ScalarFunction:
    def program(x: Array) -> Array:
        with np.errstate(all="ignore"):
            made = function(*(part(x) if callable(part) else np.float64(part) for part in parts))
        return np.broadcast_to(made, np.shape(x))

    return program


def _average(recording: Recording, call: Call) -> Step | None:
    """A sum over n elements that is divided by n."""
    if call.op not in MULTIPLY or len(call.nodes) != 1 or call.names or len(call.operands) != 2:
        return None
    before = recording.steps[call.nodes[0]]
    number = call.operands[1].number if isinstance(call.operands[0].value, Signal) else call.operands[0].number
    if not before.count or number is None or number == 0.0:
        return None
    if call.op == "div" and not isinstance(call.operands[0].value, Signal):
        return None
    factor = 1.0 / number if call.op == "div" else number
    if not math.isclose(factor * before.count, 1.0, rel_tol=1e-5):
        return None
    op = "avg_pool" if before.op == "sum_pool" else "mean"
    return Step(
        "mix",
        op,
        before.inputs,
        statistic_of=before.statistic_of,
        peak=before.peak,
        total=before.total,
        reduced=before.reduced,
    )


def _norm(recording: Recording, call: Call) -> Step | None:
    """X - mean(x), x / std(x) and the like: a signal combined with a statistic of itself."""
    if call.op not in ADD | MULTIPLY or len(call.nodes) != 2:
        return _norm_of_state(recording, call)
    steps = [recording.steps[n] for n in call.nodes]
    for number, step, other in zip(call.nodes, steps, reversed(steps), strict=True):
        origin = recording.origin(number)
        if other.statistic_of == origin and step.statistic_of is None:
            source = step.inputs if step.kind == "norm" and not step.parameters else (number,)
            if other.total:  # exp(x) / sum(exp(x)), or x - log(sum(exp(x)))
                return Step("mix", "softmax", _of_softmax(recording, number))
            names = other.parameters + (step.parameters if step.kind == "norm" else ())
            op = call.op if other.peak else _norm_name(call, step, other)
            return Step(
                "norm", op, source, parameters=tuple(dict.fromkeys(names)), peak=other.peak, reduced=other.reduced
            )
        if step.kind == "norm" and step.parameters and step.reduced and (other.statistic_of,) == step.inputs:
            # scale * (x - mean(x)) / std(x): divided only after it was scaled.
            step.absorbed = True
            return Step("norm", step.op, step.inputs, path=step.path, parameters=step.parameters, reduced=step.reduced)
    return None


def _of_softmax(recording: Recording, number: int) -> tuple[int, ...]:
    """What a softmax reads: what the largest value was taken from, where that was subtracted first."""
    step = recording.steps[number]
    while step.program is not None and not (step.kind == "norm" and step.peak):
        number = step.inputs[0]
        step = recording.steps[number]
    return step.inputs if step.kind == "norm" and step.peak else (number,)


def _norm_name(call: Call, step: Step, statistic: Step) -> str:
    """By what it reduces: all but the units, over the batch, or the units themselves with or without the mean."""
    if step.kind == "norm":
        return step.op if step.op != "norm" else "norm"
    if 0 in statistic.reduced and len(step.shape) > 1:
        return "batch_norm"
    return "layer_norm" if call.op in ADD else "rms_norm"


def _norm_of_state(recording: Recording, call: Call) -> Step | None:
    """Running statistics in place of the batch's own."""
    state = [o for o in call.operands if isinstance(o.value, Constant) and o.value.state]
    if call.op not in ADD | MULTIPLY or not state or len(call.nodes) != 1 or call.names:
        return None
    before = recording.steps[call.nodes[0]]
    if before.kind == "norm":
        before.absorbed = True
        return Step("norm", before.op, before.inputs, path=before.path, parameters=before.parameters)
    return Step("norm", "batch_norm", call.nodes)


def _statistic(recording: Recording, call: Call) -> Step | None:
    """A function of statistics of one signal is a statistic of that signal; so is what a parameter scales it to."""
    steps = [recording.steps[n] for n in call.nodes]
    reduced = {s.statistic_of for s in steps}
    if len(reduced) != 1 or None in reduced or (call.names and call.op not in MULTIPLY):
        return None
    region = _region(recording, call) if len(call.nodes) == 1 and not call.names else None
    return Step(
        "pointwise",
        call.op,
        call.nodes if region is None else region.inputs,
        parameters=tuple(dict.fromkeys((*(n for s in steps for n in s.parameters), *call.names))),
        program=None if region is None else region.program,
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
        return Step("norm", before.op, before.inputs, path=before.path if before.parameters else "", parameters=names)
    if call.op in ADD:
        return Step("sum", call.op, call.nodes, parameters=call.names)
    return Step("gate" if call.op in MULTIPLY else "other", call.op, call.nodes, parameters=call.names)


def _one_a_unit(call: Call) -> bool:
    """Whether the parameter has one number for each unit of the signal."""
    signal, weight = call.signals[0], next(o for o in call.operands if isinstance(o.value, Weight))
    if not isinstance(signal.value, Signal) or len(weight.shape) != len(signal.shape):
        return False
    wide = tuple(a for a, size in enumerate(weight.shape) if size > 1)
    units = tuple(a for a in signal.value.unit_axes if signal.shape[a] > 1)
    return wide == units and all(weight.shape[a] == signal.shape[a] for a in units)


def _with_constant(call: Call) -> Step:
    if call.op in MULTIPLY:
        return Step("move", "mask", call.nodes)
    return Step("sum" if call.op in ADD else "other", call.op, call.nodes)


def _with_signals(call: Call) -> Step:
    kind = "sum" if call.op in ADD else "gate" if call.op in MULTIPLY else "other"
    return Step(kind, call.op, call.nodes, parameters=call.names)


def _units(call: Call) -> tuple[int, ...]:
    for operand in call.signals:
        if isinstance(operand.value, Signal) and len(operand.shape) == len(call.shape) and operand.value.unit_axes:
            return operand.value.unit_axes
    return ()
