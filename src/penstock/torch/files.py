"""Weights of a model in a file."""

from __future__ import annotations

from torch import nn


def save(model: nn.Module, path: str) -> None:
    """Write a model's state to a safetensors file. Tied tensors are written once.

    Args:
        model: any module.
        path: where to; an existing file is replaced.
    """
    from safetensors.torch import save_model

    save_model(model, path, metadata={"format": "pt"})
