from __future__ import annotations

import math

import pytest

from penstock.planning.rate_trial import FACTOR, LOWERED, MARGIN, RAISED, STEPS, settled


def parabola(curvature: float, momentum: float = 0.9):
    """Begins heavy-ball descent on curvature x^2 / 2 from x = 1: stable below 2 (1 + momentum) / curvature."""

    def begin():
        state = {"x": 1.0, "v": 0.0}

        def step(rate: float) -> float:
            loss = curvature * state["x"] ** 2 / 2
            state["v"] = momentum * state["v"] + curvature * state["x"]
            state["x"] -= rate * state["v"]
            return loss

        return step

    return begin


def after(curvature: float, rate: float) -> float:
    """The loss that a trial ends with."""
    step = parabola(curvature)()
    return [step(MARGIN * rate) for _ in range(STEPS)][-1]


@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_a_timid_rate_is_raised_as_long_as_that_trains_faster(curvature: float):
    rate, steps = settled(0.001 / curvature, parabola(curvature))
    assert rate is not None
    raised = round(math.log(rate * curvature / 0.001) / math.log(FACTOR))
    assert 0 < raised <= RAISED
    assert steps == STEPS * (1 + min(raised + 1, RAISED))
    # The control: the rate that it began with ends higher.
    assert after(curvature, rate) < after(curvature, 0.001 / curvature)


def test_a_rate_that_no_higher_one_beats_stays():
    rate, _ = settled(0.001, parabola(1.0))
    best = rate
    while after(1.0, best * FACTOR) < after(1.0, best):
        best *= FACTOR
    assert settled(best, parabola(1.0)) == (best, 2 * STEPS)


@pytest.mark.parametrize("curvature", [10.0, 100.0])
def test_a_wild_rate_is_lowered_until_its_margin_is_stable(curvature: float):
    rate, steps = settled(8.0 / curvature, parabola(curvature))
    assert rate is not None
    assert MARGIN * rate < 3.8 / curvature
    # The control: the rate before it was not stable at its margin.
    assert MARGIN * rate * FACTOR > 0.5 * 3.8 / curvature
    assert steps > STEPS


def test_a_loss_that_is_none_or_only_rises_has_no_rate():
    assert settled(1.0, lambda: lambda rate: math.nan) == (None, 1 + LOWERED)
    assert settled(1.0, parabola(-1.0))[0] is None
