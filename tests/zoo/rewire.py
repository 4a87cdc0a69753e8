"""The breaks that change the structure: no parameter changes, so each returns no names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.actions import Action, Names, middle
from zoo.modules import Residual


def without_gradient(model: nn.Module) -> Names:
    """One hidden layer runs under no_grad, although it is trainable."""
    name, _ = middle(model)
    layer = model.get_submodule(name.rpartition(".")[0])
    layer.forward = torch.no_grad()(layer.forward)
    return ()


def detached_trunk(model: nn.Module) -> Names:
    """The signal is detached halfway: nothing before it learns."""
    assert isinstance(model, nn.Sequential)
    model.insert(len(model) // 2, Detach())
    return ()


def scaled_gradient(factor: float) -> Action:
    """Behind each activation the gradient is multiplied by a factor, the signal is not."""

    def act(model: nn.Module) -> Names:
        for name, module in list(model.named_children()):
            if isinstance(module, nn.ReLU | nn.Tanh | nn.GELU):
                setattr(model, name, nn.Sequential(module, ScaleGradient(factor)))
        return ()

    return act


def without_skips(model: nn.Module) -> Names:
    """Each residual block becomes its branch."""
    for name, module in list(model.named_children()):
        if isinstance(module, Residual):
            module.forward = module.body.forward
            assert model.get_submodule(name) is module
    return ()


def appended(make: Callable[[], nn.Module]) -> Action:
    """One more module behind the head."""

    def act(model: nn.Module) -> Names:
        assert isinstance(model, nn.Sequential)
        model.append(make())
        return ()

    return act


def nothing(model: nn.Module) -> Names:
    """The parameters stay: the loss is what is broken."""
    del model
    return ()


class Detach(nn.Module):
    """The identity, without a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        """x.detach()."""
        return x.detach()


class ScaleGradient(nn.Module):
    """The identity whose gradient is multiplied by a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """x, made of a part with a gradient and a part without."""
        return x * self.factor + x.detach() * (1 - self.factor)
