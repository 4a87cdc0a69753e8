"""Elementwise operations of PyTorch, as `penstock.tracing.elementwise` takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from penstock.torch.trace import ops
from penstock.tracing.call import ADD, MULTIPLY
from penstock.tracing.call import Call as Elementwise
from penstock.tracing.elementwise import meaning, scalar_step
from penstock.tracing.recording import Step
from penstock.tracing.values import Constant, Operand, Signal, Value, Weight

if TYPE_CHECKING:
    from penstock.torch.trace.call import Call
    from penstock.torch.trace.tracer import Tracer

Array = npt.NDArray[Any]


def elementwise(tracer: Tracer, call: Call, made: list[torch.Tensor]) -> None:
    """Record one elementwise operation with at least one signal operand."""
    one = _general(call, made[0])
    found = meaning(tracer.recording, one)
    if isinstance(found, Step):
        _add(tracer, call, found, made[0])
    elif isinstance(found, Signal) or one.floating or (isinstance(found, Constant) and found.program is not None):
        tracer.hold(made[0], found, write=call.writes)


def scalar_function(tracer: Tracer, call: Call, out: torch.Tensor) -> bool:
    """Record `where` as a scalar function of one signal (`where(x > 0, x, 0)`), or dropout; False if it is neither."""
    step = scalar_step(tracer.recording, _general(call, out))
    if step is not None:
        _add(tracer, call, step, out)
    return step is not None


def _add(tracer: Tracer, call: Call, step: Step, out: torch.Tensor) -> None:
    if call.op in ops.PRELU:
        step.parameters = call.names
    tracer.add(step, out, write=call.writes)


def _general(call: Call, out: torch.Tensor) -> Elementwise:
    """The operation without PyTorch: every tensor is an operand, and so is a number that one is combined with.

    But for 0 and 1: `0 * x` and `x * scale` make signals of their own, which are shown as their shape is here. Where a
    tensor holds nothing but zeros (a first state) or ones (an empty mask), the operation is dropped.
    """
    operands: list[Operand] = []
    held = iter(call.values)
    binary = len(call.args) == 2 and call.op in _BINARY

    def placed(item: Any, *, number: bool = False) -> Any:
        if isinstance(item, torch.Tensor):
            operands.append(Operand(_known(call, item, next(held)), tuple(item.shape)))
            return _Slot(item.dtype)
        if number and isinstance(item, (int, float)) and item not in (0, 1):
            operands.append(Operand(Constant(number=float(item)), ()))
            return _Slot(None)
        return item

    args = tuple(placed(item, number=binary) for item in call.args)
    named = {key: placed(item) for key, item in call.kwargs.items() if key not in ("dtype", "out")}
    function = None if "out" in call.kwargs else _function(call.func, args, named)
    # A quotient that is rounded is neither a scale nor a gate.
    op = "floor_divide" if named.get("rounding_mode") else _SAME.get(call.op, call.op)
    return Elementwise(op, operands, tuple(out.shape), function, out.is_floating_point() or out.is_complex())


_BINARY = ADD | MULTIPLY | {"true_divide"}
_SAME = {"true_divide": "div"}


def _known(call: Call, tensor: torch.Tensor, value: Value) -> Value:
    """What an operand holds, with a constant's number or values; a PReLU's slopes count as their mean."""
    if isinstance(value, Weight) and call.op in ops.PRELU:
        return Constant(number=float(tensor.detach().double().mean()))
    hidden = tensor.is_meta or tensor.is_quantized or tensor.is_complex() or tensor.layout != torch.strided
    if not isinstance(value, Constant) or value.program is not None or hidden or tensor.numel() == 0:
        return value
    first = tensor.detach().reshape(-1)[0]
    same = bool(tensor.detach().reshape(-1)[-1] == first) and bool((tensor == first).all())
    return Constant(value.inputs, number=float(first) if same else None, read=lambda: _values(tensor))


def _values(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach()
    half = tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64)
    return (tensor.float() if half else tensor).cpu().numpy()


class _Slot:
    """Place of an operand among an operation's arguments; `dtype` is that of a tensor, None for a number."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype | None) -> None:
        self.dtype = dtype

    def fill(self, value: Array) -> Any:
        if self.dtype is None and np.ndim(value) == 0:
            return float(value)
        # A copy: the operation may write in place, and what is spread over a shape may not be written to.
        made = torch.from_numpy(np.array(value))
        return made.bool() if self.dtype == torch.bool else made


def _function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Array]:
    """An operation as one of float64 arrays; keeps no tensor of the model alive."""

    def function(*values: Array) -> Array:
        given = iter(values)
        filled = [a.fill(next(given)) if isinstance(a, _Slot) else a for a in args]
        made = func(*filled, **{k: v.fill(next(given)) if isinstance(v, _Slot) else v for k, v in kwargs.items()})
        return (made[0] if isinstance(made, (tuple, list)) else made).numpy()

    return function
