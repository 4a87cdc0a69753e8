"""Operations that only move values: where signals, their units and the axes of parameters go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.jax.trace import ops
from penstock.jax.trace.program import Op, is_float, shape_of
from penstock.tracing.recording import Step
from penstock.tracing.values import Axes, Constant, Operand, Signal, Weight, regroup

if TYPE_CHECKING:
    from penstock.jax.trace.interpret import Trace


def alias(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """The same signal in another shape or type."""
    for operand, out in zip(operands, op.outputs, strict=False):
        value = operand.value
        if not isinstance(value, Signal):
            trace.values[out] = value
        elif not is_float(trace.program, out):
            trace.constant(out)
        else:
            axes = followed(op, tuple((a,) for a in range(len(operand.shape))), operand, shape_of(trace.program, out))
            places = [j for a in value.unit_axes for j, group in enumerate(axes or ()) if a in group]
            merged = {a for j in places for a in (axes or ())[j]}
            known = merged == set(value.unit_axes)
            trace.values[out] = Signal(value.node, tuple(dict.fromkeys(places)) if known else ())


def move(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """Parts of a signal, or several signals side by side."""
    signals = [o for o in operands if isinstance(o.value, Signal)]
    nodes = tuple(dict.fromkeys(o.value.node for o in signals if isinstance(o.value, Signal)))
    names = tuple(dict.fromkeys(n for o in operands if isinstance(o.value, Weight) for n in o.value.names))
    first = signals[0]
    for out in op.outputs:
        shape = shape_of(trace.program, out)
        if not is_float(trace.program, out):
            trace.constant(out)
        elif op.name == "slice" and shape == first.shape:
            trace.values[out] = first.value
        else:
            held = first.value.unit_axes if isinstance(first.value, Signal) and len(shape) == len(first.shape) else ()
            units = held if all(shape[a] == first.shape[a] for a in held) else ()
            trace.add(Step("move", op.name, nodes, parameters=names, unit_axes=units), out)


def derived(trace: Trace, op: Op, operands: list[Operand]) -> None:
    """Something made of parameters alone: a view, a cast, a normalised or a merged weight."""
    held = [(o, o.value) for o in operands if isinstance(o.value, Weight)]
    largest, value = max(held, key=lambda pair: pair[0].size)
    names = tuple(dict.fromkeys(n for v in (value, *(w for _, w in held)) for n in v.names))
    for out in op.outputs:
        if not is_float(trace.program, out):
            trace.constant(out)
            continue
        if op.name == "scan_slice" and len(held) == 1 and (piece := _layer(trace, value, op.params["index"])):
            trace.values[out] = piece
            continue
        shape = shape_of(trace.program, out)
        axes = value.axes
        if axes is not None and (op.name in ops.ALIAS or op.name in ops.MOVE):
            axes = followed(op, axes, largest, shape)
        elif axes is not None and shape != largest.shape:
            axes = None
        trace.values[out] = Weight(names, axes, _side_by_side(op, operands))


def _side_by_side(op: Op, operands: list[Operand]) -> tuple[Weight, ...]:
    """The parameters that lie side by side in a value: the gates of a recurrent cell that are computed at once."""
    held = [o.value for o in operands if isinstance(o.value, Weight)]
    if op.name == "concatenate" and len(held) == len(operands):
        return tuple(held) if all(len(w.names) == 1 and w.axes is not None for w in held) else ()
    if op.name == "transpose" and len(held) == 1:
        order = op.params["permutation"]
        return tuple(Weight(w.names, tuple(w.axes[a] for a in order)) for w in held[0].parts if w.axes is not None)
    return held[0].parts if op.name == "convert_element_type" and len(held) == 1 else ()


def _layer(trace: Trace, value: Weight, index: int) -> Weight | None:
    """One layer of a stack of parameters: a parameter of its own."""
    if len(value.names) != 1 or not value.axes or value.axes[0] != (0,):
        return None
    name = value.names[0]
    if len(value.axes) != len(trace.shapes[name]) or any(len(group) != 1 for group in value.axes):
        return None
    piece = f"{name}[{index}]"
    trace.shapes[piece] = trace.shapes[name][1:]
    return Weight((piece,), tuple((group[0] - 1,) for group in value.axes[1:]))


def followed(op: Op, axes: Axes, operand: Operand, shape: tuple[int, ...]) -> Axes | None:
    """How a view lies over what `axes` lie over, given how the value that it was taken from did."""
    p = op.params
    if op.name == "transpose":
        return tuple(axes[a] for a in p["permutation"])
    if op.name == "squeeze":
        return tuple(group for a, group in enumerate(axes) if a not in p["dimensions"])
    if op.name == "scan_slice":
        return axes[1:]
    if op.name == "broadcast_in_dim":
        made: list[tuple[int, ...]] = [()] * len(shape)
        for a, place in enumerate(p["broadcast_dimensions"]):
            made[place] = axes[a] if operand.shape[a] == shape[place] and shape[place] > 1 else ()
        return tuple(made)
    if op.name in ("reshape", "expand_dims"):
        return regroup(axes, operand.shape, shape)
    return axes if len(shape) == len(operand.shape) else None


def names_of(operands: list[Operand]) -> tuple[str, ...]:
    """Parameters among the operands."""
    return tuple(dict.fromkeys(n for o in operands if isinstance(o.value, Weight) for n in o.value.names))


def inputs_of(operands: list[Operand]) -> tuple[int, ...]:
    """Signals among the operands; integer inputs where there is none."""
    nodes = tuple(dict.fromkeys(o.value.node for o in operands if isinstance(o.value, Signal)))
    return nodes or tuple(dict.fromkeys(i for o in operands if isinstance(o.value, Constant) for i in o.value.inputs))
