"""Races of JAX models: every kind of model, arms that are plain loops, the same bits for everybody."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from racing.nets import WINE

import penstock
from penstock.geometry import Geometry
from penstock.racing.named_data import named_data
from penstock.racing.seeds import key_of
from penstock.randomness import key_for
from penstock.recipes import he_normal
from penstock.recipes.ordered import draw_ordered

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
for _name in ("flax", "equinox", "haiku"):
    pytest.importorskip(_name)
jax_nets = importlib.import_module("racing.jax_nets")

RATE = 1e-2


def race(starts=("default", "he"), factory=jax_nets.function, data="wine", **others):
    return penstock.race(factory, starts, data, **(WINE | {"learning_rates": [1e-3, RATE]} | others))


def plain(result):
    return result.to_dict(times=False)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_an_arm_is_what_a_plain_loop_trains(optimizer):
    """The oracle: PyTorch's own optimizers, given the gradients that JAX finds, on the same batches."""
    raced = race(["default"], optimizer=optimizer)
    apply_fn, params = jax_nets.function(jax.random.PRNGKey(key_of(1, "factory") % 2**31))
    held = {name: torch.tensor(np.array(value), requires_grad=True) for name, value in params.items()}
    stepper = {
        "adam": lambda p: torch.optim.Adam(p, RATE),
        "adamw": lambda p: torch.optim.AdamW(p, RATE),
        "sgd": lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
    }[optimizer](list(held.values()))

    @jax.jit
    @jax.value_and_grad
    def loss_of(params, inputs, targets):
        logs = jax.nn.log_softmax(apply_fn(params, inputs))
        return -jnp.mean(logs[jnp.arange(len(targets)), targets])

    losses = []
    for inputs, targets in named_data("wine").batches(1, WINE["steps"]):
        values = {name: jnp.asarray(tensor.detach().numpy()) for name, tensor in held.items()}
        loss, gradients = loss_of(values, inputs, targets)
        for name, tensor in held.items():
            tensor.grad = torch.tensor(np.array(gradients[name]))
        stepper.step()
        losses.append(float(loss))
    np.testing.assert_allclose(raced.arm("default", 1, RATE).losses, losses, rtol=1e-4)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):  # control: another seed is another run
        np.testing.assert_allclose(raced.arm("default", 0, RATE).losses, losses, rtol=1e-4)


@pytest.mark.parametrize("factory", [jax_nets.Linen, jax_nets.Nnx, jax_nets.equinox, jax_nets.haiku])
def test_every_kind_of_model(factory):
    raced = race(["default", "he"], factory, learning_rates=RATE)
    assert {t.outcome for t in raced.arms} == {"finished"}
    assert len({t.losses[0] for t in raced.arms}) == 4
    assert raced.arm("he", 0, RATE).losses[-1] < raced.arm("he", 0, RATE).losses[0]
    assert 0.0 <= raced.arm("he", 0, RATE).evaluations[-1].score <= 1.0
    assert raced.notes == ()


def _linen(key, inputs):
    """(train, evaluate, parameters, statistics) as a user of linen writes them."""
    module = jax_nets.MovingLinen()
    made = module.init(key, inputs)

    def train(params, state, x):
        output, moved = module.apply({"params": params, **state}, x, train=True, mutable=["batch_stats"])
        return output, moved

    def evaluate(params, state, x):
        return module.apply({"params": params, **state}, x)

    return train, evaluate, made["params"], {"batch_stats": made["batch_stats"]}


def _haiku(key, inputs):
    module = jax_nets.moving_haiku()

    def evaluate(params, state, x):
        return module.apply(params, state, x, is_training=False)[0]

    return module.apply, evaluate, *module.init(key, inputs)


def _nnx(key, inputs):
    nnx = importlib.import_module("flax.nnx")
    definition, params, state = nnx.split(jax_nets.MovingNnx(key), nnx.Param, ...)

    def train(params, state, x):
        own = jax.tree_util.tree_map(lambda a: a, state)  # variables of this trace may be changed in it
        model = nnx.merge(definition, params, own)
        return model(x), nnx.split(model, nnx.Param, ...)[2]

    def evaluate(params, state, x):
        model = nnx.merge(definition, params, state)
        model.eval()
        return model(x)

    return train, evaluate, params, state


@pytest.mark.parametrize(
    ("factory", "written"),
    [(jax_nets.MovingLinen, _linen), (jax_nets.moving_haiku, _haiku), (jax_nets.MovingNnx, _nnx)],
    ids=["linen", "haiku", "nnx"],
)
def test_running_statistics_move_in_training_and_serve_in_evaluation(factory, written):
    """The oracle: the loop that users of the library write, with SGD with momentum."""
    arm = race(["default"], factory, optimizer="sgd", learning_rates=RATE, seeds=1).arms[0]
    key = jax.random.PRNGKey(key_of(0, "factory") % 2**31)
    train, evaluate, params, begun = written(key, named_data("wine").first(0)[0])
    state, speed = begun, jax.tree_util.tree_map(jnp.zeros_like, params)

    def cross_entropy(logits, targets):
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(targets)), targets])

    @jax.jit
    def step(params, speed, state, inputs, targets):
        def loss_of(params):
            output, moved = train(params, state, inputs)
            return cross_entropy(output, targets), moved

        (loss, moved), slopes = jax.value_and_grad(loss_of, has_aux=True)(params)
        speed = jax.tree_util.tree_map(lambda v, g: 0.9 * v + g, speed, slopes)
        return jax.tree_util.tree_map(lambda p, v: p - RATE * v, params, speed), speed, moved, loss

    losses = []
    for inputs, targets in named_data("wine").batches(0, WINE["steps"]):
        params, speed, state, loss = step(params, speed, state, inputs, targets)
        losses.append(float(loss))
    np.testing.assert_allclose(arm.losses, losses, rtol=1e-4)
    inputs, targets = named_data("wine").held_out()
    np.testing.assert_allclose(
        arm.evaluations[-1].loss, cross_entropy(evaluate(params, state, inputs), targets), rtol=1e-4
    )
    with pytest.raises(AssertionError, match="Not equal to tolerance"):  # control: statistics that stood still
        np.testing.assert_allclose(
            arm.evaluations[-1].loss, cross_entropy(evaluate(params, begun, inputs), targets), rtol=1e-4
        )


