"""The meaning of each operation of a program: what it makes of the signals, weights and constants that it reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from penstock.keras.tensorflow import moves, ops
from penstock.keras.tensorflow.contraction import convolution, einsum, lookup, matmul
from penstock.keras.tensorflow.program import Op, Program, numpy_type
from penstock.tracing.elementwise import Call, elementwise, scalar_function
from penstock.tracing.recording import Recording, Step
from penstock.tracing.reduction import reduction
from penstock.tracing.values import Constant, Operand, Signal, Value, Weight


@dataclass
class Trace:
    """A program with what each of its values holds.

    Attributes:
        program: the operations.
        known: the values, as they were when it was flattened; emptied when it is read.
        values: number of a value -> what it holds.
        recording: the steps.
        made_by: step -> the number of its value.
        shapes: shapes of the parameters by name.
    """

    program: Program
    known: dict[int, Any]
    values: dict[int, Value] = field(default_factory=dict)
    recording: Recording = field(default_factory=Recording)
    made_by: dict[int, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def operand(self, number: int) -> Operand:
        """What an operand holds."""
        return Operand(self.values[number], self.program.avals[number].shape)

    def integers(self, number: int) -> tuple[int, ...]:
        """The numbers in an operand that says how: axes, a permutation."""
        return tuple(int(each) for each in np.asarray(self.known[number]).reshape(-1))

    def add(self, step: Step, out: int) -> None:
        """Write a step down that made a value."""
        self.values[out] = Signal(self.recording.add(step, self.program.avals[out].shape), step.unit_axes)
        self.made_by[len(self.recording.steps) - 1] = out

    def hold(self, out: int, value: Value) -> None:
        """Say what a value holds; where that is a new step, the value is the step's."""
        self.values[out] = value
        if isinstance(value, Signal):
            self.made_by.setdefault(value.node, out)

    def constant(self, out: int, inputs: tuple[int, ...] = (), *, state: bool = False) -> None:
        """Say that a value is a constant, which is looked at if somebody asks."""
        value = self.known[out]
        readable = self.program.avals[out].dtype.kind != "O"
        self.values[out] = Constant(inputs, state=state, read=value.numpy if readable else None)


def interpret(trace: Trace) -> None:
    """Record all operations of a program whose inputs are known."""
    for number, value in trace.program.constants.items():
        trace.values[number] = closed_over(value)
    for op in trace.program.ops:
        operands = [trace.operand(number) for number in op.inputs]
        signals = any(isinstance(o.value, Signal) for o in operands)
        weights = any(isinstance(o.value, Weight) for o in operands)
        if op.name in ops.CONSTANT or not (signals or weights):
            _constant(trace, op, operands)
        elif op.name == "GatherV2" and isinstance(operands[0].value, Weight):
            lookup(trace, op, operands)
        elif signals:
            _HANDLERS.get(op.name, _other)(trace, op, operands)
        elif op.name in _PRODUCTS and _integer_inputs(operands):
            _PRODUCTS[op.name](trace, op, operands)
        else:
            moves.derived(trace, op, operands)


def closed_over(value: Any) -> Constant:
    """A constant of the graph, and the number that it is everywhere."""
    if numpy_type(value.dtype).kind == "O":
        return Constant()
    array = value.numpy()
    same = array.dtype.kind in "fiub" and array.size > 0 and bool((array == array.reshape(-1)[0]).all())
    return Constant(number=float(array.reshape(-1)[0]) if same else None, read=lambda: array)


def _integer_inputs(operands: list[Operand]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(i for o in operands if isinstance(o.value, Constant) for i in o.value.inputs))


def _constant(trace: Trace, op: Op, operands: list[Operand]) -> None:
    first = operands[0].value if operands else None
    number = operands[0].number if operands else None
    if op.name == "Fill":
        number = operands[1].number
    state = any(isinstance(o.value, Constant) and o.value.state for o in operands)
    for out in op.outputs:
        if op.name in ("Cast", "Identity") and isinstance(first, Constant) and first.program is not None:
            trace.values[out] = first  # (x > 0) as numbers
        elif op.name in ops.FILLED:
            trace.values[out] = Constant(number=ops.FILLED[op.name])
        elif (op.name in ops.ALIAS or op.name == "Fill") and number is not None:
            trace.values[out] = Constant(_integer_inputs(operands), number=number)
        else:
            trace.constant(out, _integer_inputs(operands), state=state)


def _call(trace: Trace, op: Op, operands: list[Operand]) -> Call:
    """The operation with all operands of the result's rank: TensorFlow adds axes in front."""
    function = ops.FUNCTIONS.get(op.name)
    if function is not None and "alpha" in op.params:
        function = functools.partial(function, alpha=op.params["alpha"])
    aval = trace.program.avals[op.outputs[0]]
    same = [_of_rank(operand, len(aval.shape)) for operand in operands]
    return Call(ops.name_of(op.name), same, aval.shape, function, aval.is_float)


def _of_rank(operand: Operand, rank: int) -> Operand:
    """The operand with axes of one in front."""
    new = rank - len(operand.shape)
    if new <= 0 or (operand.size == 1 and isinstance(operand.value, Constant)):
        return operand
    value = operand.value
    if isinstance(value, Signal):
        value = Signal(value.node, tuple(a + new for a in value.unit_axes))
    elif isinstance(value, Weight) and value.axes is not None:
        value = replace(value, axes=((),) * new + value.axes)
    return Operand(value, (1,) * new + operand.shape)


