"""A row of the healthy zoo: how to build a model and its batch from a seed, without touching global random state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Batch = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
Loss = Callable[[Any], Tensor]


@dataclass(frozen=True, slots=True)
class Row:
    """One healthy model.

    Attributes:
        name: unique name of the row.
        make: builds the model, drawing from torch's default generator.
        sample: draws a batch, from the generator that it is given.
        loss: maps the model's output to a scalar; None for the default one.
        dtype: of the parameters and of floating-point inputs.
        tags: what the model is: "plain", "relu", "norm", "residual", "classifier", ...
        unused: names of trainable parameters that no gradient reaches although the model is healthy (a head that this
            task does not use, an embedding for masking).
    """

    name: str
    make: Callable[[], nn.Module]
    sample: Callable[[torch.Generator], Batch]
    loss: Loss | None = None
    dtype: torch.dtype = torch.float32
    tags: frozenset[str] = frozenset()
    unused: tuple[str, ...] = ()

    def build(self, seed: int = 0) -> nn.Module:
        """The model, the same for the same seed; the global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make().to(self.dtype)

    def batch(self, seed: int = 0) -> Batch:
        """The batch, the same for the same seed."""
        return self.sample(torch.Generator().manual_seed(seed))


def run(model: nn.Module, batch: Batch, *, seed: int = 0) -> Any:
    """One forward pass; dropout draws from a generator of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(batch, dict):
            return model(**batch)
        return model(*batch) if isinstance(batch, tuple) else model(batch)


def tensors_of(output: Any) -> list[Tensor]:
    """The floating-point tensors of an output that carry a gradient, however it is nested."""
    if isinstance(output, Tensor):
        return [output] if output.is_floating_point() and output.requires_grad else []
    if isinstance(output, dict):
        return [t for value in output.values() for t in tensors_of(value)]
    if isinstance(output, tuple | list):
        return [t for value in output for t in tensors_of(value)]
    return []


def scalar_of(output: Any, loss: Loss | None = None, *, seed: int = 0) -> Tensor:
    """The row's loss, or the inner product of the output with fixed random numbers of unit variance."""
    if loss is not None:
        return loss(output)
    generator = torch.Generator().manual_seed(seed)
    parts = [(t * torch.randn(t.shape, generator=generator).to(t.dtype)).sum() for t in tensors_of(output)]
    return torch.stack(parts).sum()
