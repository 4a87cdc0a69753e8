"""Factories, starts and data of the race tests, where other processes can find them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import torch
from torch import nn

WINE = {"steps": 12, "learning_rates": [1e-3, 1e-2], "seeds": 2, "progress": False, "workers": 1}
"""A race that takes a fraction of a second."""


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 3))


class WithNoiseAndBuffers(nn.Module):
    """Dropout draws random numbers, and the batch norm changes its buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(13, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(torch.relu(self.norm(self.first(x)))))


class Unmappable(nn.Module):
    """A branch on a value: no mapped forward pass can take it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(13, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return y * 2 if y.detach().mean().item() > 0 else y


ONLY = small()


def the_same() -> nn.Module:
    return ONLY


def raises(model: nn.Module) -> None:
    raise RuntimeError("this start does not fit")


def huge(model: nn.Module) -> None:
    for p in model.parameters():
        nn.init.normal_(p, std=1e20)


def sine(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = random.uniform(-1, 1, (32, 1))
    return x, np.sin(3 * x)


def line() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def own_loss(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(output, targets) + 1.0


class Dying(Executor):
    """An executor that does one task and then is gone."""

    def __init__(self) -> None:
        self.left = 1

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        if not self.left:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.left -= 1
        done: Future[Any] = Future()
        done.set_result(function(*arguments, **named))
        return done
