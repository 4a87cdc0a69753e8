"""Deep stacks train in a few steps from penstock's start, and do not from PyTorch's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_models import normal, seeded

import penstock

X = normal(256, 16)
# A question that no linear network answers: in which quadrant the first two inputs lie.
Y = 2 * (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


def stack(act: Callable[[], nn.Module], depth: int = 40, width: int = 32) -> nn.Sequential:
    layers = [m for i in range(depth) for m in (nn.Linear(16 if i == 0 else width, width), act())]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def accuracy(model: nn.Module, *, steps: int, rate: float) -> float:
    """Share of the batch that is right, the best of the last ten steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    best = 0.0
    for step in range(steps):
        out = model(X)
        if step >= steps - 10:
            best = max(best, float((out.argmax(1) == Y).float().mean()))
        optimizer.zero_grad()
        F.cross_entropy(out, Y).backward()
        optimizer.step()
    return best


# Each has another way: in pairs at unit variance, in pairs around a mean, around zero, and nearly straight.
@pytest.mark.parametrize("act", [nn.GELU, nn.Sigmoid, Sine, nn.ELU], ids=["gelu", "sigmoid", "sin", "elu"])
def test_forty_layers_train(act: Callable[[], nn.Module]):
    model = seeded(lambda: stack(act))
    # Control: chance is 1/4.
    assert accuracy(seeded(lambda: stack(act)), steps=40, rate=1e-3) < 0.6
    penstock.initialize(model, X)
    assert accuracy(model, steps=40, rate=1e-3) > 0.85
