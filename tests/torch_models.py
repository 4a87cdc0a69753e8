"""Small models for the tests of tracing and measuring: a function and its parameters make a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from penstock.signals import Measured
from penstock.torch.check import measure


class Written(nn.Module):
    """A module whose forward pass is a function of itself and the inputs, and whose parameters are given by name."""

    def __init__(self, function: Callable[..., Any], **parameters: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value))

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def normal(*shape: int, seed: int = 0, std: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Independent normal numbers."""
    return (std * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


def integers(*shape: int, high: int, seed: int = 0) -> Tensor:
    """Independent integers below `high`."""
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A module, the same for the same seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def trace(model: nn.Module, *inputs: Any, **options: Any) -> Measured:
    """Everything that a check measures."""
    return measure(model, tuple(inputs), **options)


def picture(measured: Measured) -> str:
    """The graph in one line: kind, inputs and parameters of each node."""
    return " ; ".join(
        f"{n.kind}{list(n.inputs) or ''}{' ' + '+'.join(n.parameters) if n.parameters else ''}"
        for n in measured.graph.nodes
    )