def test_statistics_that_stand_still_are_told():
    assert "stays as it was" in race(["default"], jax_nets.still, learning_rates=RATE, seeds=1).notes[1]


def test_every_start_by_name():
    names = ["default", "penstock", "he", "xavier", "orthogonal", "mean_variance", "lecun_normal", "lsuv", "krahenbuhl"]
    raced = race(names, seeds=1, learning_rates=RATE)
    done = [t for t in raced.arms if t.outcome == "finished"]
    assert [t.arm.start for t in done] == names
    assert len({t.losses[0] for t in done}) == len(names)


def test_he_draws_what_it_draws_for_pytorch():
    """Weights of the same seed, name and axes, whoever asks."""
    raced = race(["he"], seeds=1, learning_rates=RATE)
    geometry = {
        "w1": Geometry((13, 8), in_axes=(0,), out_axes=(1,), order=(1, 0)),
        "w2": Geometry((8, 3), in_axes=(0,), out_axes=(1,), order=(1, 0)),
    }
    params = {n: draw_ordered(he_normal(), g, key_for(0, n), is_complex=False) for n, g in geometry.items()}
    inputs, targets = named_data("wine").first(0)
    logits = jax_nets.apply_fn(params | {"b1": 0.0, "b2": 0.0}, inputs)
    loss = -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(targets)), targets])
    assert raced.arms[0].losses[0] == pytest.approx(float(loss), rel=1e-5)


def test_plans_and_functions_are_starts():
    inputs, _ = named_data("wine").first(0)
    plan = penstock.plan(*jax_nets.unchanging(), inputs)
    from penstock.jax import Model

    def halved(model):
        return Model(model.function, jax.tree_util.tree_map(lambda w: w / 2, model.params))

    raced = race({"default": "default", "plan": plan, "function": halved}, seeds=1, learning_rates=RATE)
    assert {t.outcome for t in raced.arms} == {"finished"}
    assert len({t.losses[0] for t in raced.arms}) == 3


def test_processes_and_a_journal_give_the_same_bits(tmp_path):
    first = race(journal=tmp_path / "race.jsonl")
    whole = (tmp_path / "race.jsonl").read_bytes()
    (tmp_path / "race.jsonl").write_bytes(whole[: len(whole) // 2])
    assert plain(race(journal=tmp_path / "race.jsonl", workers=2)) == plain(first)
    assert (tmp_path / "race.jsonl").read_bytes() == whole
    assert plain(race(seeds=[5, 6])) != plain(first)  # control


def test_divergence_is_a_result_and_leaves_the_others_alone():
    both = race(["he"], learning_rates=[RATE, 1e12], optimizer="sgd", seeds=1)
    assert both.arm("he", 0, 1e12).outcome == "diverged"
    alone = race(["he"], learning_rates=RATE, optimizer="sgd", seeds=1)
    np.testing.assert_allclose(both.arm("he", 0, RATE).losses, alone.arm("he", 0, RATE).losses, rtol=1e-5)


def test_values_and_a_loss_of_ones_own():
    def factory(key):
        return (lambda params, x: x @ params["w"]), {"w": 0.1 * jax.random.normal(key, (10, 1))}

    def absolute(output, targets):
        return jnp.mean(jnp.abs(output - targets))

    assert race(["default"], factory, "diabetes", seeds=1).settings.kind == "values"
    raced = race(["default"], factory, "diabetes", seeds=1, loss=absolute)
    assert raced.settings.kind == "custom"
    assert raced.arms[1].losses[-1] < raced.arms[1].losses[0]


def test_weights_that_no_seed_changes_are_told():
    assert "makes the same weights for every seed" in race(factory=jax_nets.unchanging, seeds=1).notes[0]


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"factory": jax_nets.nothing}, penstock.UnsupportedError, "factory must return a model; got int"),
        ({"factory": jax_nets.the_same}, penstock.ArgumentError, "it returned the same object twice"),
        ({"factory": lambda key: 1 / 0}, penstock.ArgumentError, "factory must be .* it raised ZeroDivisionError"),
        ({"data": "digits"}, penstock.ArgumentError, "data must fit the model that factory makes; the first step"),
    ],
    ids=["no model", "the same", "raises", "other data"],
)
def test_bad_arguments_are_named(wrong, error, text):
    with pytest.raises(error, match=text):
        race(**wrong)
