"""A learning rate to start with: measured on the model, which comes back as it was, and put into groups."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_models import Written, normal, seeded

import penstock
from penstock.errors import ArgumentError
from penstock.planning.learning_rate import Optimizer
from penstock.torch.learning_rate import Trainer, measure_learning_rate

X = normal(64, 12)
TARGET = (X @ normal(12, 3, seed=1)).argmax(1)


def loss(output: Tensor) -> Tensor:
    return F.cross_entropy(output.float(), TARGET)


def net(*, depth: int = 4, dropout: float = 0.0, norm: bool = False) -> nn.Sequential:
    def make() -> nn.Module:
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(24 if i else 12, 24), *([nn.BatchNorm1d(24)] * norm), nn.GELU()]
            layers += [nn.Dropout(dropout)] * bool(dropout)
        return nn.Sequential(*layers, nn.Linear(24, 3))

    model = seeded(make)
    assert isinstance(model, nn.Sequential)
    return model


def first(model: nn.Sequential) -> nn.Linear:
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    return layer


def started(**options: Any) -> nn.Sequential:
    model = net(**options)
    penstock.initialize(model, X)
    return model


def rates(model: nn.Module, *, optimizers: tuple[Optimizer, ...] = ("sgd", "adam"), f: Callable[..., Tensor] = loss):
    return measure_learning_rate(model, X, loss=f, optimizers=optimizers)


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 60) -> float:
    """Share of the first loss that is left."""
    losses: list[float] = []
    for _ in range(steps):
        value = loss(model(X))
        losses.append(float(value.detach()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return losses[-1] / losses[0]


MAKE: dict[Optimizer, Callable[[Any, float], torch.optim.Optimizer]] = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("depth", [3, 10])
def test_the_rate_trains_and_a_much_larger_one_does_not(optimizer: Optimizer, depth: int):
    model = started(depth=depth)
    rate = rates(model, optimizers=(optimizer,)).of(optimizer)
    control = copy.deepcopy(model)
    assert trained(model, MAKE[optimizer](model.parameters(), rate)) < 0.5
    assert not trained(control, MAKE[optimizer](control.parameters(), 300.0 * rate)) < 0.5


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_steps_are_those_of_torch_optim(optimizer: Optimizer):
    ours, theirs = net(), net()
    trainer = Trainer(ours, X, loss, list(ours.parameters()), optimizer)
    other = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)(theirs.parameters(), lr=1.0)
    for rate in (1e-3, 2e-3, 5e-3, 1e-2):
        other.param_groups[0]["lr"] = rate
        value = loss(theirs(X))
        other.zero_grad()
        value.backward()
        other.step()
        assert trainer.step(rate) == pytest.approx(float(value.detach()), rel=1e-5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.equal(first(ours).weight, first(net()).weight)


def test_the_model_comes_back_as_it_was():
    model = net(dropout=0.2, norm=True)
    first(model).weight.grad = torch.ones_like(first(model).weight)
    calls: list[int] = []
    first(model).weight.register_hook(lambda g: calls.append(1))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    with torch.no_grad():
        assert rates(model).measured
    assert torch.equal(state, torch.random.get_rng_state())
    after = model.state_dict()
    assert [k for k in before if not torch.equal(before[k], after[k])] == []
    assert model.training
    assert first(model).weight.grad is not None
    assert bool((first(model).weight.grad == 1).all())
    assert first(model).bias.grad is None
    assert calls == []


def test_a_loss_that_fails_on_the_way_ends_the_ramp_and_one_that_fails_at_once_raises():
    model = net()
    before = copy.deepcopy(model.state_dict())
    seen: list[float] = []

    def fails(limit: float) -> Callable[[Tensor], Tensor]:
        def inner(output: Tensor) -> Tensor:
            value = loss(output)
            seen.append(float(value.detach()))
            if len(seen) >= limit:
                raise ValueError("out of bounds")
            return value

        return inner

    assert rates(model, optimizers=("adam",), f=fails(25)).passes == 25
    seen.clear()
    with pytest.raises(ValueError, match="out of bounds"):
        rates(model, f=fails(1))
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_the_rate_is_the_same_every_time_whatever_the_random_state():
    model = started(dropout=0.3)
    torch.manual_seed(1)
    first = rates(model)
    torch.manual_seed(2)
    assert rates(model) == first
    assert first.measured


def test_sgd_s_rate_goes_with_one_over_the_loss_and_adam_s_stays():
    model = started()
    one, thousand = rates(model), rates(model, f=lambda y: 1000.0 * loss(y))
    assert thousand.of("sgd") * 1000.0 == pytest.approx(one.of("sgd"), rel=0.5)
    assert thousand.of("adam") == pytest.approx(one.of("adam"), rel=0.5)
    assert thousand.of("sgd") != pytest.approx(one.of("sgd"), rel=0.5)


def test_half_precision_gets_about_the_rate_of_float32():
    model = started()
    short = copy.deepcopy(model).to(torch.bfloat16)
    full = rates(model)
    half = measure_learning_rate(short, X.to(torch.bfloat16), loss=loss, optimizers=("sgd", "adam"))
    for name in ("sgd", "adam"):
        assert abs(math.log(half.of(name) / full.of(name))) < math.log(3.0), (half, full)


def test_frozen_tied_unused_and_looked_up_parameters():
    tokens = torch.randint(0, 9, (16, 5), generator=torch.Generator().manual_seed(0))

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 8, sparse=True)
            self.body = nn.Linear(8, 8)
            self.frozen = nn.Linear(8, 8)
            self.frozen.requires_grad_(False)
            self.unused = nn.Parameter(torch.ones(3))
            self.head = nn.Linear(8, 9, bias=False)
            self.head.weight = self.table.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.frozen(torch.tanh(self.body(self.table(x)))))

    model = seeded(Tied)
    before = copy.deepcopy(model.state_dict())
    found = measure_learning_rate(
        model, tokens, loss=lambda y: F.cross_entropy(y.flatten(0, 1), tokens.flatten()), optimizers=("sgd", "adam")
    )
    assert found.sgd is not None
    assert found.adam is not None
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_none_with_the_reason_where_there_is_nothing_to_find():
    frozen = net().requires_grad_(False)
    assert rates(frozen).notes == ("no parameter requires a gradient: there is nothing to train",)
    nan = rates(net(), f=lambda y: loss(y) * math.nan, optimizers=("adam",))
    assert nan.notes == ("no rate for adam: the loss is nan at the start",)
    flat = seeded(lambda: Written(lambda m, x: (m.w * 0.0).sum() + x.sum(), w=torch.ones(3)))
    still = rates(flat, f=lambda y: y, optimizers=("sgd",))
    assert still.sgd is None
    assert "fell at none of the" in still.notes[0]


def test_initialize_measures_on_request_only():
    plain = penstock.initialize(net(), X, loss=loss)
    assert not plain.plan.learning_rate.measured
    assert "learning rate: not measured" in str(plain)
    model, other = net(), net()
    penstock.initialize(other, X, loss=loss)
    start = penstock.initialize(model, X, loss=loss, learning_rate="adam")
    assert start.plan.learning_rate.sgd is None
    assert f"learning rate: {start.plan.learning_rate.of('adam'):g} for Adam and AdamW" in str(start)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_initialize_wants_a_loss_for_it_and_leaves_the_model_alone_without():
    model = net()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ArgumentError, match=r"(?s)learning_rate needs the loss.*got loss=None.*learning_rate=True"):
        penstock.initialize(model, X, learning_rate=True)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_groups_hold_each_trained_parameter_once_and_torch_takes_them():
    model = net(norm=True)
    first(model).bias.requires_grad_(False)
    plan = penstock.initialize(model, X, loss=loss, learning_rate="adam").plan
    groups = plan.param_groups(model, "adamw")
    grouped = [id(p) for g in groups for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert {g["lr"] for g in groups} == {plan.learning_rate.adam}
    by_name = {g["name"]: g for g in groups}
    assert all(p.dim() == 2 for p in by_name["weights"]["params"])
    assert by_name["biases, norms and other vectors"]["weight_decay"] == 0.0
    assert trained(model, torch.optim.AdamW(groups)) < 0.5


def test_groups_follow_an_entry_s_factors():
    from dataclasses import replace

    model = net()
    plan = penstock.plan(model, X)
    entries = tuple(replace(e, lr_adam=0.25) if e.name == "2.weight" else e for e in plan.entries)
    groups = replace(plan, entries=entries).param_groups(model, "adam", learning_rate=0.1)
    assert {g["name"]: g["lr"] for g in groups}["weights x 0.25"] == pytest.approx(0.025)
    sgd = replace(plan, entries=entries).param_groups(model, "sgd", learning_rate=0.1)
    assert {g["lr"] for g in sgd} == {0.1}


def test_groups_without_a_rate_or_of_another_model_say_so():
    model = net()
    plan = penstock.plan(model, X)
    with pytest.raises(ArgumentError, match="a rate for 'sgd' must have been measured"):
        plan.param_groups(model, "sgd")
    with pytest.raises(ArgumentError, match=r"the plan has no '8.weight'|of shape"):
        plan.param_groups(net(depth=5), "adam", learning_rate=0.1)
