"""What penstock's public doors ask of PyTorch; each name is explained in `penstock.frameworks.Adapter`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from penstock.quadrature import Function
from penstock.torch.check import check
from penstock.torch.files import save
from penstock.torch.initialize import initialize, plan
from penstock.torch.inputs import guess as guess_input
from penstock.torch.roles import module_fans as fans
from penstock.torch.scalar import activation_name, as_scalar_function, wants_tensors
from penstock.torch.tensors import from_numpy as tensor
from penstock.torch.write import apply

__all__ = [
    "apply",
    "check",
    "fans",
    "guess_input",
    "initialize",
    "owns",
    "plan",
    "save",
    "scalar_function",
    "tensor",
]


def owns(thing: Any) -> bool:
    """Whether this is a module, a tensor, or a function of tensors."""
    if isinstance(thing, (nn.Module, torch.Tensor)):
        return True
    return callable(thing) and not isinstance(thing, type) and wants_tensors(thing)


def scalar_function(function: Any) -> tuple[Function, str]:
    """A function of tensors, or a module, as one of float64 arrays; and its name."""
    return as_scalar_function(function), activation_name(function)
