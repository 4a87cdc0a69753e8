"""The meaning of one operation: what it makes of the signals, weights and constants that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from penstock.torch.trace import ops
from penstock.torch.trace.call import Call
from penstock.torch.trace.contraction import bilinear, convolution, lookup, matmul
from penstock.torch.trace.elementwise import elementwise, scalar_function
from penstock.torch.trace.values import view_axes
from penstock.tracing.recording import Step
from penstock.tracing.values import Constant, Signal, Weight

if TYPE_CHECKING:
    from penstock.torch.trace.tracer import Tracer


def interpret(tracer: Tracer, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    """Record what an operation did.

    Args:
        tracer: knows the values of tensors and takes the steps.
        func: the operation.
        args: as it was called.
        kwargs: as it was called.
        result: what it returned.
    """
    # What `out=` holds before is no operand.
    tensors = tuple(_tensors((*args, *(v for k, v in kwargs.items() if k != "out"))))
    made = list(_tensors((result,)))
    if not made or not tensors:
        return
    values = tuple(tracer.read(t) for t in tensors)
    op = ops.base_name(func)
    call = Call(op, func, args, kwargs, tensors, values, writes="out" in kwargs or any(made[0] is t for t in tensors))
    if call.signals and any(t.is_nested for t in (*tensors, *made)):
        _other(tracer, call, made)  # a nested tensor has no shape that could be read
    elif call.signals and op not in ops.FACTORY:
        handler = _HANDLERS.get(op, _other)
        handler(tracer, call, made)
    elif call.names and (op in ops.LOOKUP or op in ops.PICK) and _integer_inputs(call):
        lookup(tracer, call, made)
    elif call.names and op in ops.MATMUL and _integer_inputs(call):
        matmul(tracer, call, made)
    elif call.names and op in ops.LOOKUP:
        lookup(tracer, call, made)
    elif call.names and op not in ops.FACTORY:
        _derived(tracer, call, made)
    else:
        _constant(tracer, call, made)


def _tensors(items: Any) -> Iterator[torch.Tensor]:
    for item in items:
        if isinstance(item, torch.Tensor):
            yield item
        elif isinstance(item, (tuple, list)):
            yield from _tensors(item)


def _integer_inputs(call: Call) -> tuple[int, ...]:
    return tuple(dict.fromkeys(i for v in call.values if isinstance(v, Constant) for i in v.inputs))


def _constant(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    sources = _integer_inputs(call)
    first = call.values[0]
    if call.op == "_to_copy" and isinstance(first, Constant) and first.program is not None:
        tracer.values.set(made[0], first)  # (x > 0).float()
        return
    for tensor in made:
        if call.writes:
            tracer.values.wrote(tensor, Constant(sources))
        elif sources:
            tracer.values.set(tensor, Constant(sources))


def _derived(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """Something made of parameters alone: a view, a cast, a normalised or a merged weight."""
    pairs = [(t, v) for t, v in zip(call.tensors, call.values, strict=True) if isinstance(v, Weight)]
    largest, value = max(pairs, key=lambda pair: pair[0].numel())
    names = tuple(dict.fromkeys((*value.names, *call.names)))
    for tensor in made:
        if not tensor.is_floating_point() and not tensor.is_complex():
            continue
        axes = value.axes
        if axes is not None and (call.op in ops.ALIAS or call.op in ops.MOVE):
            axes = view_axes(call.op, axes, tuple(largest.shape), tuple(tensor.shape), call.args[1:])
        elif axes is not None and tensor.shape != largest.shape:
            axes = None
        tracer.values.set(tensor, Weight(names, axes))


def _alias(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    source, signal = next((t, v) for t, v in zip(call.tensors, call.values, strict=True) if isinstance(v, Signal))
    for tensor in made:
        if not tensor.is_floating_point() and not tensor.is_complex():
            continue
        tracer.values.set(tensor, Signal(signal.node, _follow(call, source, tensor, signal.unit_axis)))


def _follow(call: Call, before: torch.Tensor, after: torch.Tensor, axis: int | None) -> tuple[int, ...]:
    """Where the axis of units lies after a view; () where it is none any more."""
    if axis is None:
        return ()
    axes = tuple((i,) for i in range(before.dim()))
    moved = view_axes(call.op, axes, tuple(before.shape), tuple(after.shape), call.args[1:])
    places = [j for j, group in enumerate(moved or ()) if axis in group]
    if len(places) != 1 or (moved or ())[places[0]] != (axis,) or after.shape[places[0]] != before.shape[axis]:
        return ()
    return (places[0],)


def _move(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    first = next(t for t, v in zip(call.tensors, call.values, strict=True) if isinstance(v, Signal))
    if call.op in ("slice", "narrow") and made[0].shape == first.shape:
        _alias(tracer, call, made)
        return
    if call.op == "where" and scalar_function(tracer, call, made[0]):
        return
    if call.op in ("masked_fill", "where", "tril", "triu") and len(call.nodes) == 1 and not call.names:
        _alias_masked(tracer, call, made)
        return
    for tensor in made:
        if tensor.is_floating_point() or tensor.is_complex():
            units = _follow(call, first, tensor, call.signals[0].unit_axis) if tensor.dim() == first.dim() else ()
            step = Step("move", call.op, call.nodes, parameters=call.names, unit_axes=units)
            tracer.add(step, tensor, write=call.writes)


def _alias_masked(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """A masked signal is the same signal: the -inf of an attention mask must not enter its statistics."""
    for tensor in made:
        tracer.hold(tensor, call.signals[0], write=call.writes)


def _copy(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """`target.copy_(source)`: all of the memory, or a part of it (`buffer[:, t] = h`)."""
    target, value = call.tensors[0], call.values[-1]
    whole = target.numel() * target.element_size() == target.untyped_storage().nbytes()
    if whole and isinstance(value, Signal):
        tracer.values.wrote(target, value)
    elif not target.is_floating_point():
        _constant(tracer, call, made)
    else:
        nodes = tuple(dict.fromkeys(_whole(tracer, n) for n in call.nodes))
        tracer.add(Step("move", "copy", nodes, parameters=call.names), target, write=True)


def _whole(tracer: Tracer, number: int) -> int:
    """What a part was taken from: the part itself, about to be overwritten, is nobody's signal."""
    step = tracer.recording.steps[number]
    while step.kind == "move" and step.op in ("select", "slice", "narrow") and len(step.inputs) == 1:
        number = step.inputs[0]
        step = tracer.recording.steps[number]
    return number


