"""Which functions of a graph are shaped and how much each may bend; and what happens where that cannot be."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_models import Residual, Written, normal, seeded

import penstock
from penstock.planning.initialization import Initialization
from penstock.planning.stacks import ZETA
from penstock.planning.structure import Structure
from penstock.recipes import BalancedOrthogonal, LooksLinear, Orthogonal
from penstock.torch.check import measure

X = normal(32, 16)


def layers(
    count: int, act: Callable[[], nn.Module] = nn.GELU, *, width: int = 16, bias: bool = True
) -> list[nn.Module]:
    return [m for _ in range(count) for m in (nn.Linear(width, width, bias=bias), act())]


def stack(count: int, act: Callable[[], nn.Module] = nn.GELU, *, bias: bool = True) -> nn.Sequential:
    return nn.Sequential(*layers(count, act, bias=bias), nn.Linear(16, 4))


def depths(model: nn.Module, batch: Tensor = X) -> list[float]:
    """As how many functions in a plain stack each shaped function counts."""
    return [round(use.depth, 1) for use in Structure(measure(model, batch)).uses.values()]


class Two(nn.Module):
    """Two branches of one signal, added or side by side."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], inputs: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*layers(2, nn.Tanh))
        self.a, self.b = nn.Sequential(*layers(10, nn.Tanh)), nn.Sequential(*layers(10, nn.Tanh))
        self.join, self.last = join, nn.Linear(inputs, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(self.join(self.a(h), self.b(h)))


def test_a_plain_stack_counts_its_functions():
    assert depths(stack(20)) == [20.0] * 20
    assert depths(stack(4)) == []


def test_a_stack_goes_through_pooling_flattening_and_dropout():
    convolutions = [m for i in range(8) for m in (nn.Conv2d(1 if i == 0 else 4, 4, 3, padding=1), nn.ReLU())]
    model = nn.Sequential(nn.Unflatten(1, (1, 4, 4)), *convolutions, nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.1))
    model.extend(layers(4, nn.ReLU))
    assert depths(model.append(nn.Linear(16, 4))) == [12.0] * 12


@pytest.mark.parametrize(("join", "inputs"), [(torch.add, 16), (lambda a, b: torch.cat([a, b], 1), 32)])
def test_parallel_branches_count_once(join: Callable[[Tensor, Tensor], Tensor], inputs: int):
    assert depths(Two(join, inputs)) == [12.0] * 22


def test_norms_begin_a_new_stack():
    model = nn.Sequential(*layers(9), nn.LayerNorm(16), *layers(12), nn.Linear(16, 4))
    # The layer in front of the norm has no function behind it that it alone makes.
    assert depths(model) == [9.0] * 9 + [12.0] * 12
    assert (
        depths(nn.Sequential(*(m for _ in range(20) for m in (nn.Linear(16, 16), nn.LayerNorm(16), nn.GELU())))) == []
    )


def test_residual_branches_count_for_themselves():
    def blocks(count: int, inside: int) -> nn.Sequential:
        return nn.Sequential(*(Residual(nn.Sequential(*layers(inside), nn.Linear(16, 16))) for _ in range(count)))

    assert depths(nn.Sequential(blocks(30, 2), nn.Linear(16, 4))) == []
    assert depths(nn.Sequential(blocks(3, 15), nn.Linear(16, 4))) == [15.0] * 45


def test_the_slopes_of_a_plain_stack_multiply_to_zeta():
    uses = Structure(measure(stack(20, nn.Tanh), X)).uses.values()
    assert math.prod(u.shape.slope for u in uses) == pytest.approx(ZETA, rel=1e-3)
    other = Structure(measure(stack(20, nn.Tanh), X), zeta=4.0).uses.values()
    assert math.prod(u.shape.slope for u in other) == pytest.approx(4.0, rel=1e-3)


def test_parametrised_functions_are_shaped():
    plan = penstock.plan(seeded(lambda: stack(12, nn.PReLU)), X)
    assert [plan[f"{2 * i}.weight"].rule for i in range(12)] == ["shaped"] * 12
    assert plan["1.weight"].recipe is None  # the PReLU's own slope keeps its value


def test_pairs_of_opposite_sign():
    model: Any = seeded(lambda: stack(12, nn.ReLU))
    plan = penstock.plan(model, X)
    places = [r.place for i in range(12) if isinstance(r := plan[f"{2 * i}.weight"].recipe, LooksLinear)]
    assert places == ["first"] + ["hidden"] * 11
    penstock.initialize(model, X)
    assert bend(model[:-2]) < 1e-4
    # Control: the same draws with exact gains, not in pairs.
    exact = penstock.initialize(model, X, recipe="he")
    assert exact.plan["2.weight"].recipe != plan["2.weight"].recipe
    assert bend(model[:-2]) > 0.1


