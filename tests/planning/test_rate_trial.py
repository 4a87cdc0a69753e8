from __future__ import annotations

import math

import pytest

from penstock.planning.rate_trial import LOWER, MARGIN, STEPS, TRIES, settled


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


def test_a_calm_rate_stays():
    rate, steps = settled(0.01, parabola(1.0))
    assert (rate, steps) == (0.01, STEPS)


@pytest.mark.parametrize("curvature", [10.0, 100.0])
def test_a_wild_rate_is_lowered_until_its_margin_is_stable(curvature: float):
    rate, steps = settled(8.0 / curvature, parabola(curvature))
    assert rate is not None
    assert MARGIN * rate < 3.8 / curvature
    # The control: the rate before it was not stable at its margin.
    assert MARGIN * rate * LOWER > 0.5 * 3.8 / curvature
    assert steps > STEPS


def test_a_loss_that_is_none_or_only_rises_has_no_rate():
    assert settled(1.0, lambda: lambda rate: math.nan) == (None, TRIES)
    assert settled(1.0, parabola(-1.0))[0] is None
