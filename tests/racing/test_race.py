"""Whole races: what an arm is, that the numbers are the same for everybody, and what each kind of data does."""

from __future__ import annotations

import copy
import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from racing import nets
from racing.nets import WINE
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import penstock
from penstock.racing.curves import race_data
from penstock.racing.named_data import named_data
from penstock.torch.racing.seeds import seeded


def race(starts=("default", "he"), factory=nets.small, data="wine", **others):
    return penstock.race(factory, starts, data, **(WINE | others))


def plain(result):
    return result.to_dict(times=False)


def words(result):
    """The text without its line ends."""
    return " ".join(str(result).split())


@pytest.fixture(scope="module")
def result():
    return race()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_an_arm_is_what_a_plain_loop_trains(optimizer):
    """The oracle: the usual loop with PyTorch's own optimizer, on the same batches from the same weights."""
    make = {
        "adam": lambda p: torch.optim.Adam(p, 1e-2),
        "adamw": lambda p: torch.optim.AdamW(p, 1e-2),
        "sgd": lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9),
    }[optimizer]
    raced = race(optimizer=optimizer)
    with seeded(1, "factory"):
        model = nets.small()
    stepper = make(model.parameters())
    losses = []
    for inputs, targets in named_data("wine").batches(1, WINE["steps"]):
        loss = nn.functional.cross_entropy(model(torch.from_numpy(inputs)), torch.from_numpy(targets))
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        losses.append(loss.item())
    np.testing.assert_allclose(raced.arm("default", 1, 1e-2).losses, losses, rtol=1e-4)
    with pytest.raises(AssertionError):  # control: another seed is another run
        np.testing.assert_allclose(raced.arm("default", 0, 1e-2).losses, losses, rtol=1e-4)


def test_arms_of_one_seed_share_weights_and_batches(result):
    for seed in (0, 1):
        assert len({t.losses[0] for t in result.arms if t.arm.seed == seed and t.arm.start == "default"}) == 1
    assert result.arm("default", 0, 1e-2).losses[0] != result.arm("default", 1, 1e-2).losses[0]


def test_arms_do_not_depend_on_who_else_races():
    """Alone or in a group, an arm's numbers are the same up to the rounding of mapped products."""
    alone, among = race(["he"], learning_rates=1e-2, seeds=1), race(["default", "he", "lsuv"])
    np.testing.assert_allclose(alone.arm("he", 0, 1e-2).losses, among.arm("he", 0, 1e-2).losses, rtol=1e-5)


def test_the_same_bits_from_threads(result):
    with ThreadPoolExecutor(3) as pool:
        assert plain(race(executor=pool)) == plain(result)


def test_another_seed_gives_other_numbers(result):
    """Control of the tests of equal bits."""
    assert plain(race(seeds=[5, 6])) != plain(result)


def test_nothing_global_changes():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    race(["default", "penstock"], factory=nets.WithNoiseAndBuffers, seeds=1)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.get_num_threads() == before[2]


def test_noise_and_buffers_are_the_same_for_every_start():
    """Two names for one start give one curve: they meet the same dropout and the same batches."""
    raced = race({"one": "he", "two": "he"}, factory=nets.WithNoiseAndBuffers)
    assert raced.arm("one", 0, 1e-2).losses == raced.arm("two", 0, 1e-2).losses
    assert raced.arm("one", 0, 1e-2).outcome == "finished"


def test_a_model_that_cannot_be_mapped_is_trained_arm_by_arm():
    raced = race(factory=nets.Unmappable)
    assert {t.outcome for t in raced.arms} == {"finished"}
    assert raced.arm("he", 0, 1e-2).losses[-1] < raced.arm("he", 0, 1e-2).losses[0]


def test_it_learns_and_says_so():
    raced = race(["default", "he"], steps=60, learning_rates=[3e-2, 1e-1])
    assert raced["he"].score.value > 0.85
    assert raced["he"].reached == 2
    assert raced.settings.target == pytest.approx(0.109, abs=0.002)  # a tenth of the entropy of wine's classes


PEERS = ["default", "penstock", "he", "xavier", "orthogonal", "lsuv", "krahenbuhl", "mean_variance", "lecun_normal"]


def test_every_start_by_name_runs():
    raced = race(PEERS, seeds=1, learning_rates=1e-2)
    assert {(t.arm.start, t.outcome) for t in raced.arms} == {(name, "finished") for name in PEERS}
    assert len({t.losses[0] for t in raced.arms}) == len(PEERS)


def test_recipes_plans_and_functions_are_starts():
    inputs, _ = named_data("wine").first(0)
    plan = penstock.plan(nets.small(), torch.from_numpy(inputs))
    from penstock.recipes import Normal

    raced = race({"recipe": Normal(0.1), "plan": plan, "function": nets.huge}, seeds=1)
    assert raced.arm("recipe", 0, 1e-2).outcome == "finished"
    assert raced.arm("plan", 0, 1e-2).outcome == "finished"
    assert raced.arm("function", 0, 1e-2).outcome == "diverged"


