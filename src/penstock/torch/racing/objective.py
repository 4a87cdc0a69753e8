"""The loss of a race, and the score on held-out data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from penstock.racing.data import Kind

Loss = Callable[[Any, Any], Any]


def loss_of(kind: Kind, own: Loss | None) -> Loss:
    """The user's own loss, or cross-entropy in nats, or the mean square error."""
    if own is not None:
        return own
    return _cross_entropy if kind == "classes" else _square_error


def losses_of(loss: Loss, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss of each arm from outputs (arms, rows, ...): mapped, but for cross-entropy, which need not be."""
    if loss is not _cross_entropy or outputs.dim() != 3 or targets.dim() != 1:
        return torch.func.vmap(lambda output: loss(output, targets))(outputs)
    arms, rows = outputs.shape[:2]
    each = functional.cross_entropy(outputs.flatten(0, 1), targets.repeat(arms), reduction="none")
    return each.view(arms, rows).mean(dim=1)


def score_sum(kind: Kind, output: Any, targets: torch.Tensor) -> torch.Tensor:
    """Right answers, or the square error, summed over the batch."""
    made = tensor_of(output)
    if kind == "classes":
        return (made.argmax(dim=-1) == targets).to(torch.float64).sum()
    return (made.reshape(targets.shape) - targets).to(torch.float64).square().sum()


def score_of(kind: Kind, total: float, targets: torch.Tensor) -> float:
    """Share of right answers; or R^2 = 1 - square error / variance, at most 1 and without a lower bound."""
    if kind == "classes":
        return total / targets.numel()
    around = float((targets.double() - targets.double().mean(dim=0)).square().sum())
    return 1.0 - total / around if around > 0.0 else float("nan")


def tensor_of(output: Any) -> torch.Tensor:
    """The output itself, or the `logits` of an output object."""
    return output if isinstance(output, torch.Tensor) else output.logits


def _cross_entropy(output: Any, targets: torch.Tensor) -> torch.Tensor:
    made = tensor_of(output)
    return functional.cross_entropy(made.reshape(-1, made.shape[-1]), targets.reshape(-1))


def _square_error(output: Any, targets: torch.Tensor) -> torch.Tensor:
    made = tensor_of(output)
    return functional.mse_loss(made.reshape(targets.shape), targets)
