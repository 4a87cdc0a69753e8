"""Operations that only move values: where signals, their units and the axes of parameters go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from penstock.keras.tensorflow import ops
from penstock.keras.tensorflow.program import Op
from penstock.tracing.recording import Step
from penstock.tracing.values import Axes, Constant, Operand, Signal, Weight, regroup

if TYPE_CHECKING:
    from penstock.keras.tensorflow.interpret import Trace


def alias(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """The same signal in another shape or type."""
    for number, operand, out in zip(op.inputs, operands, op.outputs, strict=False):
        value, aval = operand.value, trace.program.avals[out]
        if isinstance(value, Signal) and not aval.is_float:
            trace.constant(out)
        elif isinstance(value, Signal):
            own = tuple((a,) for a in range(len(operand.shape)))
            axes = followed(trace, op, own, trace.program.avals[number].shape, aval.shape)
            trace.values[out] = Signal(value.node, _units(axes, value.unit_axes))
            # The gradient arrives at what such a function returns, not at the value inside.
            if op.params.get("own_gradient") and any(out in each.inputs for each in trace.program.ops):
                trace.made_by[value.node] = out
        else:
            trace.values[out] = value


def move(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """Parts of a signal, or several signals side by side."""
    signals = [o for o in operands if isinstance(o.value, Signal)]
    nodes, names, first = inputs_of(operands), names_of(operands), signals[0]
    for out in op.outputs:
        aval = trace.program.avals[out]
        if not aval.is_float:
            trace.constant(out)
            continue
        own = tuple((a,) for a in range(len(first.shape)))
        axes = followed(trace, op, own, first.shape, aval.shape)
        held = first.value.unit_axes if isinstance(first.value, Signal) else ()
        units = _units(axes, held)
        if op.name in _SLICES and np.prod(aval.shape) == first.size:
            trace.values[out] = Signal(nodes[0], units)
            continue
        whole = len(units) == len(held) and all(
            aval.shape[u] == first.shape[a] for u, a in zip(units, held, strict=True)
        )
        step = Step("move", ops.MOVE.get(op.name, op.name), nodes, parameters=names, unit_axes=units if whole else ())
        trace.add(step, out)


_SLICES = frozenset({"StridedSlice", "Slice"})


def derived(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """Something made of parameters alone: a view, a cast, a normalised or a merged weight."""
    held = [(o, o.value) for o in operands if isinstance(o.value, Weight)]
    largest, value = max(held, key=lambda pair: pair[0].size)
    names = tuple(dict.fromkeys(n for v in (value, *(w for _, w in held)) for n in v.names))
    for out in op.outputs:
        aval = trace.program.avals[out]
        if not aval.is_float:
            trace.constant(out)
            continue
        axes = value.axes
        if axes is not None and (op.name in ops.ALIAS or op.name in ops.MOVE):
            axes = followed(trace, op, axes, largest.shape, aval.shape)
        elif axes is not None and aval.shape != largest.shape:
            axes = None
        trace.values[out] = Weight(names, axes, _side_by_side(trace, op, operands))


def _side_by_side(trace: Trace, op: Op, operands: list[Operand]) -> tuple[Weight, ...]:
    """The parameters that lie side by side in a value: the gates of a recurrent cell that are computed at once."""
    held = [o.value for o in operands if isinstance(o.value, Weight)]
    if op.name == "ConcatV2" and len(held) == len(operands) - 1:
        return tuple(held) if all(len(w.names) == 1 and w.axes is not None for w in held) else ()
    if op.name == "Transpose" and len(held) == 1:
        order = trace.integers(op.inputs[1])
        return tuple(Weight(w.names, tuple(w.axes[a] for a in order)) for w in held[0].parts if w.axes is not None)
    return held[0].parts if op.name in ("Cast", "Identity") and len(held) == 1 else ()


def _units(axes: Axes | None, held: tuple[int, ...]) -> tuple[int, ...]:
    """Where the axes of units are in a view; () if they were mixed with others."""
    places = [j for a in held for j, group in enumerate(axes or ()) if a in group]
    merged = {a for j in places for a in (axes or ())[j]}
    return tuple(dict.fromkeys(places)) if merged == set(held) else ()


def followed(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes | None:
    """How a view lies over what `axes` lie over, given how the value that it was taken from did."""
    own = _VIEWS.get(op.name)
    if own is not None:
        return own(trace, op, axes, before, after)
    return axes if len(after) == len(before) else None


def _transposed(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    return tuple(axes[a] for a in trace.integers(op.inputs[1]))


def _squeezed(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    named = {a % len(before) for a in op.params["squeeze_dims"]}
    gone = named or {a for a, size in enumerate(before) if size == 1}
    return tuple(group for a, group in enumerate(axes) if a not in gone)


def _expanded(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    place = (op.params["axis"] if op.name == "Pack" else trace.integers(op.inputs[1])[0]) % len(after)
    return (*axes[:place], (), *axes[place:])


def _broadcast(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    new = len(after) - len(before)
    kept = (group if before[a] == after[a + new] else () for a, group in enumerate(axes))
    return ((),) * new + tuple(kept)


def _strided(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    entries = len(trace.integers(op.inputs[1]))
    return tuple(() if a is None else axes[a] for a in sliced_axes(op, len(before), entries))


def _one_row(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    gone = op.params.get("axis", 0) % len(before)
    return (*axes[:gone], *axes[gone + 1 :])


def _stacked(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    return axes if len(after) == len(before) else ((), *axes)


def _regrouped(trace: Trace, op: Op, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes | None:
    return regroup(axes, before, after)


_VIEWS: dict[str, Callable[..., Axes | None]] = {
    "Transpose": _transposed,
    "ConjugateTranspose": _transposed,
    "Squeeze": _squeezed,
    "ExpandDims": _expanded,
    "Pack": _expanded,
    "BroadcastTo": _broadcast,
    "StridedSlice": _strided,
    "Unpack": _one_row,
    "loop_slice": _one_row,
    "loop_stack": _stacked,
    "Reshape": _regrouped,
}


def sliced_axes(op: Op, rank: int, entries: int) -> list[int | None]:
    """For each axis that a StridedSlice makes, the axis that it comes from; None for a new one."""
    masks = {name: op.params[f"{name}_mask"] for name in ("ellipsis", "new_axis", "shrink_axis")}
    made: list[int | None] = []
    axis = 0
    for entry in range(entries):
        bit = 1 << entry
        if masks["ellipsis"] & bit:
            behind = sum(not masks["new_axis"] & (1 << later) for later in range(entry + 1, entries))
            made += range(axis, rank - behind)
            axis = rank - behind
        elif masks["new_axis"] & bit:
            made.append(None)
        else:
            if not masks["shrink_axis"] & bit:
                made.append(axis)
            axis += 1
    return [*made, *range(axis, rank)]


def names_of(operands: list[Operand]) -> tuple[str, ...]:
    """Parameters among the operands."""
    return tuple(dict.fromkeys(n for o in operands if isinstance(o.value, Weight) for n in o.value.names))


def inputs_of(operands: list[Operand]) -> tuple[int, ...]:
    """Signals among the operands; integer inputs where there is none."""
    nodes = tuple(dict.fromkeys(o.value.node for o in operands if isinstance(o.value, Signal)))
    return nodes or tuple(dict.fromkeys(i for o in operands if isinstance(o.value, Constant) for i in o.value.inputs))