def _elementwise(trace: Trace, op: Op, operands: list[Operand]) -> None:
    trace.hold(op.outputs[0], elementwise(trace.recording, _call(trace, op, operands)))


def _bias(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A number for each channel, which need not be the last axis."""
    if op.params["data_format"].startswith(b"NC"):
        shape = (*operands[1].shape, *(1 for _ in operands[0].shape[2:]))
        operands = [operands[0], Operand(operands[1].value, shape)]
    _elementwise(trace, op, operands)


def _squared_difference(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """(x - y)^2, in two steps: with y the mean of x, it is a norm in the making."""
    call = _call(trace, op, operands)
    difference = elementwise(trace.recording, replace(call, op="sub", function=np.subtract))
    square = Call("square", [Operand(difference, call.shape)], call.shape, np.square)
    trace.hold(op.outputs[0], elementwise(trace.recording, square))


def _add_all(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A sum of any number of tensors."""
    total, *rest = sorted(operands, key=lambda o: not isinstance(o.value, Signal))
    for each in rest:
        call = Call("add", [total, each], total.shape, np.add)
        total = Operand(elementwise(trace.recording, call), total.shape)
    trace.hold(op.outputs[0], total.value)


def _where(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """A scalar function, or a signal some of whose elements are masked."""
    out = op.outputs[0]
    shape = trace.program.avals[out].shape
    which = operands[0].number
    if which is not None:
        chosen = operands[1 if which else 2]
        if chosen.shape == shape:
            trace.values[out] = chosen.value
            return
    # A number stands for as many: who masks looks for constants with axes.
    operands = [Operand(Constant(number=o.number), shape) if o.number is not None else o for o in operands]
    value = scalar_function(trace.recording, _call(trace, op, operands))
    signals = [o for o in operands if isinstance(o.value, Signal)]
    if value is not None:
        trace.hold(out, value)
    elif len(moves.inputs_of(signals)) == 1 and not moves.names_of(operands) and signals[0].shape == shape:
        # The -inf of an attention mask must not enter its statistics.
        trace.values[out] = signals[0].value
    else:
        moves.move(trace, op, operands)


def _reduction(trace: Trace, op: Op, operands: list[Operand]) -> None:
    value, out = operands[0].value, op.outputs[0]
    if not isinstance(value, Signal) or not trace.program.avals[out].is_float:
        trace.constant(out)
        return
    shape, keep = operands[0].shape, bool(op.params.get("keep_dims"))
    axes = tuple(sorted({a % len(shape) for a in trace.integers(op.inputs[1])})) if shape else ()
    if not axes:
        trace.values[out] = value
        return
    trace.add(reduction(trace.recording, ops.REDUCTION[op.name], value, shape, axes, keep=keep), out)


def _softmax(trace: Trace, op: Op, operands: list[Operand]) -> None:
    _one(trace, op, operands, "softmax")


def _pool(trace: Trace, op: Op, operands: list[Operand]) -> None:
    _one(trace, op, operands, ops.POOL[op.name])


def _one(trace: Trace, op: Op, operands: list[Operand], name: str) -> None:
    """A convex average of one signal, with its units where they were."""
    value = operands[0].value
    units = value.unit_axes if isinstance(value, Signal) else ()
    trace.add(Step("mix", name, moves.inputs_of(operands), unit_axes=units), op.outputs[0])


def _batch_norm(trace: Trace, op: Op, operands: list[Operand]) -> None:
    value = operands[0].value
    units = value.unit_axes if isinstance(value, Signal) else ()
    step = Step("norm", "batch_norm", moves.inputs_of(operands[:1]), unit_axes=units)
    step.parameters = moves.names_of(operands)
    trace.add(step, op.outputs[0])
    for out in op.outputs[1:]:
        trace.constant(out, state=True)


def _other(trace: Trace, op: Op, operands: list[Operand]) -> None:
    nodes, names = moves.inputs_of(operands), moves.names_of(operands)
    for out in op.outputs:
        if trace.program.avals[out].is_float:
            if op.name != "loop_rest":
                trace.recording.unknown[op.name] = None
            trace.add(Step("other", op.name, nodes, parameters=names), out)
        else:
            trace.constant(out)


Handler = Callable[[Trace, Op, list[Operand]], None]

_PRODUCTS: dict[str, Handler] = {
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), matmul),
    "Einsum": einsum,
}

_CONVOLUTIONS: Sequence[str] = (
    *("Conv2D", "Conv3D", "DepthwiseConv2dNative"),
    *("Conv2DBackpropInput", "Conv3DBackpropInputV2"),
)

_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(ops.ELEMENTWISE, _elementwise),
    **dict.fromkeys(ops.ALIAS, moves.alias),
    **dict.fromkeys(ops.MOVE, moves.move),
    **dict.fromkeys(ops.REDUCTION, _reduction),
    **dict.fromkeys(ops.POOL, _pool),
    **dict.fromkeys(ops.SOFTMAX, _softmax),
    **dict.fromkeys(ops.BATCH_NORM, _batch_norm),
    **dict.fromkeys(_CONVOLUTIONS, convolution),
    **_PRODUCTS,
    "BiasAdd": _bias,
    "SquaredDifference": _squared_difference,
    "AddN": _add_all,
    "Select": _where,
    "SelectV2": _where,
}