def _norm(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    batch_like = "layer" not in call.op and "rms" not in call.op
    units = (1,) if batch_like else (made[0].dim() - 1,)
    first = (call.nodes[0],)
    tracer.add(Step("norm", call.op, first, parameters=call.names, unit_axes=units), made[0], write=call.writes)


def _mix(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    units = (1,) if "pool" in call.op and made[0].dim() > 2 else ()
    name = "attention" if call.op in ops.ATTENTION else "softmax" if call.op in ops.SOFTMAX else call.op
    tracer.add(Step("mix", name, call.nodes, parameters=call.names, unit_axes=units), made[0], write=call.writes)


def _reduction(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    source = call.nodes[0]
    before = tracer.recording.steps[source]
    kind = "mix" if call.op in ops.AVERAGE else "other"
    signal, tensor = call.signals[0], call.tensors[0]
    axis = signal.unit_axis
    if axis is not None and made[0].dim() != tensor.dim():
        axis = axis if made[0].dim() > axis and made[0].shape[axis] == tensor.shape[axis] else None
        axis = (
            made[0].dim() - 1
            if axis is None and made[0].dim() and made[0].shape[-1] == tensor.shape[signal.unit_axis or 0]
            else axis
        )
    exponentials = before.op == "exp" and call.op == "sum"
    reduced = _reduced(call, call.tensors[0].dim())
    for tensor in made:
        if not tensor.is_floating_point():
            continue
        step = Step(
            kind,
            call.op,
            (source,),
            unit_axes=() if axis is None else (axis,),
            statistic_of=tracer.recording.origin(source) if before.statistic_of is None else before.statistic_of,
            peak=call.op in ops.PEAK or before.peak,
            total=exponentials or call.op in ops.LOG_SUM or before.total,
            reduced=reduced,
        )
        tracer.add(step, tensor)


def _reduced(call: Call, rank: int) -> tuple[int, ...]:
    """The axes that a reduction takes together."""
    place = 2 if call.op in ("linalg_vector_norm", "norm") else 1
    given = call.args[place] if len(call.args) > place else call.kwargs.get("dim")
    if type(given) is int:
        return (given % max(rank, 1),)
    return tuple(a % rank for a in given) if isinstance(given, (list, tuple)) and given else tuple(range(rank))


def _glu(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    tracer.add(Step("gate", call.op, call.nodes), made[0])


def _other(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    if not any(t.is_floating_point() or t.is_complex() for t in made):
        return
    tracer.recording.unknown[f"aten.{call.op}" if "aten" in str(call.func) else str(call.func)] = None
    for tensor in made:
        if tensor.is_floating_point() or tensor.is_complex():
            step = Step("other", call.op, call.nodes, parameters=call.names)
            tracer.add(step, tensor, write=call.writes and tensor is made[0])


Handler = Callable[["Tracer", Call, "list[torch.Tensor]"], None]

_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(ops.POINTWISE, elementwise),
    **dict.fromkeys(ops.ALIAS, _alias),
    **dict.fromkeys(ops.MOVE, _move),
    **dict.fromkeys(ops.REDUCTION, _reduction),
    **dict.fromkeys(ops.POOL | ops.SOFTMAX | ops.ATTENTION, _mix),
    **dict.fromkeys(ops.NORM, _norm),
    **dict.fromkeys(ops.MATMUL, matmul),
    **dict.fromkeys(ops.CONVOLUTION, convolution),
    **dict.fromkeys(ops.LOOKUP, lookup),
    "_trilinear": bilinear,
    **dict.fromkeys(ops.GATED, _glu),
    "copy": _copy,
}
