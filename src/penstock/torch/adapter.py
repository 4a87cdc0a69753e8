"""What penstock's public doors ask of PyTorch; each name is explained in `penstock.frameworks.Adapter`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from penstock.fan_table import FansTable
from penstock.quadrature import Function
from penstock.torch.audit.audit import audit
from penstock.torch.check import check
from penstock.torch.checkpoint.check import check_weights
from penstock.torch.files import save
from penstock.torch.initialize import initialize, plan
from penstock.torch.inputs import guess as guess_input
from penstock.torch.learning_rate import param_groups
from penstock.torch.materialize.door import materialize
from penstock.torch.racing.batches import race_data
from penstock.torch.racing.survey import survey_race
from penstock.torch.racing.train import train_arms
from penstock.torch.ranks.check import check_ranks
from penstock.torch.roles import module_fans
from penstock.torch.scalar import activation_name, as_scalar_function, wants_tensors
from penstock.torch.tensors import from_numpy as tensor
from penstock.torch.write import apply

__all__ = [
    "apply",
    "audit",
    "check",
    "check_ranks",
    "check_weights",
    "fans",
    "guess_input",
    "initialize",
    "is_model",
    "materialize",
    "owns",
    "param_groups",
    "plan",
    "race_data",
    "save",
    "scalar_function",
    "survey_race",
    "tensor",
    "train_arms",
    "with_parameters",
]


builds_from_key = False
watches_building = True
races = True
file_reader = "safetensors.torch.load_model(model, {path!r})"


def owns(thing: Any) -> bool:
    """Whether this is a module, a tensor, or a function of tensors."""
    if isinstance(thing, (nn.Module, torch.Tensor)):
        return True
    return callable(thing) and not isinstance(thing, type) and wants_tensors(thing)


def is_model(thing: Any) -> bool:
    """Whether this is a module."""
    return isinstance(thing, nn.Module)


def with_parameters(model: nn.Module, batch: Any, *, seed: int) -> nn.Module:
    """A module holds its parameters."""
    return model


def fans(model: nn.Module, batch: Any = None) -> FansTable:
    """See `penstock.fans`: the axes that the layers declare."""
    return module_fans(model)


def scalar_function(function: Any) -> tuple[Function, str]:
    """A function of tensors, or a module, as one of float64 arrays; and its name."""
    return as_scalar_function(function), activation_name(function)
