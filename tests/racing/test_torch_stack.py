"""Arms together are arms alone: chains with a gradient by hand, mapped models, optimizers side by side."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from penstock.torch.racing.chain import chain_of
from penstock.torch.racing.objective import loss_of
from penstock.torch.racing.stack import Stack

RATES = [("adam", 1e-2), ("adam", 1e-2), ("adam", 1e-3), ("adamw", 1e-2), ("sgd", 1e-1)]
KIND = "classes"


def relus() -> nn.Module:
    again = nn.ReLU()
    return nn.Sequential(nn.Linear(7, 9), again, nn.Linear(9, 8, bias=False), again, nn.Linear(8, 3))


def functions() -> nn.Module:
    first = nn.Sequential(nn.Linear(7, 9), nn.Identity(), nn.Tanh(), nn.ReLU())
    return nn.Sequential(first, nn.Linear(9, 8), nn.ReLU(inplace=True), nn.GELU(), nn.Linear(8, 3), nn.Softplus())


class Written(nn.Module):
    """No chain by its class, so it is mapped."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(7, 9), nn.Linear(9, 3)])
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers[1](torch.relu(self.layers[0](x))) * self.scale


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(0)
    return [
        (torch.randn(11 + i % 2, 7, generator=random), torch.randint(0, 3, (11 + i % 2,), generator=random))
        for i in range(count)
    ]


def alone(model: nn.Module, name: str, rate: float, steps: int) -> list[float]:
    """The usual loop with PyTorch's own optimizers: the oracle."""
    parameters = model.parameters()
    optimizer = {
        "adam": lambda: torch.optim.Adam(parameters, lr=rate),
        "adamw": lambda: torch.optim.AdamW(parameters, lr=rate),
        "sgd": lambda: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
    }[name]()
    losses = []
    for inputs, targets in batches(steps):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def models(factory, count: int) -> list[nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [factory() for _ in range(count)]


@pytest.mark.parametrize("factory", [relus, functions, Written])
def test_arms_together_are_arms_alone(factory):
    """Through ten steps, with arms dropped on the way, whose places the others take."""
    made = models(factory, len(RATES))
    wanted = [alone(copy.deepcopy(m), *rate, 10) for m, rate in zip(made, RATES, strict=True)]
    stack = Stack(made, RATES, loss=loss_of(KIND, None), kind=KIND, mode="error")
    found = [stack.step(*batch) for batch in batches(4)]
    np.testing.assert_allclose(np.array(found).T, np.array(wanted)[:, :4], rtol=1e-4)
    stack.keep([1, 2, 4])
    later = [stack.step(*batch) for batch in batches(10)[4:]]
    np.testing.assert_allclose(np.array(later).T, np.array(wanted)[[1, 2, 4], 4:], rtol=1e-4)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):  # control: another arm is another curve
        np.testing.assert_allclose(np.array(later).T, np.array(wanted)[[0, 2, 4], 4:], rtol=1e-4)


@pytest.mark.parametrize("factory", [relus, functions])
def test_held_out_data_is_looked_at_as_the_model_would(factory):
    made = models(factory, 2)
    stack = Stack(made, RATES[:2], loss=loss_of(KIND, None), kind=KIND, mode="error")
    inputs, targets = torch.randn(300, 7, generator=torch.Generator().manual_seed(1)), torch.arange(300) % 3
    for (loss, score), model in zip(stack.look(inputs, targets), made, strict=True):
        output = model(inputs)
        assert loss == pytest.approx(nn.functional.cross_entropy(output, targets).item(), rel=1e-5)
        assert score == pytest.approx((output.argmax(1) == targets).float().mean().item())


def test_an_arm_that_becomes_nan_leaves_the_others_alone():
    made = models(relus, 2)
    wanted = alone(copy.deepcopy(made[1]), "adam", 1e-2, 5)
    with torch.no_grad():
        made[0][0].weight.fill_(float("nan"))
    stack = Stack(made, RATES[:2], loss=loss_of(KIND, None), kind=KIND, mode="error")
    found = np.array([stack.step(*batch) for batch in batches(5)])
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[:, 1], wanted, rtol=1e-4)


def hooked() -> nn.Module:
    model = relus()
    model[0].register_forward_hook(lambda layer, given, output: output * 2)
    return model


def frozen() -> nn.Module:
    model = relus()
    model[0].requires_grad_(False)
    return model


class Own(nn.Sequential):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) + 1.0


def twice() -> nn.Module:
    layer = nn.Linear(7, 7)
    return nn.Sequential(layer, nn.ReLU(), layer)


@pytest.mark.parametrize(
    "factory",
    [
        hooked,
        frozen,
        twice,
        lambda: Own(nn.Linear(7, 3)),
        lambda: nn.Sequential(nn.Linear(7, 3), nn.Dropout()),
        lambda: nn.Sequential(nn.Linear(7, 3), nn.Softmax(-1)),
        lambda: nn.Sequential(nn.ReLU(), nn.Linear(7, 3)),
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(7, 3))),
        lambda: nn.Sequential(nn.Linear(7, 3), nn.ELU(inplace=True)),
    ],
    ids=["hook", "frozen", "shared", "own forward", "dropout", "softmax", "function first", "weight norm", "in place"],
)
def test_what_only_looks_like_a_chain_is_none(factory):
    assert chain_of(factory()) is None


def test_a_chain_is_one():
    """Control of the test above."""
    assert chain_of(relus()) is not None
    assert chain_of(functions()) is not None
