"""Small models for the tests of the command line."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """A healthy MLP of a given depth: He-normal weights, zero biases."""

    def __init__(self, depth: int = 3, *, width: int = 64) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 4)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


class Zeros(Net):
    """The same with all weights zero."""

    def __init__(self) -> None:
        super().__init__()
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class Words(nn.Module):
    """Takes token ids by keyword, and ties its output to its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids))


class Chatty(Net):
    """Prints while it is made and while it runs."""

    def __init__(self) -> None:
        print("being made")
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        print("running")
        return super().forward(x)


class Raises(Net):
    """Fails in its forward pass."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("the forward pass is broken")


class Outer:
    """Holds a factory, for dotted names."""

    @staticmethod
    def build(width: int = 8) -> Net:
        return Net(1, width=width)


ready = Net()
number = 3


def build(depth: int, *, width: int = 64) -> Net:
    return Net(depth, width=width)


def build_nothing() -> None:
    return None


def build_pair() -> tuple[Net, int]:
    return Net(1), 1


def build_broken() -> Net:
    raise ValueError("no such data set")


def build_exit() -> Net:
    raise SystemExit("I call exit")


def batch() -> Tensor:
    return torch.randn(16, 64)


def batch_of(size: int) -> Tensor:
    return torch.ones(size, 64)


fixed_batch = torch.ones(4, 64)


def loss(output: Tensor) -> Tensor:
    return output.square().mean()


def power_loss(power: int):
    return lambda output: output.pow(power).mean()
