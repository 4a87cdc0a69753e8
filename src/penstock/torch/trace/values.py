"""What each tensor holds that the tracer has seen, and how views of parameters lie over them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from penstock.tracing.values import Axes, Constant, Signal, Value, Weight, regroup


class ValueTable:
    """Tensor -> Value, without keeping any tensor alive, and right after writes through views.

    Args:
        named: parameters by name; ties share one tensor and the first name wins.
    """

    def __init__(self, named: Mapping[str, torch.Tensor]) -> None:
        self._clock = 0
        self._values: dict[int, tuple[int, Value, weakref.ref[torch.Tensor]]] = {}
        # The weak reference keeps the address from being given to another storage.
        self._writes: dict[int, tuple[int, Value, StorageWeakRef]] = {}
        for name, parameter in named.items():
            if id(parameter) not in self._values:
                self.set(parameter, Weight((name,), tuple((axis,) for axis in range(parameter.dim()))))

    def set(self, tensor: torch.Tensor, value: Value) -> None:
        """Say what a tensor holds from now on."""
        self._clock += 1
        key = id(tensor)
        self._values[key] = (self._clock, value, weakref.ref(tensor, self._forgetter(key)))

    def wrote(self, tensor: torch.Tensor, value: Value) -> None:
        """Say that the memory of a tensor, and so that of all its views, now holds `value`."""
        self.set(tensor, value)
        storage = _storage(tensor)
        if storage is not None:
            self._writes[storage] = (self._clock, value, StorageWeakRef(tensor.untyped_storage()))

    def get(self, tensor: torch.Tensor) -> Value:
        """What a tensor holds now."""
        born, value, ref = self._values.get(id(tensor), (0, Constant(), None))
        if ref is not None and ref() is not tensor:
            born, value = 0, Constant()
        storage = _storage(tensor)
        if storage in self._writes:
            written, newer, _ = self._writes[storage]
            if written > born and isinstance(newer, Signal):
                return Signal(newer.node, value.unit_axes if isinstance(value, Signal) else ())
        return value

    def _forgetter(self, key: int) -> Callable[[Any], None]:
        def forget(ref: Any) -> None:
            held = self._values.get(key)
            if held is not None and held[2] is ref:
                del self._values[key]

        return forget


def _storage(tensor: torch.Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse, functorch wrappers
        return None


def view_axes(
    op: str, axes: Axes, before: tuple[int, ...], after: tuple[int, ...], args: tuple[Any, ...]
) -> Axes | None:
    """How a view of a parameter lies over it, given how the tensor it was taken from did.

    Args:
        op: base name of the operation.
        axes: those of the tensor that was viewed.
        before: shape of that tensor.
        after: shape of the view.
        args: the operation's arguments behind the tensor.
    """
    rank = len(before)
    if op in ("t", "numpy_T", "transpose", "swapaxes", "permute"):
        return tuple(axes[i] for i in _order(op, rank, args))
    if op == "select":
        dim = args[0] % rank
        return axes[:dim] + axes[dim + 1 :]
    if op in ("expand", "expand_as") and len(after) > rank:
        return ((),) * (len(after) - rank) + axes
    if len(after) == rank and op not in ("view", "reshape", "_unsafe_view"):
        return axes  # slices, casts, copies, expansions, elementwise
    return regroup(axes, before, after)


def _order(op: str, rank: int, args: tuple[Any, ...]) -> list[int]:
    """The axes of a transposed tensor, by their old numbers."""
    order = list(range(rank))
    if op == "permute":
        return [i % rank for i in args[0]]
    i, j = (args[0] % rank, args[1] % rank) if op in ("transpose", "swapaxes") else (0, rank - 1)
    order[i], order[j] = order[j], order[i]
    return order if op != "numpy_T" else list(range(rank))[::-1]
