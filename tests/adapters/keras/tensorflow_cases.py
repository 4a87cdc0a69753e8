"""What TensorFlow alone has: its own gradients, loops, branches, variables and random state. See `model_cases.py`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import penstock


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def squares(output):
    return tf.reduce_mean(tf.square(output))


def kinds(report):
    return [(node.kind, node.op) for node in report.measured.graph.nodes]


def own_gradients(model, batch):
    """The RMS of each weight's gradient as TensorFlow's tape has it, in one call of the model."""
    with tf.GradientTape() as tape:
        loss = squares(model(batch, training=True))
    return [float(tf.sqrt(tf.reduce_mean(tf.square(g)))) for g in tape.gradient(loss, model.trainable_variables)]


def case_gradients_are_those_of_the_tape():
    image = [layers.Input((9, 9, 4)), layers.Conv2D(8, 3, groups=2, activation="silu"), layers.Conv2DTranspose(4, 3)]
    flat = [layers.Flatten(), layers.Dense(3)]
    loop = [layers.Input((11, 5)), layers.LSTM(6, return_sequences=True), layers.Bidirectional(layers.GRU(4))]
    cases = [
        (keras.Sequential([*image, *flat]), normal(8, 9, 9, 4)),
        (keras.Sequential([*loop, layers.Dense(2)]), normal(8, 11, 5)),
    ]
    for model, batch in cases:
        penstock.plan(model, batch).apply(model, seed=1)
        measured = penstock.check(model, batch, loss=squares).measured
        told = [measured.parameters[name].grad_rms for name in sorted(measured.parameters)]
        np.testing.assert_allclose(sorted(told), sorted(own_gradients(model, batch)), rtol=1e-4)
        assert measured.graph.unknown_ops == ()
    assert "A loop whose steps share their weights was looked into for its first 8 steps." in measured.notes
    before = own_gradients(model, batch)
    assert not np.allclose(sorted(told), sorted(1.01 * g for g in before), rtol=1e-4)


@tf.custom_gradient
def straight_through(x):
    return tf.round(x), lambda slope: slope


class Rounding(keras.Model):
    def __init__(self, function):
        super().__init__()
        self.first, self.second, self.function = layers.Dense(8), layers.Dense(3), function

    def call(self, x):
        return self.second(self.function(self.first(x)))


def case_custom_gradients_are_followed():
    batch = normal(16, 8)
    for function, arrives in ((straight_through, True), (tf.round, False)):
        report = penstock.check(Rounding(function), batch)
        gradients = [stats.grad_rms or 0.0 for stats in report.measured.parameters.values()]
        assert (gradients[0] > 0.1) == arrives, gradients
        assert (not [f for f in report.findings if f.code.startswith("B")]) == arrives
        assert kinds(report)[2] == ("pointwise", "round")
        assert all(stats.grad_rms for stats in report.measured.signals[2:])


class Steps(keras.Model):
    """A loop with as many steps as it is told, a branch, and a variable of TensorFlow's own."""

    def __init__(self, steps):
        super().__init__()
        self.inner, self.steps, self.scale = layers.Dense(6), steps, tf.Variable(tf.fill((6,), 0.5))

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        def step(i, h):
            return i + 1, tf.tanh(self.inner(h))

        y = tf.while_loop(lambda i, h: i < self.steps, step, (0, x))[1]
        positive = tf.reduce_sum(self.inner.kernel) > -1e9
        self.scale.assign_add(tf.ones((6,)))
        return tf.cond(positive, lambda: y * self.scale, lambda: y)


def case_loops_branches_and_own_variables():
    model = Steps(3)
    model(normal(16, 6))
    before = model.scale.numpy().tolist()
    done = penstock.initialize(model, normal(16, 6))
    assert [kind for kind, _ in kinds(done.after)].count("contraction") == 3
    assert kinds(done.after)[-1][0] == "move"
    assert model.scale.numpy().tolist() == before
    long = penstock.check(Steps(12), normal(16, 6))
    assert ("other", "loop_rest") in kinds(long)
    assert [kind for kind, _ in kinds(long)].count("contraction") == 8


class Noise(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(4)

    def call(self, x):
        return self.inner(x + tf.random.normal(tf.shape(x)) + tf.random.uniform(tf.shape(x)))


def case_random_state_is_left_alone():
    model, batch = Noise(), normal(16, 4)
    model(batch)
    drawn = []
    for check in (False, True):
        tf.random.set_seed(1)
        keras.utils.set_random_seed(1)
        if check:
            first, second = penstock.check(model, batch), penstock.check(model, batch)
        drawn.append([tf.random.normal((3,)).numpy(), ops.convert_to_numpy(keras.random.normal((3,)))])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert first.measured.signals == second.measured.signals
    assert not np.array_equal(drawn[0], [tf.random.normal((3,)).numpy()] * 2)


class Python(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(4)

    def call(self, x):
        y = self.inner(x)
        return y if tf.reduce_sum(y) > 0 else -y


def case_pythons_own_branches_are_refused():
    model = Python()
    before = [v.numpy() for v in model.variables]
    with pytest.raises(penstock.ModelError, match="Python must run on the batch; it raised OperatorNotAllowed"):
        penstock.check(model, normal(16, 4))
    assert all(np.array_equal(old, v.numpy()) for old, v in zip(before, model.variables, strict=False))


CASES = {name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")}
