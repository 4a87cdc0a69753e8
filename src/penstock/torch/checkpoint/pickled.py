"""Pickled state dicts, read only when the user has asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from penstock.errors import ArgumentError, message
from penstock.ledger.elements import ELEMENTS
from penstock.torch.checkpoint.files import Chunk
from penstock.torch.materialize.records import bits, name_of

_INSIDE = ("state_dict", "model", "module", "model_state_dict")
"""Where training loops put the weights in a larger dict."""


def chunks_of_pickle(path: Path) -> Iterator[Chunk]:
    """The tensors of a file that `torch.save` wrote.

    Raises:
        ArgumentError: if it cannot be read, or holds no tensors by name.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
    except Exception as error:  # unpickling can fail in any way
        raise ArgumentError(message(f"check: {str(path)!r} cannot be read: {type(error).__name__}: {error}.")) from None
    for key in _INSIDE:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    tensors = _tensors(state)
    if not tensors:
        raise ArgumentError(message(f"check: {str(path)!r} must hold tensors by name; got {type(state).__name__}."))
    for name, value in tensors.items():
        if name_of(value.dtype) in ELEMENTS:
            shape = tuple(value.shape)
            box = tuple((0, size) for size in shape)
            yield Chunk(path.name, name, shape, name_of(value.dtype), box, bits(value))


def _tensors(state: Any) -> dict[str, torch.Tensor]:
    if not isinstance(state, Mapping):
        return {}
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