def bend(model: nn.Module) -> float:
    """How far f is from a straight line, (f(x) + f(-x)) / 2 - f(0), as a share of how much it varies."""
    with torch.no_grad():
        middle = 0.5 * (model(X) + model(-X)) - model(torch.zeros_like(X))
        return float(middle.std() / (model(X) - model(X).mean(0)).std())


def test_odd_widths_are_not_paired():
    model = nn.Sequential(nn.Linear(16, 15), nn.ReLU(), *layers(11, nn.ReLU)[2:], nn.Linear(16, 4))
    model[2] = nn.Linear(15, 16)
    plan = penstock.plan(model, X)
    assert isinstance(plan["0.weight"].recipe, Orthogonal)
    assert isinstance(plan["4.weight"].recipe, LooksLinear)


def test_layers_without_a_bias():
    plan = penstock.plan(stack(12, nn.Sigmoid, bias=False), X)
    assert plan["2.weight"].calibration is not None
    assert plan["2.weight"].calibration.centre is None
    assert "with a bias" in plan["2.weight"].reason


def done(model: nn.Module, batch: Tensor = X) -> Initialization:
    """Initialized; nothing may be half done, whatever came in."""
    result = penstock.initialize(model, batch)
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
    return result


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        (X[:1], "the batch has 1 inputs"),
        (X[:1].expand(16, 16).contiguous(), "all inputs of the batch are the same"),
        (torch.zeros(16, 16), "all inputs of the batch are the same"),
    ],
    ids=["one input", "constant", "zero"],
)
def test_batches_that_tell_no_means(batch: Tensor, why: str):
    model: Any = stack(12, nn.Softplus)
    result = done(model, batch)
    assert any(why in note for note in result.plan.notes), result.plan.notes
    for i in range(12):
        assert not model[2 * i].bias.any()
    assert not any(why in note for note in done(stack(12, nn.Softplus)).plan.notes)


@pytest.mark.parametrize("function", [lambda x: x * 0 + 1, lambda x: torch.exp(torch.exp(1e3 * x.abs())), torch.sign])
def test_functions_without_a_good_place_are_named(function: Callable[[Tensor], Tensor]):
    class Act(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    plan = penstock.plan(stack(12, Act), X)
    assert {e.rule for e in plan.entries} <= {"contractions", "heads", "biases", "left over"}


def test_an_operation_that_nobody_knows_ends_a_stack():
    def forward(m: Any, x: Tensor) -> Tensor:
        for i in range(12):
            x = x @ getattr(m, f"w{i}")
            x = torch.tanh(torch.linalg.lu_factor(x[:16])[0]) if i == 5 else torch.tanh(x)
        return x

    weights = {f"w{i}": normal(16, 16, seed=i) for i in range(12)}
    plan = penstock.plan(Written(forward, **weights), X)
    assert any("lu_factor" in note for note in plan.notes)
    assert plan["w5"].rule == "contractions"


def test_layers_that_the_batch_never_reaches_are_left_and_named():
    def forward(m: Any, x: Tensor) -> Tensor:
        return F.relu(x @ m.a) @ m.b if x.shape[0] else x @ m.spare

    model: Any = Written(forward, a=normal(16, 16), b=normal(16, 4), spare=normal(16, 16))
    before = model.spare.clone()
    assert any("spare" in note for note in done(model).plan.notes)
    assert torch.equal(model.spare, before)


def test_convolutions_behind_functions_with_a_mean_show_no_border(monkeypatch: pytest.MonkeyPatch):
    def pictures(function: Callable[[], nn.Module]) -> nn.Sequential:
        layers = [m for i in range(10) for m in (nn.Conv2d(8 if i else 1, 8, 3, padding=1), function())]
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
        )

    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))

    def told_apart(model: nn.Sequential) -> float:
        """Share of the last convolution's variance within units that differs between inputs, not only places."""
        with torch.no_grad():
            made = model[:-4](x)
        within = made - made.mean((0, 2, 3), keepdim=True)
        return float(made.var(0, unbiased=False).mean() / within.square().mean())

    model = seeded(lambda: pictures(nn.Sigmoid))
    plan = penstock.initialize(model, x).plan
    assert [type(plan[f"{2 * i + 1}.weight"].recipe) for i in range(10)] == [Orthogonal] + [BalancedOrthogonal] * 9
    assert told_apart(model) > 0.9
    # Control: the same units on the same data with taps that are not balanced.
    with monkeypatch.context() as patched:
        # By its module: the package has the rule itself under this name.
        patched.setattr(import_module("penstock.planning.rules.shaped"), "_balances", lambda node: False)
        control = penstock.initialize(model, x).plan
    assert {type(control[f"{2 * i + 1}.weight"].recipe) for i in range(10)} == {Orthogonal}
    assert told_apart(model) < 0.3
    # tanh is used at mean 0, where padding is no different from any other zero.
    plan = penstock.plan(seeded(lambda: pictures(nn.Tanh)), x)
    assert type(plan["3.weight"].recipe) is Orthogonal
