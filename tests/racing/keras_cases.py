"""Races of Keras models on the backend that KERAS_BACKEND names; prints what failed as JSON."""

from __future__ import annotations

import copy
import json
import random
import re
import sys
import traceback

import keras
import numpy as np
import pytest
from keras import layers
from racing import keras_nets as nets

import penstock
from penstock.racing.named_data import named_data
from penstock.recipes import Normal

RATE = 1e-2
STEPS = 8
PLAIN = {"steps": STEPS, "learning_rates": RATE, "seeds": 1, "progress": False, "workers": 1}
FACTS: dict[str, object] = {}


def race(starts=("default", "he"), factory=nets.mlp, data="wine", **others):
    return penstock.race(factory, starts, data, **(PLAIN | others))


def started(factory, seed):
    """A model as the race's own start "default" has it."""
    from penstock.keras.racing.backend import racer

    with racer().seeded(seed, "factory"):
        model = factory()
        model(named_data("wine").first(seed)[0])
    return model


def by_hand(factory, optimizer, *, seed, rate=RATE):
    """Losses of Keras's own training, and of its evaluation on the held-out data after it."""
    made = {
        "adam": lambda: keras.optimizers.Adam(rate, epsilon=1e-8),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=1e-2, epsilon=1e-8),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9),
    }[optimizer]()
    model = started(factory, seed)
    model.compile(made, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = []
    for inputs, targets in named_data("wine").batches(seed, STEPS):
        losses.append(float(model.train_on_batch(inputs, targets)))
        model.reset_metrics()
    held_out = named_data("wine").held_out()
    return losses, float(model.evaluate(*held_out, batch_size=1000, verbose=0))


def case_an_arm_is_what_keras_trains():
    """With statistics that move, noise from a seed and a frozen layer: in training and in evaluation."""
    for factory, optimizer in ((nets.noisy, "adam"), (nets.mlp, "adamw"), (nets.mlp, "sgd")):
        arm = race(["default"], factory, optimizer=optimizer, seeds=[3]).arm("default", 3, RATE)
        losses, held_out = by_hand(factory, optimizer, seed=3)
        np.testing.assert_allclose(arm.losses, losses, rtol=1e-4)
        np.testing.assert_allclose(arm.evaluations[-1].loss, held_out, rtol=1e-4)
    for control in (by_hand(nets.mlp, "sgd", seed=3, rate=1.1 * RATE), by_hand(nets.mlp, "sgd", seed=4)):
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            np.testing.assert_allclose(arm.losses, control[0], rtol=1e-4)


def case_every_start_by_name():
    names = ["default", "penstock", "he", "xavier", "orthogonal", "mean_variance", "lsuv", "krahenbuhl", "lecun_normal"]
    raced = race([*names, "gpt2", Normal(0.1)], nets.Two)
    assert {t.outcome for t in raced.arms} == {"finished"}, raced
    assert len({t.losses[0] for t in raced.arms}) == len(raced.arms)
    FACTS["losses"] = {t.arm.start: t.losses for t in raced.arms if t.arm.start != "default"}


def case_plans_and_functions_are_starts():
    _ = layers.Dense(1), layers.Dense(1)  # so that the layers of the planned model have other numbers
    inputs = named_data("wine").first(0)[0]
    plan = penstock.plan(nets.mlp(), inputs)  # asks for calibration
    drawn = penstock.plan(nets.mlp(), inputs, recipe="he")
    other = penstock.plan(keras.Sequential([layers.Dense(5, name="mine")]), inputs)
    raced = race({"default": "default", "he": "he", "drawn": drawn, "plan": plan, "half": nets.halved, "other": other})
    outcomes = {t.arm.start: t.outcome for t in raced.arms}
    assert {start for start, outcome in outcomes.items() if outcome != "finished"} == {"other"}
    losses = {t.arm.start: t.losses for t in raced.arms}
    assert losses["drawn"] == losses["he"]
    assert len({losses[start][0] for start in ("default", "he", "plan", "half")}) == 4
    assert "model must have the parameters that were planned" in next(t.message for t in raced.arms if t.message)


def case_starts_of_one_seed_meet_the_same_noise():
    raced = race({"one": "he", "two": "he", "other": "xavier"}, nets.noisy, seeds=2)
    for seed in (0, 1):
        assert raced.arm("one", seed, RATE).losses == raced.arm("two", seed, RATE).losses
    assert raced.arm("one", 0, RATE).losses != raced.arm("one", 1, RATE).losses


def case_processes_give_the_same_bits():
    first, again = (race(factory=nets.noisy, seeds=2, workers=n) for n in (1, 2))
    assert first.to_dict(times=False) == again.to_dict(times=False)
    assert race(factory=nets.noisy, seeds=[5, 6]).to_dict(times=False) != first.to_dict(times=False)


def case_nothing_of_the_user_changes():
    mine = nets.noisy()
    mine(named_data("wine").first(0)[0])
    kept = [keras.ops.convert_to_numpy(v.value).copy() for v in mine.variables]
    keras.utils.set_random_seed(11)
    expected = [keras.ops.convert_to_numpy(keras.random.normal((3,))) for _ in range(2)]
    keras.utils.set_random_seed(11)
    first = keras.ops.convert_to_numpy(keras.random.normal((3,)))
    number = int(re.sub(r"\D", "", layers.Dense(1).name) or 0)
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    race(["default", "penstock", "he"], nets.noisy)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    np.testing.assert_array_equal([first, keras.ops.convert_to_numpy(keras.random.normal((3,)))], expected)
    assert layers.Dense(1).name == f"dense_{number + 1}"
    for variable, before in zip(mine.variables, kept, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable.value), before)


