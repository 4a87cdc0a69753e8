"""Learning rates that published plans have for each parameter, in the plan and in the groups for the optimizer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_models import Residual, normal, seeded

import penstock
from penstock.planning.named.choose import RecipeChoice
from penstock.planning.plan import Plan
from penstock.recipes.schemes import NTK, CompleteP, MuP, depth_mup

X, Y = normal(32, 16), normal(32, 4, seed=1)


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, 4)
    )


def rates(plan: Plan) -> dict[str, tuple[float, float]]:
    return {e.name: (e.lr_sgd, e.lr_adam) for e in plan.entries}


def test_mup_has_the_rates_of_table_3():
    """Yang & Hu et al. 2022: SGD and Adam; input and vectors m, 1; hidden 1, 1/m; output 1/m, 1/m; its bias 1, 1."""
    m = 4.0
    plan = penstock.plan(mlp(64), X, recipe=MuP(width_multiplier=m))
    assert rates(plan) == {
        "0.weight": (m, 1.0),
        "0.bias": (m, 1.0),
        "2.weight": (1.0, 1 / m),
        "2.bias": (m, 1.0),
        "3.weight": (m, 1.0),
        "3.bias": (m, 1.0),
        "5.weight": (1 / m, 1 / m),
        "5.bias": (1.0, 1.0),
    }
    # The readout's std is that of table 3 as well: 1/n instead of 1/sqrt(n), for a base of 16 units.
    assert plan["5.weight"].recipe.sigma == pytest.approx(1 / (m * math.sqrt(16)))  # type: ignore[union-attr]
    assert "learning rate x 0.25 (Adam), x 1 (SGD)" in plan["2.weight"].reason
    assert Plan.from_json(plan.to_json()) == plan


def test_a_model_that_is_its_own_base_keeps_its_rates():
    for recipe in ("mup", "completep", "gpt2", "auto", MuP()):
        assert set(rates(penstock.plan(mlp(32), X, recipe=recipe)).values()) == {(1.0, 1.0)}


def test_the_groups_have_the_rates():
    model = mlp(64)
    plan = penstock.plan(model, X, recipe=MuP(width_multiplier=4.0))
    found = {id(p): g["lr"] for g in plan.param_groups(model, "adam", learning_rate=0.1) for p in g["params"]}
    named = {n: found[id(p)] for n, p in model.named_parameters()}
    assert named["0.weight"] == named["5.bias"] == pytest.approx(0.1)
    assert named["2.weight"] == named["5.weight"] == pytest.approx(0.025)


def test_weights_shrink_at_one_pace_whatever_their_rate():
    """Rate times decay is one number for all weights that decay (Dey et al. 2025, table 1): rate / m, decay m."""
    model = mlp(64)
    plan = penstock.plan(model, X, recipe=MuP(width_multiplier=4.0))
    assert (plan["2.weight"].weight_decay, plan["2.bias"].weight_decay) == (4.0, 1.0)
    assert "Adam's decay x 4" in plan["2.weight"].reason
    for optimizer, given, expected in (("adamw", None, 0.01), ("adamw", 0.2, 0.2), ("adam", None, 0.0)):
        groups = plan.param_groups(model, optimizer, learning_rate=0.1, weight_decay=given)
        paces = {g["lr"] * g["weight_decay"] for g in groups if g["weight_decay"]}
        assert all(pace == pytest.approx(0.1 * expected) for pace in paces)
        assert bool(paces) == (expected > 0)
    # Through torch.optim itself: without a gradient only the decay moves weights.
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    steps = torch.optim.AdamW(plan.param_groups(model, "adamw", learning_rate=0.1, weight_decay=0.2))
    sum(0.0 * p.sum() for p in model.parameters()).backward()  # type: ignore[union-attr]
    steps.step()
    for name, parameter in model.named_parameters():
        kept = 0.98 if name.endswith("weight") and parameter.dim() > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), kept * before[name])
    # Control: with the rates alone the hidden weights shrink four times more slowly.
    groups = plan.param_groups(model, "adamw", learning_rate=0.1)
    bare = [{k: v for k, v in group.items() if k != "weight_decay"} for group in groups]
    alone = torch.optim.AdamW(bare, weight_decay=0.2)
    before_hidden = model.get_parameter("2.weight").detach().clone()
    alone.step()
    torch.testing.assert_close(model.get_parameter("2.weight").detach(), 0.995 * before_hidden)


def test_a_plan_without_factors_leaves_the_decay_to_the_optimizer():
    model = mlp(64)
    groups = penstock.plan(model, X).param_groups(model, "adamw", learning_rate=0.1)
    assert [g.get("weight_decay") for g in groups] == [None, 0.0]


def test_complete_p_adds_the_depth():
    """Dey et al. 2025: hidden Adam m_L^(alpha - 1) / m; the branch's m_L^-alpha is in its last weight here."""
    blocks = [Residual(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))) for _ in range(8)]
    model = nn.Sequential(*blocks, nn.Linear(16, 4))
    scheme = CompleteP(width_multiplier=2.0, depth_multiplier=4.0)
    adam = {n: a for n, (_, a) in rates(penstock.plan(model, X, recipe=scheme)).items()}
    assert adam["1.body.0.weight"] == pytest.approx(1 / 2)
    assert adam["1.body.2.weight"] == pytest.approx(1 / 2 / 4)
    # Its epsilon is m_L^-alpha / m of Adam's own; the multiplier that went into the branch's last weight is in it too.
    groups = penstock.plan(model, X, recipe=scheme).param_groups(model, "adamw", learning_rate=1.0)
    eps = {id(p): g.get("eps") for g in groups for p in g["params"]}
    assert eps[id(model.get_parameter("1.body.0.weight"))] == pytest.approx(1e-8 / 4 / 2)
    assert eps[id(model.get_parameter("1.body.2.weight"))] == pytest.approx(1e-8 / 2)
    half = CompleteP(depth_mup().alpha, width_multiplier=2.0, depth_multiplier=4.0)
    adam = {n: a for n, (_, a) in rates(penstock.plan(model, X, recipe=half)).items()}
    assert adam["1.body.0.weight"] == pytest.approx(1 / 2 / 2)


