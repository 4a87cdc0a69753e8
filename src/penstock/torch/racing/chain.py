"""Linear layers and pointwise functions, one after another: all arms at once, with a gradient written out by hand.

A network of this kind needs no mapping. Each layer of all arms is one batched product, and every product is written
into memory that the step before used too. Fresh memory for each would cost as much as a fifth of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

_POINTWISE = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid,
    nn.Mish, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Tanh,
)  # fmt: skip
"""Modules that compute each number from one number, in training as in evaluation."""


@dataclass(frozen=True)
class _Link:
    """A linear layer and the functions behind it."""

    weight: str
    bias: str | None
    functions: list[nn.Module] = field(default_factory=list)


@dataclass
class _Passed:
    """What the backward pass needs of a link: its inputs, and each function with what went in and what came out."""

    inputs: torch.Tensor
    steps: list[tuple[nn.Module, torch.Tensor, torch.Tensor]]


class Chain:
    """All arms of such a network."""

    def __init__(self, links: Sequence[_Link]) -> None:
        self._links = list(links)
        self._memory: dict[Any, torch.Tensor] = {}

    def outputs(self, weights: Mapping[str, torch.Tensor], inputs: torch.Tensor) -> tuple[torch.Tensor, list[_Passed]]:
        """The outputs of each arm, valid until the next call.

        Args:
            weights: parameters by name, (arms, *shape).
            inputs: the same for each arm, (rows, inputs).

        Returns:
            Outputs (arms, rows, outputs), and what `gradients` needs.
        """
        arms = len(next(iter(weights.values())))
        signal, passed = inputs.expand(arms, *inputs.shape), []
        for place, link in enumerate(self._links):
            weight = weights[link.weight].detach().transpose(1, 2)
            made = self._get(("out", place), signal, (*signal.shape[:2], weight.shape[2]))
            if link.bias is None:
                torch.bmm(signal, weight, out=made)
            else:
                torch.baddbmm(weights[link.bias].detach().unsqueeze(1), signal, weight, out=made)
            before, steps = signal, []
            signal = made
            for number, function in enumerate(link.functions):
                came = signal
                if type(function) is nn.ReLU:
                    signal = came.relu_() if number == 0 else came.relu()  # nobody else reads the product
                else:
                    came = came.detach().requires_grad_()
                    with torch.enable_grad():
                        signal = function(came)
                steps.append((function, came, signal))
                signal = signal.detach()
            passed.append(_Passed(before, steps))
        return signal, passed

    def gradients(
        self, weights: Mapping[str, torch.Tensor], passed: Sequence[_Passed], gradient: torch.Tensor
    ) -> list[torch.Tensor]:
        """Gradients of the parameters, in the order of `weights`; valid until the next call.

        Args:
            weights: as `outputs` had them.
            passed: what it gave.
            gradient: of the sum of the losses by the outputs.
        """
        found: dict[str, torch.Tensor] = {}
        for place in reversed(range(len(self._links))):
            link, past = self._links[place], passed[place]
            for function, came, went in reversed(past.steps):
                if type(function) is nn.ReLU:
                    onward = self._get(("back", place + 1), went, tuple(went.shape))
                    torch.ops.aten.threshold_backward.grad_input(gradient, went, 0.0, grad_input=onward)
                    gradient = onward
                else:
                    (gradient,) = torch.autograd.grad(went, came, gradient)
            weight = weights[link.weight].detach()
            found[link.weight] = self._get(("weight", place), weight, tuple(weight.shape))
            torch.bmm(gradient.transpose(1, 2), past.inputs, out=found[link.weight])
            if link.bias is not None:
                found[link.bias] = gradient.sum(dim=1)
            if place:
                onward = self._get(("back", place), past.inputs, tuple(past.inputs.shape))
                gradient = torch.bmm(gradient, weight, out=onward)
        return [found[name] for name in weights]

    def _get(self, key: tuple[str, int], like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Memory of this shape: the same as last time where the shape is."""
        if key not in self._memory or self._memory[key].shape != shape:
            self._memory[key] = torch.empty(shape, dtype=like.dtype, device=like.device)
        return self._memory[key]


def chain_of(model: nn.Module) -> Chain | None:
    """The model as a chain; None where it is anything else than `nn.Sequential` of linear layers and functions."""
    links: list[_Link] = []
    seen: set[int] = set()
    for name, module in _leaves(model, ""):
        if type(module) is nn.Identity and not _changed(module):
            continue
        if type(module) is nn.Linear and not _changed(module) and id(module) not in seen:
            seen.add(id(module))
            links.append(_Link(f"{name}weight", None if module.bias is None else f"{name}bias"))
        elif links and type(module) in _POINTWISE and not _changed(module) and _keeps_input(module):
            links[-1].functions.append(module)
        else:
            return None
    trained = [n for n, p in model.named_parameters() if p.requires_grad]
    used = [n for link in links for n in (link.weight, link.bias) if n is not None]
    return Chain(links) if trained and trained == used else None


def _leaves(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    """The modules that run, in order, each with the prefix of its parameters' names."""
    if type(module) is not nn.Sequential or _changed(module):
        return [(prefix, module)]
    return [
        leaf
        for name, child in module._modules.items()
        if child is not None
        for leaf in _leaves(child, f"{prefix}{name}.")
    ]


def _changed(module: nn.Module) -> bool:
    """Whether hooks or a forward pass of its own make a module something else than its class."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or "forward" in vars(module)


def _keeps_input(module: nn.Module) -> bool:
    return type(module) is nn.ReLU or not getattr(module, "inplace", False)
