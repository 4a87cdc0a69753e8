"""The parts that need no framework: grids, scores, what few seeds can tell, data, grouping."""

from __future__ import annotations

import math

import numpy as np
import pytest

from penstock import ArgumentError
from penstock.racing.arm import Arm, Trained
from penstock.racing.data import ceiling_of
from penstock.racing.engine import tasks_of, together
from penstock.racing.grid import GRIDS, Rung, edges, halving, wider
from penstock.racing.judge import judge
from penstock.racing.named_data import SETS, array_data, named_data
from penstock.racing.propagation import UNIT, Law, function_law
from penstock.racing.result import Settings
from penstock.racing.scores import area, own_target, smoothed, steps_to
from penstock.racing.uncertainty import holm, mean_interval, median_interval, paired_interval, paired_p, rank_range


def trained(losses, *, outcome="finished", start="a", seed=0, rate=0.1):
    return Trained(Arm(start, seed, "adam", rate), outcome, tuple(losses), rate=rate)


def test_a_grid_grows_by_its_own_step():
    grid = GRIDS["adam"]
    assert wider(grid, "high") == 3e-2
    assert wider(grid, "low") == 3e-5
    assert wider((3e-5, *grid), "low") == 1e-5
    assert wider((1e-3, 1e-2), "high") == 1e-1


def test_only_a_start_that_learned_makes_the_grid_grow():
    rates = (0.1, 1.0, 10.0)
    table = {("a", 0.1): 1.0, ("a", 1.0): 0.5, ("a", 10.0): 0.9}
    assert edges(table, rates, ceiling=2.0) == set()
    assert edges(table | {("a", 10.0): 0.4}, rates, ceiling=2.0) == {"high"}
    assert edges(table | {("b", r): v for r, v in zip(rates, (1.99, 2, 2), strict=True)}, rates, ceiling=2.0) == set()
    assert edges(table | {("b", r): v for r, v in zip(rates, (1.9, 2, 2), strict=True)}, rates, ceiling=2.0) == {"low"}


@pytest.mark.parametrize("budget", [0.3, 0.5, 0.8, 1.0])
def test_a_halving_fits_its_budget(budget):
    made = halving(rates=8, seeds=4, steps=100, budget=budget)
    assert made.share <= budget
    spent, alive, last = 0, 8, 0
    for rung in (*made.rungs, Rung(100, 0)):
        spent += alive * (rung.step - last)
        alive, last = rung.keep, rung.step
    assert (spent + 3 * made.keep * 100) / (8 * 4 * 100) == pytest.approx(made.share)


def test_the_area_of_an_arm_that_broke_off_counts_the_rest_as_lost():
    assert area(trained([1.0, 1.0]), 4, 2.0) == 1.5
    assert area(trained([9.0, 1.0, 1.0, 1.0]), 4, 2.0) == 1.25
    assert area(trained([], outcome="diverged"), 4, 2.0) == 2.0


def test_steps_to_a_target_read_the_smoothed_loss():
    losses = [4.0, 0.0, 4.0, 4.0, 1.0, 1.0, 1.0]
    assert smoothed(losses, 3)[:3] == pytest.approx([4.0, 2.0, 8 / 3])
    assert steps_to(losses, 1.0, 3) == 7
    assert steps_to(losses, 1.0, 1) == 2  # control: one batch's luck
    assert steps_to(losses, 0.5, 3) == math.inf


def test_a_target_of_its_own_is_out_of_nobodys_reach():
    assert own_target(2.0, 1.99) is None
    assert own_target(2.0, math.inf) is None
    assert own_target(1.0, -3.0) == -1.0


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    """1000 samples of five: 95 % intervals must hold 0 in 95 % of them, within 5 standard errors of 0.69 points; the
    plain percentile interval holds it in about 83 % and is the control."""
    random = np.random.default_rng(0)
    samples = random.normal(size=(1000, 5))
    held = np.mean([low <= 0 <= high for _, low, high in map(mean_interval, samples)])
    se = math.sqrt(0.95 * 0.05 / 1000)
    assert abs(held - 0.95) < 5 * se
    resampled = samples[:, random.integers(5, size=(500, 5))].mean(axis=2)
    ends = np.quantile(resampled, (0.025, 0.975), axis=1)
    plain = np.mean((ends[0] <= 0) & (ends[1] >= 0))
    assert abs(plain - 0.95) > 5 * se


