"""The meaning of each operation of a program: what it makes of the signals, weights and constants that it reads."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from penstock.jax.trace import moves, ops
from penstock.jax.trace.contraction import convolution, lookup, matmul
from penstock.jax.trace.flatten import value_of
from penstock.jax.trace.program import Op, Program, Reference, is_float, shape_of
from penstock.tracing.elementwise import Call, elementwise, scalar_function
from penstock.tracing.recording import Recording, Step
from penstock.tracing.reduction import reduction
from penstock.tracing.values import Constant, Operand, Signal, Value, Weight


@dataclass
class Trace:
    """A program with what each of its values holds.

    Attributes:
        program: the operations.
        inputs: values of its inputs.
        values: number of a value -> what it holds.
        recording: the steps.
        made_by: step -> the number of its value.
        shapes: shapes of the parameters by name.
    """

    program: Program
    inputs: Mapping[int, Any]
    values: dict[int, Value] = field(default_factory=dict)
    recording: Recording = field(default_factory=Recording)
    made_by: dict[int, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def operand(self, reference: Reference) -> Operand:
        """What an operand holds."""
        if not isinstance(reference, int):
            number = np.asarray(reference.val)
            return Operand(Constant(number=float(number) if number.dtype.kind in "fiub" else None), number.shape)
        return Operand(self.values[reference], shape_of(self.program, reference))

    def add(self, step: Step, out: int) -> None:
        """Write a step down that made a value."""
        shape = shape_of(self.program, out)
        self.values[out] = Signal(self.recording.add(step, shape), step.unit_axes)
        self.made_by[len(self.recording.steps) - 1] = out

    def hold(self, out: int, value: Value) -> None:
        """Say what a value holds; where that is a new step, the value is the step's."""
        self.values[out] = value
        if isinstance(value, Signal):
            self.made_by.setdefault(value.node, out)

    def constant(self, out: int, inputs: tuple[int, ...] = (), *, state: bool = False) -> None:
        """Say that a value is a constant, which is computed if somebody asks."""
        if jax.numpy.issubdtype(self.program.avals[out].dtype, jax.dtypes.extended):
            self.values[out] = Constant(inputs)  # keys of random numbers have no values to look at
            return
        read = functools.cache(lambda: np.asarray(value_of(self.program, dict(self.inputs), out)))
        self.values[out] = Constant(inputs, state=state, read=read)


def interpret(trace: Trace) -> None:
    """Record all operations of a program whose inputs are known."""
    for op in trace.program.ops:
        operands = [trace.operand(r) for r in op.inputs]
        signals = any(isinstance(o.value, Signal) for o in operands)
        weights = any(isinstance(o.value, Weight) for o in operands)
        if op.name in ops.CONSTANT or not (signals or weights):
            _constant(trace, op, operands)
        elif signals:
            _HANDLERS.get(op.name, _other)(trace, op, operands)
        elif op.name == "gather":
            lookup(trace, op, operands)
        elif op.name == "dot_general" and _integer_inputs(operands):
            matmul(trace, op, operands)
        else:
            moves.derived(trace, op, operands)


def _integer_inputs(operands: list[Operand]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(i for o in operands if isinstance(o.value, Constant) for i in o.value.inputs))


def _constant(trace: Trace, op: Op, operands: list[Operand]) -> None:
    first = operands[0].value if operands else None
    numbers = [o.number for o in operands] if len(op.outputs) == 1 and operands else [None]
    state = any(isinstance(o.value, Constant) and o.value.state for o in operands)
    for out in op.outputs:
        if op.name == "convert_element_type" and isinstance(first, Constant) and first.program is not None:
            trace.values[out] = first  # (x > 0).astype(float)
        elif op.name in ops.ALIAS and numbers[0] is not None:
            trace.values[out] = Constant(_integer_inputs(operands), number=numbers[0])
        else:
            trace.constant(out, _integer_inputs(operands), state=state)


def _call(trace: Trace, op: Op, operands: list[Operand]) -> Call:
    function = ops.FUNCTIONS.get(op.name)
    if function is not None and op.params:
        function = functools.partial(function, **op.params)
    out = op.outputs[0]
    name = ops.NAMES.get(op.name, op.name)
    return Call(name, operands, shape_of(trace.program, out), function, is_float(trace.program, out))


def _elementwise(trace: Trace, op: Op, operands: list[Operand]) -> None:
    trace.hold(op.outputs[0], elementwise(trace.recording, _call(trace, op, operands)))


def _where(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A scalar function, or a signal some of whose elements are masked."""
    which = operands[0].number
    if which is not None and 0 <= which < len(operands) - 1 and operands[int(which) + 1].shape == operands[-1].shape:
        trace.values[op.outputs[0]] = operands[int(which) + 1].value
        return
    value = scalar_function(trace.recording, _call(trace, op, operands))
    signals = [o for o in operands if isinstance(o.value, Signal)]
    nodes = tuple(dict.fromkeys(o.value.node for o in signals if isinstance(o.value, Signal)))
    if value is not None:
        trace.hold(op.outputs[0], value)
    elif len(nodes) == 1 and not any(isinstance(o.value, Weight) for o in operands):
        # The -inf of an attention mask must not enter its statistics.
        trace.values[op.outputs[0]] = signals[0].value
    else:
        moves.move(trace, op, operands)


def _reduction(trace: Trace, op: Op, operands: list[Operand]) -> None:
    value, out = operands[0].value, op.outputs[0]
    if not isinstance(value, Signal) or not is_float(trace.program, out):
        trace.constant(out)
        return
    axes = tuple(op.params["axes"])
    trace.add(reduction(trace.recording, ops.REDUCTION[op.name], value, operands[0].shape, axes), out)


def _pool(trace: Trace, op: Op, operands: list[Operand]) -> None:
    value = operands[0].value
    if not isinstance(value, Signal):
        trace.constant(op.outputs[0])
        return
    window = op.params.get("window_dimensions", ())
    name = ops.POOL.get(op.name, "pool")
    count = math.prod(window) if name == "sum_pool" else 0
    trace.add(Step("mix", name, (value.node,), unit_axes=value.unit_axes, count=count), op.outputs[0])


def _other(trace: Trace, op: Op, operands: list[Operand]) -> None:
    nodes = tuple(dict.fromkeys(o.value.node for o in operands if isinstance(o.value, Signal)))
    names = tuple(dict.fromkeys(n for o in operands if isinstance(o.value, Weight) for n in o.value.names))
    for out in op.outputs:
        if is_float(trace.program, out):
            if op.name != "scan_rest":
                trace.recording.unknown[op.name] = None
            trace.add(Step("other", op.name, nodes, parameters=names), out)
        else:
            trace.constant(out)


Handler = Callable[[Trace, Op, list[Operand]], None]

_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(ops.ELEMENTWISE, _elementwise),
    **dict.fromkeys(ops.ALIAS, moves.alias),
    **dict.fromkeys(ops.MOVE, moves.move),
    **dict.fromkeys(ops.REDUCTION, _reduction),
    **dict.fromkeys([*ops.POOL, "reduce_window"], _pool),
    "select_n": _where,
    "dot_general": matmul,
    "conv_general_dilated": convolution,
}
