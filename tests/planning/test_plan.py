"""A plan is data: it prints, goes to JSON and back, and is applied whole or not at all, with the same bits."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_models import Residual, normal, seeded

import penstock
from penstock.errors import ArgumentError
from penstock.planning.plan import Plan
from penstock.recipes import Constant, Normal

X = normal(16, 12)


def net(*, width: int = 24, extra: bool = False) -> nn.Module:
    def make() -> nn.Module:
        parts: dict[str, nn.Module] = {"first": nn.Linear(12, width), "act": nn.GELU()}
        if extra:
            parts["extra"] = Residual(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)))
        return nn.Sequential(
            _named(parts), _named({"norm": nn.BatchNorm1d(width), "drop": nn.Dropout(0.1), "last": nn.Linear(width, 3)})
        )

    return seeded(make)


def _named(parts: dict[str, nn.Module]) -> nn.Sequential:
    from collections import OrderedDict

    return nn.Sequential(OrderedDict(parts))


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> list[str]:
    """Names whose tensors are the same bits in both."""
    return [k for k in a if k in b and a[k].shape == b[k].shape and torch.equal(a[k], b[k])]


def test_a_plan_changes_nothing():
    model = net()
    before = bits(model)
    penstock.plan(model, X)
    assert equal(before, bits(model)) == list(before)


def test_a_plan_prints_every_parameter_with_its_reason():
    plan = penstock.plan(net(extra=True), X)
    text = str(plan)
    assert "plan for Sequential" in text
    for word in ("first.weight", "last.weight", "norm", "output head", "bias: zero"):
        assert word in text, text
    assert repr(plan) == f"<Plan for Sequential: {len(plan.entries)} of {len(plan.entries)} parameters drawn>"


@pytest.mark.parametrize("make", [net, lambda: net(extra=True), lambda: nn.LSTM(12, 8)])
def test_json_and_back_is_the_same_plan(make: Callable[[], nn.Module]):
    batch = X if not isinstance(make(), nn.LSTM) else X[:, None]
    plan = penstock.plan(make(), batch)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert json.loads(plan.to_json())["version"] == 1
    models = make(), make()
    plan.apply(models[0], seed=3)
    again.apply(models[1], seed=3)
    assert equal(bits(models[0]), bits(models[1])) == list(bits(models[0]))


def test_an_initialization_s_plan_goes_to_json_with_its_factors():
    done = penstock.initialize(net(), X)
    assert Plan.from_json(done.plan.to_json()) == done.plan
    calibration = done.plan["0.first.weight"].calibration
    assert calibration is not None
    assert calibration.factor is not None
    assert "Calibration scaled" in str(done)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"text must be JSON"),
        ("[]", r"data must be a plan of version 1; got 'list'"),
        ('{"version": 2}', r"version 1; got 2"),
        ('{"version": 1, "model": "M", "notes": []}', r"data must be a whole plan; KeyError\('entries'\)"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, message: str):
    with pytest.raises(ArgumentError, match=message):
        Plan.from_json(text)


def test_the_same_seed_gives_the_same_bits_and_another_gives_others():
    plan = penstock.plan(net(), X)
    models = [net() for _ in range(3)]
    for model, seed in zip(models, (7, 7, 8), strict=True):
        plan.apply(model, seed=seed)
    first, second, third = map(bits, models)
    assert equal(first, second) == list(first)
    assert "0.first.weight" not in equal(first, third)
    plan.apply(models[0], seed=7)
    assert equal(bits(models[0]), first) == list(first)


def test_a_new_layer_leaves_the_others_bits():
    small, large = net(), net(extra=True)
    penstock.plan(small, X).apply(small)
    penstock.plan(large, X).apply(large)
    assert equal(bits(small), bits(large))[:2] == ["0.first.weight", "0.first.bias"]
    assert "1.last.weight" in equal(bits(small), bits(large))


def test_global_random_state_plays_no_part_and_is_left_alone():
    plan = penstock.plan(net(), X)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    one, two = net(), net()
    plan.apply(one)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == np.random.get_state()[1].tolist()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(99)
        plan.apply(two)
    assert equal(bits(one), bits(two)) == list(bits(one))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: net(width=25), r"'0.first.weight' is \(25, 12\) in the model and \(24, 12\) in the plan"),
        (lambda: net(extra=True), r"the plan has no '0.extra.body.0.weight'"),
        (lambda: nn.Linear(12, 3), r"the model has no '0.first.weight'.*and \d+ more"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_untouched(model: Callable[[], nn.Module], message: str):
    other = model()
    before = bits(other)
    with pytest.raises(ArgumentError, match=message):
        penstock.plan(net(), X).apply(other)
    assert equal(before, bits(other)) == list(before)


def test_a_bad_seed_is_refused_before_anything_is_written():
    model = net()
    before = bits(model)
    with pytest.raises(ArgumentError, match="seed"):
        penstock.plan(net(), X).apply(model, seed=-1)
    assert equal(before, bits(model)) == list(before)


class Failing(Normal):
    def draw(self, *args: Any, **options: Any) -> Any:
        raise MemoryError("out of memory")


def test_a_failure_half_way_puts_everything_back():
    plan, model = penstock.plan(net(), X), net()
    before = bits(model)
    with pytest.raises(MemoryError, match="out of memory"):
        plan.replace("1.last.weight", Failing(1.0)).apply(model)
    assert equal(before, bits(model)) == list(before)
    plan.replace("1.last.weight", Constant(0.5)).apply(model)  # control: without the failure it is written
    assert model.get_parameter("1.last.weight").detach().max().item() == 0.5
    assert "0.first.weight" not in equal(before, bits(model))


@pytest.mark.parametrize("call", [1, 2, 3])
def test_initialize_that_fails_puts_everything_back(call: int):
    """The model runs three times: for the plan, for the calibration, for the report after."""

    calls: list[int] = []

    class Moody(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(calls) + 1)
            if calls[-1] == call:
                raise RuntimeError("not today")
            return super().forward(x)

    model = seeded(lambda: Moody(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 3)))
    before = bits(model)
    with pytest.raises(penstock.ModelError, match="not today"):
        penstock.initialize(model, X)
    assert equal(before, bits(model)) == list(before)


def test_initialize_leaves_buffers_flags_gradients_and_random_states():
    model = net()
    model[1].eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model[0].first.bias.requires_grad_(False)
    before, state = bits(model), torch.get_rng_state()
    grads = [id(p.grad) for p in model.parameters()]
    flags = [p.requires_grad for p in model.parameters()]
    penstock.initialize(model, X)
    same = equal(before, bits(model))
    assert {"1.norm.running_mean", "1.norm.running_var", "1.norm.num_batches_tracked", "0.first.bias"} <= set(same)
    assert "0.first.weight" not in same
    assert torch.equal(state, torch.get_rng_state())
    assert [m.training for m in model] == [True, False]
    assert [id(p.grad) for p in model.parameters()] == grads
    assert [p.requires_grad for p in model.parameters()] == flags


def test_initialize_keeps_what_is_frozen_and_what_is_named():
    model = net(extra=True)
    model[0].first.requires_grad_(False)
    before = bits(model)
    penstock.initialize(model, X, keep=["1.last.*"])
    assert {"0.first.weight", "0.first.bias", "1.last.weight", "1.last.bias"} <= set(equal(before, bits(model)))
    assert "0.extra.body.1.weight" not in equal(before, bits(model))


def test_keep_is_a_list_of_names_that_exist():
    with pytest.raises(ArgumentError, match=r"keep must be a list .*'0.frist.weight' fits none(.|\n)*'0.first.weight'"):
        penstock.plan(net(), X, keep=["0.frist.weight"])
    with pytest.raises(ArgumentError, match=r"keep must be a list .*got the string '0\.\*'"):
        penstock.plan(net(), X, keep="0.*")


def test_replace():
    plan = penstock.plan(net(), X)
    changed = plan.replace("1.last.weight", Constant(0.0), "a zero head")
    assert changed["1.last.weight"].recipe == Constant(0.0)
    assert changed["1.last.weight"].reason == "a zero head"
    assert plan["1.last.weight"].recipe != Constant(0.0)
    with pytest.raises(ArgumentError, match=r"name must be one of the plan's parameters; got 'nothing'"):
        plan.replace("nothing", None)
    with pytest.raises(KeyError, match="nothing"):
        plan["nothing"]


def test_two_initializations_are_equal():
    one, two = net(), copy.deepcopy(net())
    first, second = penstock.initialize(one, X, seed=5), penstock.initialize(two, X, seed=5)
    assert equal(bits(one), bits(two)) == list(bits(one))
    assert first.plan == second.plan
    assert first.after.to_json() == second.after.to_json()
    assert "before" in repr(first)
