"""The learning rate to start with for JAX: the same as PyTorch's, found on copies, and it trains."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")
pytest.importorskip("flax.nnx", reason="flax is not installed")

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from jax_pairs import PAIRS, copied

import penstock
import penstock.jax as pj
from penstock.errors import ArgumentError
from penstock.jax.learning_rate import _slope, _trainer, measure_learning_rate
from penstock.jax.measure.batch import arguments
from penstock.jax.models import target_of
from penstock.ledger.rebuild import values_of
from penstock.torch.learning_rate import Trainer
from penstock.torch.learning_rate import measure_learning_rate as measure_in_torch

X = np.random.default_rng(0).standard_normal((64, 12)).astype(np.float32)
LABELS = (X @ np.random.default_rng(1).standard_normal((12, 3)).astype(np.float32)).argmax(1)


def loss(output):
    return -jnp.mean(jax.nn.log_softmax(output.astype(jnp.float32))[jnp.arange(len(LABELS)), LABELS])


def mlp(params, x):
    for i in range(3):
        x = jax.nn.gelu(x @ params[f"w{i}"] + params[f"b{i}"])
    return x @ params["o"]


def params(dtype=jnp.float32):
    sizes = [12, 24, 24, 24]
    keys = jax.random.split(jax.random.key(0), 4)
    made = {f"w{i}": jax.random.normal(keys[i], (sizes[i], sizes[i + 1])) / np.sqrt(sizes[i]) for i in range(3)}
    made |= {f"b{i}": jnp.zeros(24) for i in range(3)} | {"o": jax.random.normal(keys[3], (24, 3)) / 5.0}
    return {name: array.astype(dtype) for name, array in made.items()}


def rates(model, batch=X, *, optimizers=("sgd", "adam"), f=loss):
    return measure_learning_rate(target_of(model, "initialize"), arguments(batch), loss=f, optimizers=optimizers)


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_the_rates_are_those_of_pytorch(name):
    pair = PAIRS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = pair.torch()
    x, y = pair.inputs()
    penstock.initialize(model, x)
    target = np.random.default_rng(1).standard_normal((len(x), 5)).astype(np.float32)
    twin = copied(pair, model)

    def in_torch(out):
        return (out - torch.from_numpy(target)).square().mean()

    def in_jax(out):
        return jnp.mean((out - target) ** 2)

    first = measure_in_torch(model, x, loss=in_torch, optimizers=("sgd", "adam"))
    second = rates(twin, y, f=in_jax)
    assert first.measured
    # Adam's first steps have the sign of gradients that are zero up to rounding behind a norm: the ramp of a network
    # with norms may end a step of a factor 1.25 earlier.
    same = 1e-3 if name == "mlp" else 0.26
    assert (second.sgd, second.adam) == (pytest.approx(first.sgd, rel=1e-3), pytest.approx(first.adam, rel=same))
    # Step by step the losses are the same, and those of another optimizer are not.
    parameters = list(model.parameters())
    kept = [p.detach().clone() for p in parameters]
    for optimizer, momentum in (("sgd", 0.9), ("adam", 0.0)):
        own = target_of(twin, "initialize")
        slope = _slope(own, arguments(y), in_jax, dict(own.parameters))
        mine = _trainer(slope, dict(own.parameters), optimizer, momentum=momentum)
        theirs = Trainer(model, x, in_torch, parameters, optimizer, momentum=momentum)
        control = _trainer(slope, dict(own.parameters), optimizer, momentum=0.0 if momentum else 0.9)
        rate = first.of(optimizer)
        losses = [(mine.step(rate), theirs.step(rate), control.step(2.0 * rate)) for _ in range(5)]
        for one, other, _ in losses:
            assert one == pytest.approx(other, rel=1e-3)
        assert losses[-1][2] != pytest.approx(losses[-1][1], rel=1e-3)
        with torch.no_grad():
            for parameter, values in zip(parameters, kept, strict=True):
                parameter.copy_(values)


def test_initialize_measures_rates_that_train():
    before = params()
    kept = jax.tree.map(np.array, before)
    start = penstock.initialize(mlp, before, X, loss=loss, learning_rate=True)
    jax.tree.map(np.testing.assert_array_equal, before, kept)
    found = start.plan.learning_rate
    assert found.measured
    assert "for Adam and AdamW" in str(start)
    # What is returned is where the steps began, not where they ended.
    for record in start.ledger:
        np.testing.assert_array_equal(values_of(record), np.asarray(start.params[record.name]), err_msg=record.name)

    def left(rate: float) -> float:
        """Share of the loss after 60 steps of SGD with momentum."""
        slope, values = jax.jit(jax.value_and_grad(lambda p: loss(mlp(p, X)))), start.params
        speed, losses = jax.tree.map(jnp.zeros_like, values), []
        for _ in range(60):
            value, gradient = slope(values)
            losses.append(float(value))
            speed = jax.tree.map(lambda s, g: 0.9 * s + g, speed, gradient)
            values = jax.tree.map(lambda v, s: v - rate * s, values, speed)
        return losses[-1] / losses[0]

    assert left(found.of("sgd")) < 0.5
    assert not left(300.0 * found.of("sgd")) < 0.5


def test_half_types_are_trained_on_float32_copies():
    """In bfloat16 itself small steps would be rounded away."""
    wide, short = (rates(pj.Model(mlp, params(t)), optimizers=("adam",)) for t in ("float32", "bfloat16"))
    assert short.adam == pytest.approx(wide.adam, rel=0.5)
    target = target_of(pj.Model(mlp, params("bfloat16")), "initialize")
    slope = _slope(target, arguments(X), loss, dict(target.parameters))
    trainer = _trainer(slope, dict(target.parameters), "sgd", momentum=0.0)
    for _ in range(20):
        trainer.step(1e-5)
    moved = trainer._weights["w0"] - target.parameters["w0"].astype("float32")
    assert float(jnp.abs(moved).max()) > 0.0
    assert bool((trainer._weights["w0"].astype("bfloat16") == target.parameters["w0"]).mean() > 0.9)


def test_state_dropout_and_modules_stay_as_they_are():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.a, self.drop = nnx.Linear(12, 24, rngs=rngs), nnx.Dropout(0.3, rngs=rngs)
            self.norm, self.b = nnx.BatchNorm(24, rngs=rngs), nnx.Linear(24, 3, rngs=rngs)

        def __call__(self, x):
            return self.b(self.drop(jax.nn.relu(self.norm(self.a(x)))))

    model = Net(nnx.Rngs(0))
    before = jax.tree.map(np.array, nnx.state(model, nnx.Not(nnx.RngState)))
    count = int(model.drop.rngs.count[...])
    assert rates(model).measured
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model, nnx.Not(nnx.RngState)), before)
    assert int(model.drop.rngs.count[...]) == count


def test_no_rate_is_a_note():
    found = rates(pj.Model(mlp, params()), f=lambda out: loss(out) * jnp.nan)
    assert not found.measured
    assert found.notes == (
        "no rate for sgd: the loss is nan at the start",
        "no rate for adam: the loss is nan at the start",
    )
    flat = rates(pj.Model(mlp, params()), f=lambda out: jnp.float32(1.0) + 0.0 * jnp.sum(out), optimizers=("sgd",))
    assert flat.notes[0].startswith("no rate for sgd: the loss on the batch fell at none of the")


BAD = {
    "no loss": ({"learning_rate": True}, "learning_rate needs the loss"),
    "a number": ({"learning_rate": 0.1, "loss": loss}, "must be True, False or an optimizer's name; got 0.1"),
    "a name": ({"learning_rate": "lion", "loss": loss}, "must be one of 'sgd'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    options, text = BAD[name]
    with pytest.raises(ArgumentError, match=text):
        penstock.initialize(mlp, params(), X, **options)