def case_divergence_and_failure_are_results():
    raced = race({"he": "he", "raises": nets.raises}, optimizer="sgd", learning_rates=[RATE, 1e12])
    outcomes = {(t.arm.start, t.arm.rate): t.outcome for t in raced.arms}
    assert outcomes == {("he", RATE): "finished", ("he", 1e12): "diverged", ("raises", RATE): "failed",
                        ("raises", 1e12): "failed"}  # fmt: skip
    assert "this start does not fit" in raced.arms[-1].message
    alone = race(["he"], optimizer="sgd").arm("he", 0, RATE)
    np.testing.assert_allclose(raced.arm("he", 0, RATE).losses, alone.losses, rtol=1e-5)


def case_probabilities_are_no_logits():
    logits, given = race(["he"]), race(["he"], nets.softmax)
    np.testing.assert_allclose(given.arms[0].losses, logits.arms[0].losses, rtol=1e-4)
    np.testing.assert_allclose(given.arms[0].evaluations[-1].loss, logits.arms[0].evaluations[-1].loss, rtol=1e-4)
    assert "The model gives probabilities" in " ".join(given.notes)
    assert logits.notes == ()


def case_losses_of_keras_have_their_own_order():
    own = race(["he"], loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain = race(["he"], loss=lambda out, y: keras.ops.mean(
        keras.ops.sparse_categorical_crossentropy(y, out, from_logits=True)))  # fmt: skip
    assert own.settings.kind == "custom"
    np.testing.assert_allclose(own.arms[0].losses, race(["he"]).arms[0].losses, rtol=1e-5)
    np.testing.assert_allclose(own.arms[0].losses, plain.arms[0].losses, rtol=1e-5)
    values = race(["he"], lambda: keras.Sequential([layers.Dense(1)]), "diabetes")
    assert values.settings.kind == "values"
    assert values.arms[0].evaluations[-1].score <= 1.0


def case_notes_say_what_is_left_out():
    assert "own penalties" in race(factory=nets.penalised).notes[0]
    assert "same weights for every seed" in race(factory=nets.fixed).notes[0]


def case_bad_arguments_are_named():
    model = nets.mlp()
    for wrong, text in (
        ({"factory": nets.nothing}, "factory must return a model; got int"),
        ({"factory": model}, "factory must be a function without arguments that makes a new model; got a Sequential"),
        ({"factory": lambda: model}, "it returned the same object twice"),
        ({"factory": nets.one}, "factory must make a model that gives a number for each class"),
        ({"factory": nets.untrained}, "parameters that are trained; it has none"),
        ({"data": "breast_cancer"}, "data must fit|must run on the batch"),
    ):
        with pytest.raises(penstock.PenstockError, match=text):
            race(**wrong)
    race(["default"], lambda: copy.deepcopy(model))


def failures(names):
    found = {}
    for name in names:
        try:
            globals()[f"case_{name}"]()
        except BaseException:
            found[name] = traceback.format_exc()
    return found


if __name__ == "__main__":
    told = {"backend": keras.backend.backend(), "failures": failures(sys.argv[1:]), "facts": FACTS}
    print(json.dumps(told))
