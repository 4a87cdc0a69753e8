"""The rule that reads a learning rate off a ramp, and the numbers as data. No framework here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from penstock.errors import ArgumentError
from penstock.planning.learning_rate import (
    EARLY,
    HOW,
    STEPS,
    LearningRate,
    Ramp,
    Step,
    climb,
    known_optimizer,
    rate_from_ramp,
    wanted_optimizers,
)
from penstock.planning.plan import Plan

MOMENTUM = 0.9


def bowl(curvatures: tuple[float, ...], scale: float = 1.0, *, momentum: float = 0.0) -> Callable[[], Step]:
    """SGD on scale * sum(c x^2) / 2 from x = 1: stable below 2 (1 + m) / (scale * largest c)."""

    def begin() -> Step:
        x = [1.0] * len(curvatures)
        velocity = [0.0] * len(curvatures)

        def step(rate: float) -> float:
            loss = scale * sum(0.5 * c * value**2 for c, value in zip(curvatures, x, strict=True))
            for i, c in enumerate(curvatures):
                velocity[i] = momentum * velocity[i] + scale * c * x[i]
                x[i] -= rate * velocity[i]
            return loss

        return step

    return begin


def loss_after(begin: Callable[[], Step], rate: float, steps: int = 300) -> float:
    step = begin()
    losses = [step(rate) for _ in range(steps)]
    return losses[-1] / losses[0]


CURVATURES = (1.0, 4.0, 30.0, 100.0)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e7])
def test_the_rate_of_a_bowl_is_stable_and_trains(scale: float):
    """Also where the loss is a sum over many, and the ramp must begin again lower."""
    begin = bowl(CURVATURES, scale, momentum=MOMENTUM)
    rate = rate_from_ramp("sgd", climb("sgd", bowl(CURVATURES, scale)))
    limit = 2.0 * (1.0 + MOMENTUM) / (scale * max(CURVATURES))
    assert rate is not None
    assert limit / 100.0 < rate < limit
    assert loss_after(begin, rate) < 0.01


def test_control_a_rate_above_the_limit_diverges():
    limit = 2.0 * (1.0 + MOMENTUM) / max(CURVATURES)
    assert not loss_after(bowl(CURVATURES, momentum=MOMENTUM), 1.1 * limit) < 1.0


def test_a_ramp_that_began_too_high_counts_all_its_passes():
    ordinary, huge = (climb("sgd", bowl(CURVATURES, scale)) for scale in (1.0, 1e7))
    assert ordinary.passes == len(ordinary.losses) > EARLY
    assert huge.passes > len(huge.losses) > EARLY


FALL = [2.0 - 0.1 * i for i in range(10)]


@pytest.mark.parametrize(
    ("losses", "length"),
    [
        ([2.0] * 200, STEPS),  # nothing happens at any rate
        ([*FALL, 1e-4, 1e-5], 11),  # learned by heart
        ([*FALL, math.nan, 1.0], 11),
        ([*FALL, math.inf, 1.0], 11),
        ([*FALL, 2.1, 1.0, 2.3, 1.0], 13),  # a hump, then the turn
        ([loss - 5.0 for loss in FALL] + [-2.9, 0.0], 12),  # a log-density
    ],
)
def test_a_ramp_ends_when_the_loss_has_turned_or_is_used_up(losses: list[float], length: int):
    given = iter(losses)
    ramp = climb("adam", lambda: lambda rate: next(given))
    assert len(ramp.losses) == len(ramp.rates) == ramp.passes == length
    assert all(a < b for a, b in zip(ramp.rates, ramp.rates[1:], strict=False))


@pytest.mark.parametrize(
    "losses", [(2.0, 3.0), (2.0, 2.0, 2.0), (math.nan,), (2.0, math.nan), (2.0, 1.999, 1.998), (0.0, 0.0)]
)
def test_no_rate_where_the_loss_never_fell(losses: tuple[float, ...]):
    ramp = Ramp(tuple(0.1 * 2**i for i in range(len(losses))), losses, len(losses))
    assert rate_from_ramp("sgd", ramp) is None
    fell = replace(ramp, losses=(5.0, 1.0), rates=(0.1, 0.2))  # control
    assert rate_from_ramp("sgd", fell) is not None


def test_rates_are_asked_for_by_the_optimizer_s_name():
    rates = LearningRate(sgd=0.1, adam=1e-3, notes=(), passes=50)
    assert (rates.of("sgd"), rates.of("adam"), rates.of("AdamW")) == (0.1, 1e-3, 1e-3)
    assert rates.measured
    assert not LearningRate().measured


def test_a_rate_that_was_not_measured_says_how():
    with pytest.raises(ArgumentError, match=r"(?s)a rate for 'adam' must have been measured.*learning_rate='adam'"):
        LearningRate().of("adamw")
    assert LearningRate().describe() == HOW


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ArgumentError, match=r"(?s)optimizer must be one of 'sgd', 'adam'.*got 'admw'.*adamw"):
        known_optimizer("admw", "Plan.param_groups")
    with pytest.raises(ArgumentError, match=r"optimizer must be one of.*got 3"):
        known_optimizer(3, "Plan.param_groups")


def test_what_initialize_takes():
    assert wanted_optimizers(False, loss=None) == ()
    assert wanted_optimizers(True, loss=abs) == ("sgd", "adam")
    assert wanted_optimizers("adamw", loss=abs) == ("adam",)
    with pytest.raises(ArgumentError, match=r"learning_rate must be True, False or an optimizer's name; got 0\.1"):
        wanted_optimizers(0.1, loss=abs)  # pyright: ignore[reportArgumentType]  what a user may try
    with pytest.raises(ArgumentError, match="learning_rate needs the loss that will be trained"):
        wanted_optimizers(True, loss=None)


def test_a_sentence_on_what_was_found():
    found = LearningRate(sgd=0.1, adam=0.001, notes=(), passes=50).describe()
    assert found == "0.1 for SGD with momentum 0.9, 0.001 for Adam and AdamW (found in 50 passes over the batch)"
    half = LearningRate(adam=0.001, notes=("no rate for sgd: it fell at none",), passes=50).describe()
    assert half.endswith("; no rate for sgd: it fell at none")


def test_json_and_back():
    rates = LearningRate(sgd=None, adam=0.001, notes=("no rate for sgd",), passes=50)
    plan = Plan("Net", (), ("a note",), rates)
    assert Plan.from_json(plan.to_json()) == plan
    assert LearningRate.from_dict(rates.to_dict()) == rates


def test_a_plan_that_was_written_without_rates_is_read():
    data = Plan("Net", ()).to_dict()
    del data["learning_rate"]
    assert Plan.from_dict(data).learning_rate == LearningRate()
