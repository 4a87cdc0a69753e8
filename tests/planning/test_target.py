"""The numbers of kernel shaping that a user may give: how far the network may bend, and which stacks it concerns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch import Tensor, nn
from torch_models import normal, seeded

import penstock
from penstock.errors import ArgumentError
from penstock.meanfield.shaping import shape_at
from penstock.planning import Shaped
from penstock.planning.plan import Plan
from penstock.recipes import Orthogonal

X = normal(32, 16)
DEPTH = 20


def stack() -> nn.Sequential:
    layers = [m for _ in range(DEPTH) for m in (nn.Linear(16, 16), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(16, 4))


def plan_of(shaped: Shaped | str, batch: Tensor = X) -> Plan:
    return penstock.plan(seeded(stack), batch, recipe=shaped)


def slope_of_network(plan: Plan) -> float:
    """Product of the slopes E[phi^'^2] at which the layers use a tanh, by the exact quadrature."""
    found = 1.0
    for index in range(DEPTH):
        calibration = plan[f"{2 * index}.weight"].calibration
        assert calibration is not None
        there = shape_at(np.tanh, calibration.target, calibration.centre or 0.0)
        assert there is not None
        found *= there.slope
    return found


@pytest.mark.parametrize("slope", [1.1, 1.2, 4.0])
def test_the_network_bends_as_much_as_was_asked_for(slope: float):
    assert slope_of_network(plan_of(Shaped(slope=slope))) == pytest.approx(slope, rel=1e-3)
    # Control: not the default.
    assert slope_of_network(plan_of("auto")) == pytest.approx(1.5, rel=1e-3)


def test_the_default_is_the_auto_plan():
    assert plan_of(Shaped()) == plan_of("auto")


def test_which_stacks_are_shaped():
    assert plan_of(Shaped(depth=20))["0.weight"].rule == "shaped"
    for depth in (21, math.inf):
        entry = plan_of(Shaped(depth=depth))["0.weight"]
        assert entry.rule == "contractions"
        assert isinstance(entry.recipe, Orthogonal)


def test_initialize_takes_it():
    model = seeded(stack)
    done = penstock.initialize(model, X, recipe=Shaped(slope=4.0))
    usual = penstock.initialize(seeded(stack), X)
    assert done.plan["2.weight"].calibration.target > 1.4 * usual.plan["2.weight"].calibration.target  # type: ignore[union-attr]
    assert isinstance(model, nn.Sequential)
    units = model[:3](X).detach()
    assert (units - units.mean(0)).pow(2).mean().sqrt().item() == pytest.approx(
        done.plan["2.weight"].calibration.target,  # type: ignore[union-attr]
        rel=1e-2,
    )


@pytest.mark.parametrize("slope", [1.0, 0.5, math.inf, math.nan, "2", True])
def test_a_slope_that_is_none(slope: float):
    with pytest.raises(ArgumentError, match="Shaped: slope must be a finite number above 1; got"):
        Shaped(slope=slope)


@pytest.mark.parametrize("depth", [0, -1.0, math.nan, None])
def test_a_depth_that_is_none(depth: float):
    with pytest.raises(ArgumentError, match="Shaped: depth must be a positive number of functions; got"):
        Shaped(depth=depth)
