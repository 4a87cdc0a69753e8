"""The trained weights of many arms: one tensor a parameter, its first axis the arms, the optimizer's moments beside.

Arms with the same optimizer and learning rate that stand side by side are updated by one call of PyTorch's own fused
optimizer, which works element by element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from penstock.planning.rate_search import BETAS, EPSILON, MOMENTUM
from penstock.racing.arm import WEIGHT_DECAY

Tensors = dict[str, torch.Tensor]


@dataclass(slots=True)
class _Stored:
    """One parameter of all arms.

    Attributes:
        values: contiguous; its axes are those of the parameter in another order, the arms first.
        first, second: the optimizer's moments, laid out alike; SGD's velocity is the first.
        order: which axis of (arms, *parameter) each axis of these is.
    """

    values: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    order: tuple[int, ...]

    @property
    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.values, self.first, self.second

    def leaf(self) -> torch.Tensor:
        """The parameter as the model wants it."""
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return self.values.permute(inverse).detach().requires_grad_()


class Weights:
    """The weights, and the step of every arm's optimizer."""

    def __init__(
        self,
        names: Sequence[str],
        parameters: Sequence[Mapping[str, torch.Tensor]],
        optimizers: Sequence[tuple[str, float]],
    ) -> None:
        """Copy the weights of some models.

        Args:
            names: of the parameters that are trained.
            parameters: of each arm's model.
            optimizers: name and learning rate of each arm.
        """
        self._optimizers = list(optimizers)
        self._made = 0
        self._stored: dict[str, _Stored] = {}
        for name in names:
            values = torch.stack([p[name].detach() for p in parameters])
            zeros = torch.zeros_like(values), torch.zeros_like(values)
            self._stored[name] = _Stored(values, *zeros, tuple(range(values.dim())))
        self._see()

    def __len__(self) -> int:
        """How many arms there are."""
        return len(self._optimizers)

    def step(self, gradients: Sequence[torch.Tensor], *, factor: float = 1.0) -> None:
        """One step of every arm.

        Args:
            gradients: one a leaf, in their order.
            factor: of each arm's learning rate.
        """
        if self._made == 0:
            self._lay_out(gradients)
        laid = [
            g.permute(stored.order).contiguous() for g, stored in zip(gradients, self._stored.values(), strict=True)
        ]
        self._made += 1
        for group in self._groups:
            group.step(laid, factor=factor, made=self._made)

    def keep(self, arms: Sequence[int]) -> None:
        """Go on with these arms alone."""
        for stored in self._stored.values():
            index = torch.tensor(list(arms), device=stored.values.device)
            stored.values, stored.first, stored.second = (tensor[index] for tensor in stored.tensors)
        self._optimizers = [self._optimizers[arm] for arm in arms]
        self._see()

    def _lay_out(self, gradients: Sequence[torch.Tensor]) -> None:
        """Lay each parameter out as its gradient comes: that of a linear layer's weight comes transposed."""
        for gradient, stored in zip(gradients, self._stored.values(), strict=True):
            order = tuple(sorted(range(gradient.dim()), key=lambda axis, g=gradient: -g.stride(axis)))
            if order != stored.order and order[0] == 0 and gradient.permute(order).is_contiguous():
                stored.values, stored.first, stored.second = (t.permute(order).contiguous() for t in stored.tensors)
                stored.order = order
        self._see()

    def _see(self) -> None:
        self.leaves: Tensors = {name: stored.leaf() for name, stored in self._stored.items()}
        self._groups: list[_Group] = []
        begin = 0
        for (name, rate), arms in groupby(self._optimizers):
            part = slice(begin, begin + len(list(arms)))
            begin = part.stop
            every = zip(*(stored.tensors for stored in self._stored.values()), strict=True)
            values, first, second = ([tensor[part] for tensor in tensors] for tensors in every)
            fused = all(value.is_floating_point() for value in values)
            self._groups.append(_Group(name, rate, part, values, first, second, fused))


@dataclass(frozen=True, slots=True)
class _Group:
    """Arms side by side with the same optimizer and rate.

    Attributes:
        optimizer: "adam", "adamw" or "sgd".
        rate: its learning rate.
        part: which arms.
        values, first, second: of each parameter, these arms' part.
        fused: whether PyTorch's fused optimizers take them; complex numbers they do not.
    """

    optimizer: str
    rate: float
    part: slice
    values: list[torch.Tensor]
    first: list[torch.Tensor]
    second: list[torch.Tensor]
    fused: bool

    def step(self, every: Sequence[torch.Tensor], *, factor: float, made: int) -> None:
        """One step in place.

        Args:
            every: gradients of all arms, laid out as the values.
            factor: of the learning rate.
            made: how many steps there are with this one.
        """
        gradients = [gradient[self.part] for gradient in every]
        rate = self.rate * factor
        if self.optimizer == "sgd":
            sgd(
                self.values, gradients, [*self.first], fused=self.fused, foreach=False, lr=rate, momentum=MOMENTUM,
                weight_decay=0.0, dampening=0.0, nesterov=False, maximize=False,
            )  # fmt: skip
            return
        decoupled = self.optimizer == "adamw"
        constants: dict[str, Any] = {
            "lr": rate, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPSILON, "amsgrad": False, "maximize": False,
            "weight_decay": WEIGHT_DECAY if decoupled else 0.0,
        }  # fmt: skip
        before = [torch.tensor(float(made - 1), device=value.device) for value in self.values]
        update = adamw if decoupled else adam
        update(
            self.values, gradients, self.first, self.second, [], before, fused=self.fused, foreach=False,
            has_complex=not self.fused, **constants,
        )  # fmt: skip