def test_a_plan_by_name_is_a_start():
    raced = race(["lecun_normal", "gpt2", "keras"], seeds=1, learning_rates=1e-2)
    assert {t.outcome for t in raced.arms} == {"finished"}


def test_a_start_may_suggest_its_own_rate():
    """Below the doors, where the proving ground calls: an arm without a rate takes the start's own."""
    from penstock.frameworks import adapter_named
    from penstock.racing.arm import Arm, Task
    from penstock.racing.setup import make_course

    course = make_course(nets.small, ["penstock", "he"], "wine", steps=30)
    arms = tuple(Arm(start, 0, optimizer, None) for start in ("penstock", "he") for optimizer in ("adam", "sgd"))
    trained, _ = adapter_named("torch").train_arms(course, Task(arms))
    for t in trained[:2]:
        assert t.outcome == "finished"
        assert t.rate > 0.0
        assert t.losses[-1] < 0.7 * t.losses[0]
    assert {t.message for t in trained[2:]} == {
        "this start suggests no learning rate for adam",
        "this start suggests no learning rate for sgd",
    }


ROWS = np.random.default_rng(0).normal(size=(60, 13)).astype(np.float32)
LABELS = np.arange(60) % 3


class Endless(IterableDataset):
    def __iter__(self):
        return iter((torch.from_numpy(ROWS[i % 60]), int(LABELS[i % 60])) for i in range(10_000))


@pytest.mark.parametrize(
    "data",
    [
        "breast_cancer",
        (ROWS, LABELS),
        (torch.from_numpy(ROWS), torch.from_numpy(LABELS)),
        (ROWS[:40], LABELS[:40], ROWS[40:], LABELS[40:]),
        TensorDataset(torch.from_numpy(ROWS), torch.from_numpy(LABELS)),
        DataLoader(TensorDataset(torch.from_numpy(ROWS), torch.from_numpy(LABELS)), batch_size=16),
        DataLoader(Endless(), batch_size=16),
        Endless(),
        [*zip(torch.from_numpy(ROWS), LABELS, strict=True)],
    ],
    ids=["name", "arrays", "tensors", "with test rows", "data set", "loader", "iterable loader", "iterable", "list"],
)
def test_data(data):
    if isinstance(data, list):
        data = DataLoader(data, batch_size=8)
    width = 30 if data == "breast_cancer" else 13

    def factory():
        return nn.Sequential(nn.Linear(width, 3))

    raced = race(["default"], factory, data, seeds=1)
    arm = raced.arm("default", 0, 1e-2)
    assert arm.outcome == "finished"
    assert len(arm.losses) == WINE["steps"]
    assert 0.0 <= arm.evaluations[-1].score <= 1.0


def test_values_and_functions_of_batches():
    for data, factory in (("diabetes", lambda: nn.Linear(10, 1)), (nets.sine, nets.line)):
        raced = race(["default"], factory, data, seeds=1, steps=40, learning_rates=1e-2)
        assert raced.settings.kind == "values"
        assert raced["default"].score.value <= 1.0
        assert raced.arms[0].losses[-1] < raced.arms[0].losses[0]


def test_a_loss_of_ones_own():
    raced = race(loss=nets.own_loss, seeds=1)
    assert raced.settings.kind == "custom"
    assert raced["he"].score is None
    first = race(seeds=1).arm("he", 0, 1e-2).losses[0]
    assert raced.arm("he", 0, 1e-2).losses[0] == pytest.approx(first + 1.0, rel=1e-5)


