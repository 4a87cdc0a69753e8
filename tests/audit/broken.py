"""Hand-made modules, each with one fault of initialization, and beside it the same without the fault."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Build = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Case:
    """A fault.

    Attributes:
        name: of the case.
        code, severity, place: of the finding that it must give, alone.
        broken, silent: build the model with the fault, and without.
    """

    name: str
    code: str
    severity: str
    place: str
    broken: Build
    silent: Build


class Scale(nn.Module):
    """A scale that its constructor leaves to whatever is in memory, or writes where it is made, or resets."""

    def __init__(self, values: str) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8) if values == "made" else torch.empty(8))
        if values == "reset":
            self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Resettable(Scale):
    """The same, with the method that PyTorch's contract asks for."""

    def __init__(self) -> None:
        super().__init__("reset")

    def reset_parameters(self) -> None:
        nn.init.ones_(self.scale)


class Table(nn.Module):
    """A buffer without values, or with."""

    def __init__(self, *, filled: bool) -> None:
        super().__init__()
        self.filled = filled
        self.register_buffer("positions", torch.empty(6, dtype=torch.int64), persistent=False)
        self.register_buffer("mask", torch.empty(6, dtype=torch.bool), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.filled:
            self.positions.copy_(torch.arange(6))
            self.mask.fill_(True)


class Part(nn.Module):
    """An embedding of which only the padding row is written, or all."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__()
        self.whole = whole
        self.table = nn.Parameter(torch.empty(10, 4))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            if self.whole:
                self.table.normal_()
            self.table[0].zero_()


class Mixer(nn.Module):
    """Writes its child's bias on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(16, 64)
        nn.init.uniform_(self.step.bias, -5.0, -1.0)


class General(nn.Module):
    """Initializes all linear layers, over what the mixer wrote or (marked) around it."""

    def __init__(self, *, heeds: bool) -> None:
        super().__init__()
        self.heeds = heeds
        self.mixer = Mixer()
        if heeds:
            self.mixer.step.bias._no_reinit = True  # type: ignore[attr-defined]
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if not getattr(module.bias, "_no_reinit", False):
                nn.init.zeros_(module.bias)
        if isinstance(module, Mixer) and self.heeds:
            nn.init.uniform_(module.step.bias, -5.0, -1.0)


def linear(then: Callable[[nn.Linear], object], *, size: int = 64, dtype: torch.dtype = torch.float32) -> Build:
    """Builds a linear layer and does something to it."""

    def build() -> nn.Module:
        layer = nn.Linear(size, size, dtype=dtype)
        with torch.no_grad():
            then(layer)
        return layer

    return build


def through_numpy(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, std=0.02)
    if not layer.weight.is_meta:
        layer.weight.detach().numpy()[:] *= 1.5


def in_sight(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, std=0.02).mul_(1.5)


def to_copy(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight.float(), std=0.02)


def and_back(layer: nn.Linear) -> None:
    layer.weight.copy_(nn.init.normal_(layer.weight.float(), std=0.02))


def by_index(layer: nn.Linear) -> None:
    layer.weight[torch.tensor([0, 2])].zero_()


def by_slice(layer: nn.Linear) -> None:
    layer.weight[0:2].zero_()


def copies() -> nn.Module:
    first = nn.Linear(8, 8)
    return nn.Sequential(first, copy.deepcopy(first))


def tied() -> nn.Module:
    first = nn.Linear(8, 8)
    return nn.Sequential(first, first)


def frozen_copy() -> nn.Module:
    first = nn.Linear(8, 8)
    return nn.Sequential(first, copy.deepcopy(first).requires_grad_(False))


def logarithm(low: float) -> Build:
    return linear(lambda layer: nn.init.constant_(layer.weight, low).log_())


def unseen(write: Callable[[Tensor], object], change: Callable[[Tensor], object]) -> Build:
    """Initialize a weight, then change it where no operation shows."""

    def both(layer: nn.Linear) -> None:
        write(layer.weight)
        if not layer.weight.is_meta:
            change(layer.weight.detach().numpy())

    return linear(both)


def nothing(weight: object) -> None:
    """Change nothing."""


def one_row_longer(weight) -> None:
    weight[1] *= 1.02


def two_rows_equal(weight) -> None:
    weight[1] = weight[0]


def dense(weight) -> None:
    weight[weight == 0.0] = 1e-3


def louder(weight) -> None:
    weight *= 1.5


def orthogonal(weight: Tensor) -> None:
    nn.init.orthogonal_(weight, gain=1.5)


def sparse(weight: Tensor) -> None:
    nn.init.sparse_(weight, sparsity=0.8, std=0.1)


CASES = (
    Case("never written", "U101", "error", "scale", lambda: Scale("never"), Resettable),
    Case("lost on meta", "U101", "warning", "scale", lambda: Scale("made"), Resettable),
    Case("buffers", "U101", "error", "positions", lambda: Table(filled=False), lambda: Table(filled=True)),
    Case("in part", "U101", "error", "table", lambda: Part(whole=False), lambda: Part(whole=True)),
    Case("log of 0", "U102", "error", "weight", logarithm(0.0), logarithm(1.0)),
    Case(
        "overwritten", "U104", "warning", "mixer.step.bias", lambda: General(heeds=False), lambda: General(heeds=True)
    ),
    Case(
        "wider copy",
        "U105",
        "error",
        "weight",
        linear(to_copy, dtype=torch.bfloat16),
        linear(and_back, dtype=torch.bfloat16),
    ),
    Case("indexed copy", "U105", "error", "weight", linear(by_index), linear(by_slice)),
    Case("unseen change", "U106", "error", "weight", linear(through_numpy), linear(in_sight)),
    Case(
        "underflow",
        "U106",
        "error",
        "weight",
        linear(lambda layer: nn.init.normal_(layer.weight, std=1e-9), dtype=torch.float16),
        linear(lambda layer: nn.init.normal_(layer.weight, std=1e-2), dtype=torch.float16),
    ),
    Case("a longer row", "U106", "error", "weight", unseen(orthogonal, one_row_longer), unseen(orthogonal, nothing)),
    Case("equal rows", "U106", "error", "weight", unseen(orthogonal, two_rows_equal), unseen(orthogonal, nothing)),
    Case("filled zeros", "U106", "error", "weight", unseen(sparse, dense), unseen(sparse, nothing)),
    Case("louder rest", "U106", "error", "weight", unseen(sparse, louder), unseen(sparse, nothing)),
    Case("deep copy", "S102", "error", "1.weight", copies, tied),
)
