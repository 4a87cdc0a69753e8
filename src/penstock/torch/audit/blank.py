"""Models without weights: copies of a module whose every tensor is fresh memory, filled with the sentinel."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from penstock.errors import UnsupportedError, message
from penstock.torch.audit import sentinel


def blank_copy(model: nn.Module) -> nn.Module:
    """A copy of a module on the CPU whose parameters and buffers hold the sentinel. No weight is copied.

    Raises:
        UnsupportedError: if the module cannot be copied.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in _tensors_of(module):
            if id(tensor) not in memo:
                memo[id(tensor)] = _blank(tensor)
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise UnsupportedError(
            message(
                f"audit: model must be one that can be copied; copying {type(model).__name__} raised "
                f"{type(error).__name__}: {error}",
                because="its initialization is run on a copy, so that the model stays as it is",
                hint="penstock.audit(lambda: Net(...)), a function that builds it",
            )
        ) from error


def give_memory(model: nn.Module) -> frozenset[int]:
    """Put fresh memory on the CPU, filled with the sentinel, under every meta tensor of a model; ties stay ties.

    Returns:
        The ids of the tensors that were made.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in store.items():
                if tensor is not None and tensor.is_meta:
                    if id(tensor) not in made:
                        made[id(tensor)] = _blank(tensor)
                    store[name] = made[id(tensor)]  # type: ignore[assignment]  # a blank is of its kind
    return frozenset(map(id, made.values()))


def size_on_meta(factory: Callable[[], nn.Module]) -> int:
    """Number of parameters of a model, which is built without memory for them."""
    with torch.device("meta"):
        return sum(p.numel() for p in factory().parameters())


def own_tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    """All parameters and buffers, each once."""
    yield from model.parameters()
    yield from model.buffers()


def _tensors_of(module: nn.Module) -> Iterator[torch.Tensor]:
    for store in (module._parameters, module._buffers, module.__dict__):
        yield from (value for value in store.values() if isinstance(value, torch.Tensor))


def _blank(tensor: torch.Tensor) -> torch.Tensor:
    """Fresh memory like a tensor; a parameter for a parameter, of the same class and with the same attributes."""
    memory = torch.empty_like(tensor.detach(), device="cpu")
    if not sentinel.fill(memory):
        memory.zero_()
    if isinstance(tensor, nn.Parameter):
        made = nn.Parameter(memory, requires_grad=tensor.requires_grad)
        # Marks such as `_no_weight_decay` or `_no_reinit` are read by initializations.
        for name, value in vars(tensor).items():
            if name != "_is_hf_initialized":
                setattr(made, name, value)
        return made
    return memory