def test_paired_p_is_scipys():
    from scipy.stats import ttest_rel

    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 6))
    assert paired_p(a, b) == pytest.approx(ttest_rel(a, b).pvalue)
    low, high = ttest_rel(b, a).confidence_interval()
    assert paired_interval(a, b)[1:] == pytest.approx((low, high))
    assert paired_p([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert paired_p([1.0, 2.0], [0.9, 1.9]) == 0.0
    assert math.isnan(paired_p([1.0], [2.0]))


def test_equal_starts_are_called_different_as_rarely_as_promised():
    """Under no difference p < 0.05 in 5 % of races: 2000 of them, 5 standard errors of 0.49 points."""
    random = np.random.default_rng(2)
    hits = np.mean([paired_p(*random.normal(size=(2, 5))) < 0.05 for _ in range(2000)])
    assert abs(hits - 0.05) < 5 * math.sqrt(0.05 * 0.95 / 2000)


def test_holm_and_ranks():
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    beaten = [("a", "c"), ("b", "c")]
    assert [rank_range(s, beaten, 3) for s in "abc"] == [(1, 2), (1, 2), (3, 3)]


def test_medians_may_be_infinite():
    assert median_interval([10.0, math.inf, 12.0]).value == 12.0
    assert median_interval([10.0, math.inf, math.inf]).value == math.inf


SETTINGS = Settings(
    model="m", parameters=1, data="d", kind="classes", starts=("a", "b"), optimizer="adam", rates=(0.1, 1.0),
    first_rates=(0.1, 1.0), seeds=(0, 1, 2), steps=2, batch=None, warmup=0, budget=None, ceiling=2.0, target=None,
    own_target=True, held_out=False,
)  # fmt: skip


def arms(**losses):
    return [trained([2.0, v + s / 100], start=n, seed=s, rate=0.1) for n, v in losses.items() for s in range(3)]


def test_a_clear_difference_is_one_and_a_small_one_is_not():
    clear = judge(SETTINGS, arms(a=1.5, b=0.5))
    assert clear.verdict == "b converges faster than a."
    assert [(s.start, s.rank, s.rank_low, s.rank_high) for s in clear.standings] == [("b", 1, 1, 1), ("a", 2, 2, 2)]
    noisy = [trained([2.0, 1.0 + x], start=n, seed=s) for n, xs in (("a", (0, 0.5, 0.1)), ("b", (0.4, 0, 0.3)))
             for s, x in enumerate(xs)]  # fmt: skip
    even = judge(SETTINGS, noisy)
    assert even.verdict == "No significant difference between a and b."
    assert [(s.rank_low, s.rank_high) for s in even.standings] == [(1, 2), (1, 2)]


def test_starts_are_compared_on_the_seeds_that_all_ran():
    lost = [t for t in arms(a=1.5, b=0.5) if t.arm != Arm("a", 2, "adam", 0.1)]
    result = judge(SETTINGS, [*lost, Trained(Arm("a", 2, "adam", 0.1), "killed")])
    assert {s.seeds for s in result.standings} == {2}


def test_nothing_that_ran_is_told():
    result = judge(SETTINGS, [Trained(Arm(n, 0, "adam", 0.1), "failed", message="no") for n in "ab"])
    assert "No arm ran to its end" in str(result)
    assert "1 arm of a failed: no" in str(result)


def test_arms_are_grouped_by_seed_and_never_too_many():
    every = [Arm(start, seed, "adam", rate) for seed in (0, 1) for start in "abc" for rate in (1.0, 2.0)]
    tasks = tasks_of(every, 4)
    assert [arm for task in tasks for arm in task.arms] == every
    assert all(len({a.seed for a in task.arms}) == 1 and len(task.arms) <= 4 for task in tasks)
    assert all(len(task.starts) == 1 for task in tasks_of(every, 1, (Rung(1, 1),)))
    assert together(2**30) == 1


@pytest.mark.parametrize("name", [name for name in SETS if name != "olivetti"])
def test_named_data_is_standardised_and_held_out_once(name):
    data = named_data(name)
    assert len(data.test_targets) == round(0.2 * (len(data.targets) + len(data.test_targets)))
    assert abs(float(np.mean(data.inputs))) < 0.1
    assert data.fingerprint() == named_data(name).fingerprint()
    assert data.fingerprint() != named_data(name, batch_size=3).fingerprint()


def test_an_epoch_has_every_row_once_and_each_seed_its_own_order():
    data = array_data("rows", np.arange(40.0)[:, None], np.arange(40) % 2, batch_size=8)
    rows = len(data.targets)
    seen = np.concatenate([x[:, 0] for x, _ in data.batches(0, rows // 8)])
    assert sorted(seen) == sorted(data.inputs[:, 0])
    other = np.concatenate([x[:, 0] for x, _ in data.batches(1, rows // 8)])
    assert list(seen) != list(other)
    assert not set(data.test_inputs[:, 0]) & set(seen)


def test_the_ceiling_is_the_loss_of_knowing_nothing():
    assert ceiling_of(np.array([0, 0, 1, 1]), "classes") == pytest.approx(math.log(2))
    assert ceiling_of(np.array([[1.0], [3.0]]), "values") == 1.0
    assert ceiling_of(np.array([0]), "custom") is None


def test_moments_of_functions_are_those_of_quadrature():
    from penstock.gains import gain

    law = function_law(np.tanh, UNIT)
    assert law.second == pytest.approx(float(gain("tanh")) ** -2, rel=1e-5)
    assert function_law(lambda x: 2 * x + 1, Law(1.0, 4.0)) == pytest.approx((3.0, 16.0), rel=1e-5)


def test_olivetti_is_only_read_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(ArgumentError, match="data='olivetti' must be on this machine already"):
        named_data("olivetti")