def test_the_grid_grows_for_every_start():
    raced = race(["default", "he"], learning_rates="sweep", steps=20, seeds=1)
    assert raced.settings.first_rates == (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
    assert raced.settings.rates[-1] > 1e-2  # so small a net wants larger rates
    for start in ("default", "he"):
        assert {t.arm.rate for t in raced.arms if t.arm.start == start} == set(raced.settings.rates)


def test_a_budget_ends_hopeless_rates_and_says_so():
    raced = race(["default", "he"], learning_rates=[1e-4, 1e-3, 1e-2, 1e-1], steps=40, seeds=3, budget=0.5)
    made = sum(len(t.losses) for t in raced.arms)
    assert made <= 0.5 * 2 * 4 * 3 * 40
    per_start = [sum(len(t.losses) for t in raced.arms if t.arm.start == s) for s in ("default", "he")]
    assert per_start[0] == per_start[1]
    assert any(t.outcome == "stopped" for t in raced.arms)
    assert "successive halving" in words(raced)


def test_warm_up_raises_the_rate():
    """With 1000 steps of warm-up the first steps are nearly none."""
    slow, fast = race(warmup=1000, steps=12, seeds=1), race(seeds=1)
    assert slow.arm("he", 0, 1e-2).losses[-1] > fast.arm("he", 0, 1e-2).losses[-1]


def test_json_goes_there_and_back(result):
    back = penstock.RaceResult.from_json(result.to_json())
    assert back.to_dict() == result.to_dict()
    assert str(back) == str(result)
    assert json.loads(result.to_json(times=False)).get("times") is None
    with pytest.raises(penstock.ArgumentError, match="from_json: text must be JSON"):
        penstock.RaceResult.from_json("no")
    with pytest.raises(penstock.ArgumentError, match="from_dict: data must be a race of version 1"):
        penstock.RaceResult.from_dict({"version": 99})


def test_the_text_fits_80_columns():
    raced = race({"a name that is far too long for a table": "default", "he": "he", "huge": nets.huge}, seeds=3)
    assert max(map(len, str(raced).splitlines())) <= 80
    assert "6 arms diverged: 6 of huge" in words(raced)


def test_the_pictures_have_every_start(result):
    pytest.importorskip("matplotlib")
    data = race_data(result)
    assert set(data["curves"]) == {"default", "he"}
    assert data["sensitivity"]["he"]["rates"] == [1e-3, 1e-2]
    assert len(data["steps_to_target"]["he"]["steps"]) == 2
    json.dumps(data, allow_nan=False)
    figure = result.figure()
    assert [axes.get_xlabel() for axes in figure.axes] == ["step", "learning rate of adam", "steps"]
    assert {line.get_label() for line in figure.axes[0].get_lines()} >= {"default (0.01)", "he (0.01)"}


def test_a_target_that_is_never_reached_is_told():
    raced = race(target=1e-9)
    assert raced["he"].reached == 0
    assert math.isinf(raced["he"].steps_to_target.value)
    assert "no start gets to the target of 1e-09 within 12 steps" in words(raced)


def test_one_seed_is_no_evidence():
    raced = race(seeds=1, steps=30)
    assert "one seed cannot tell" in raced.verdict
    assert not any(c.significant for c in raced.comparisons)


def test_a_start_that_raises_is_marked_and_the_others_go_on():
    raced = race({"default": "default", "raises": nets.raises})
    assert {t.outcome for t in raced.arms if t.arm.start == "raises"} == {"failed"}
    assert {t.outcome for t in raced.arms if t.arm.start == "default"} == {"finished"}
    assert "4 arms of raises failed: RuntimeError: this start does not fit" in words(raced)


def test_an_executor_that_dies_keeps_what_was_done(monkeypatch):
    from penstock.racing import engine

    monkeypatch.setattr(engine, "TOGETHER", 2)
    raced = race(executor=nets.Dying())
    outcomes = [t.outcome for t in raced.arms]
    assert outcomes.count("finished") == 2
    assert outcomes.count("lost") == 6
    assert "took no more work" in str(raced)


MODEL = nets.small()

BAD = [
    ({"factory": nets.the_same}, "factory must make a new model at each call; it returned the same object twice"),
    ({"factory": MODEL}, "factory must be a function without arguments that makes a new model; got a Sequential"),
    ({"factory": lambda: 1 / 0}, "factory must be a function .* it raised ZeroDivisionError"),
    ({"data": (ROWS[:, :5], LABELS)}, "data must fit the model that factory makes; the first step raised"),
    ({"data": (ROWS, LABELS + 7)}, "data must fit the model that factory makes; the first step raised"),
    ({"data": (ROWS, LABELS[:5])}, "data must have one target a row; got 60 rows"),
    ({"data": 7}, "data must be a name, arrays"),
    ({"data": "digitz"}, "data must be arrays, a data set or a known name; got 'digitz'. Did you mean 'digits'"),
    ({"data": lambda random: 1}, "data must give pairs"),
    ({"starts": ["hee"]}, "starts must be known names; got 'hee'"),
    ({"starts": []}, "starts must have one name each; there is none"),
    ({"starts": ["he", "he"]}, "starts must have one name each; 'he' is there twice"),
    ({"starts": [7]}, "starts must be names, recipes, plans or functions"),
    ({"starts": ["constant"]}, "the recipe 'constant' needs arguments"),
    ({"steps": 0}, "steps must be a whole number, at least 1; got 0"),
    ({"optimizer": "adamm"}, "optimizer must be a known one; got 'adamm'. Did you mean 'adam'"),
    ({"learning_rates": "swep"}, 'learning_rates must be "sweep", a number or several'),
    ({"learning_rates": [1e-3, -1.0]}, "learning_rates must be .* positive"),
    ({"seeds": 0}, "seeds must be a number of seeds"),
    ({"seeds": [1, 1]}, "seeds must be a number of seeds, or different seeds"),
    ({"loss": 3}, "loss must be a function"),
    ({"executor": 3}, "executor must have the submit"),
    ({"budget": 2.0}, "budget must be a share"),
    ({"budget": 0.01}, "budget must be at least"),
    ({"workers": 0}, "workers must be a whole number, at least 1"),
    ({"batch_size": 0}, "batch_size must be a count of rows"),
]


@pytest.mark.parametrize(("wrong", "text"), BAD, ids=[f"{next(iter(w))} {i}" for i, (w, _) in enumerate(BAD)])
def test_bad_arguments_are_named(wrong, text):
    with pytest.raises(penstock.ArgumentError, match=text):
        race(**wrong)


def test_a_model_in_a_factory_of_copies_is_fine():
    raced = race(["default", "he"], factory=lambda: copy.deepcopy(MODEL), seeds=1)
    assert raced.arm("default", 0, 1e-2).outcome == "finished"
