"""Guess an input that a model takes from the first layer that holds weights."""

from __future__ import annotations

import torch
from torch import nn

from penstock.inputs import InputSpec

BATCH, TOKENS, IMAGE = 8, 32, 32
"""Sizes where the layer leaves them open: enough inputs to tell them apart, and every usual stride divides 32."""


def guess(model: nn.Module) -> InputSpec | None:
    """The input of the first layer in the order of definition, if its class says what it takes.

    Args:
        model: any module; it is not run.

    Returns:
        A description, or None where the first layer with weights is of no known class. A guess: the model may reshape
        its input first, so the caller should say that it was guessed.

    Examples:
        >>> str(guess(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())))
        'f32[8,3,32,32]'
        >>> str(guess(nn.Embedding(100, 16)))
        'i64[8,32]<100'
    """
    dtype = next((_name(p) for p in model.parameters()), "float32")
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            name = "input_ids" if _takes_ids(model) else None
            return InputSpec((BATCH, TOKENS), "int64", module.num_embeddings, name)
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            images = "pixel_values" if hasattr(model, "main_input_name") else None
            size = _image_size(model)
            return InputSpec((BATCH, module.in_channels, *(size,) * len(module.kernel_size)), dtype, None, images)
        if isinstance(module, nn.Linear):
            return InputSpec((BATCH, module.in_features), dtype)
        if isinstance(module, nn.RNNBase):
            shape = (BATCH, TOKENS) if module.batch_first else (TOKENS, BATCH)
            return InputSpec((*shape, module.input_size), dtype)
        if next(module.parameters(recurse=False), None) is not None:
            return None
    return None


def _name(parameter: torch.Tensor) -> str:
    return str(parameter.dtype).removeprefix("torch.")


def _takes_ids(model: nn.Module) -> bool:
    return getattr(model, "main_input_name", None) == "input_ids"


def _image_size(model: nn.Module) -> int:
    """The size that a Hugging Face vision model's configuration asks for."""
    size = getattr(getattr(model, "config", None), "image_size", None)
    return size if isinstance(size, int) else IMAGE