def test_absolute_rates():
    plan = penstock.plan(mlp(64), X, recipe="spectral")
    assert rates(plan)["2.weight"] == (1.0, 1 / 64)
    assert rates(plan)["5.weight"] == (4 / 64, 1 / 64)
    assert rates(penstock.plan(mlp(64), X, recipe="unit_mup"))["2.weight"][1] == pytest.approx(1 / 64)


def test_a_multiplier_in_the_weight_trains_as_it_would_in_front():
    """NTK: y = W x / sqrt(n) with W of std 1, by hand and as planned: the same network after the same steps."""
    made: list[Tensor] = []
    for by_hand in (True, False):
        model = nn.Sequential(nn.Linear(16, 32, bias=False), nn.Tanh(), nn.Linear(32, 4, bias=False))
        plan = penstock.plan(model, X, recipe=NTK())
        plan.apply(model, seed=3)
        scale = [16**-0.5, 32**-0.5] if by_hand else [1.0, 1.0]
        weights = [
            (model.get_parameter(f"{i}.weight").detach() / s).requires_grad_()
            for i, s in zip((0, 2), scale, strict=True)
        ]
        factors = [1.0, 1.0] if by_hand else [plan[f"{i}.weight"].lr_sgd for i in (0, 2)]
        groups = [{"params": [w], "lr": 0.5 * f} for w, f in zip(weights, factors, strict=True)]
        optimizer = torch.optim.SGD(groups, momentum=0.9)
        for _ in range(5):
            out = torch.tanh(X @ weights[0].T * scale[0]) @ weights[1].T * scale[1]
            optimizer.zero_grad()
            (out - Y).pow(2).mean().backward()
            optimizer.step()
        made += [torch.tanh(X @ weights[0].T * scale[0]).detach() @ weights[1].detach().T * scale[1]]
        if not by_hand:  # control: with one rate for all it is another network
            assert factors == pytest.approx([1 / 16, 1 / 32])
    torch.testing.assert_close(made[0], made[1], rtol=1e-4, atol=1e-5)


def changes(width: int, recipe: RecipeChoice, optimizer: str, rate: float) -> list[float]:
    """RMS of the change, in four steps, of the hidden pre-activations and of the output."""
    model = seeded(lambda: nn.Sequential(*[m for m in mlp(width) if not isinstance(m, nn.LayerNorm)]))
    assert isinstance(model, nn.Sequential)
    plan = penstock.plan(model, X, recipe=recipe)
    plan.apply(model, seed=1)
    made = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
    steps = made(plan.param_groups(model, optimizer, learning_rate=rate))
    before = [model[:3](X).detach(), model(X).detach()]
    for _ in range(4):
        steps.zero_grad()
        (model(X) - Y).pow(2).mean().backward()
        steps.step()
    after = [model[:3](X).detach(), model(X).detach()]
    return [float((a - b).pow(2).mean().sqrt()) for a, b in zip(after, before, strict=True)]


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.003), ("sgd", 0.02)])
def test_coordinate_check(optimizer: str, rate: float):
    """With muP's rates signals change by as much in a wide network as in a narrow one; with one rate for all, more."""
    narrow = changes(64, MuP(), optimizer, rate)
    wide = changes(1024, MuP(width_multiplier=16.0), optimizer, rate)
    # Changes are means over 64 hidden units and 4 outputs of correlated steps: within a factor of two.
    np.testing.assert_allclose(np.log2(np.divide(wide, narrow)), 0.0, atol=1.0)
    # Control: the same standard start with one rate.
    grown = np.divide(changes(1024, "lecun", optimizer, rate), changes(64, "lecun", optimizer, rate))
    assert grown.max() > 4.0
