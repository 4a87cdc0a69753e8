"""What must hold of `penstock.check`, `plan` and `initialize` for Keras models on a backend.

Run as a program it tries each case and prints the failures, and facts that must be the same on every backend, as JSON.
Not collected by pytest: Keras has one backend a process, so `test_backends.py` runs this file once for each.
"""

from __future__ import annotations

import hashlib
import json
import sys
import traceback

import family_cases
import keras
import numpy as np
import pytest
import recurrent_cases
from keras import layers, ops

import penstock
from penstock import ArgumentError, ModelError, UnsupportedError
from penstock.keras.adapter import BACKENDS
from penstock.keras.models import call_of, drawn_names, parameters_of
from penstock.recipes import VarianceScaling as Scaling

BACKEND = keras.backend.backend()
FACTS = {}
STANDARD_ERRORS = 5.0


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def integers(*shape, high):
    return np.random.default_rng(0).integers(0, high, shape)


def values(model):
    """Every variable's bytes: weights, running statistics, seeds."""
    return [np.asarray(ops.convert_to_numpy(v)).tobytes() for v in model.variables]


def errors(report):
    return sorted({f.code for f in report.findings if f.severity == "error"})


class Block(layers.Layer):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = layers.LayerNormalization(), layers.LayerNormalization()
        self.attention, self.drop = layers.MultiHeadAttention(2, width // 2), layers.Dropout(0.1)
        self.up, self.down = layers.Dense(2 * width, activation="gelu"), layers.Dense(width)

    def call(self, x):
        z = self.norm1(x)
        x = x + self.drop(self.attention(z, z))
        return x + self.down(self.up(self.norm2(x)))


class Transformer(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = layers.Embedding(30, 16), layers.Embedding(8, 16, name="position")
        self.block, self.norm, self.head = Block(16), layers.LayerNormalization(), layers.Dense(30)

    def call(self, ids):
        x = self.tokens(ids) + self.positions(ops.arange(ids.shape[1]))
        return self.head(self.norm(self.block(x)))


def mlp():
    made = [layers.Dense(32, activation="relu"), layers.Dense(32, activation="gelu"), layers.Dense(4)]
    return keras.Sequential([layers.Input((16,)), *made]), normal(64, 16)


def cnn():
    body = [layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2)]
    more = [layers.SeparableConv2D(8, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    return keras.Sequential([layers.Input((7, 7, 3)), *body, *more]), normal(8, 7, 7, 3)


def resnet():
    inputs = layers.Input((8, 8, 3))
    h = layers.Conv2D(8, 3, padding="same")(inputs)
    for _ in range(2):
        z = layers.Conv2D(8, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(h)))
        h = layers.Add()([h, layers.Conv2D(8, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(z)))])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(h)))), normal(16, 8, 8, 3)


def transformer():
    return Transformer(), integers(8, 6, high=30)


def lstm():
    body = [layers.Embedding(20, 12), layers.LSTM(12), layers.Dense(3)]
    return keras.Sequential([layers.Input((4,)), *body]), integers(16, 4, high=20)


def gru():
    body = [layers.GRU(12, return_sequences=True), layers.SimpleRNN(8), layers.Dense(3)]
    return keras.Sequential([layers.Input((3, 6)), *body]), normal(16, 3, 6)


def bag():
    body = [layers.Embedding(20, 12), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    return keras.Sequential([layers.Input((5,)), *body]), integers(32, 5, high=20)


def right(make):
    """A model's way through the doors: check changes nothing, initialize the trained weights alone, and to no error."""
    model, batch = make()
    if not model.built:
        model(batch)
    before = values(model)
    done = penstock.initialize(model, batch, seed=1)
    assert errors(done.after) == [], done.after
    assert done.model is model
    assert done.after.measured.graph.unknown_ops == ()
    trained = {id(v) for v in model.trainable_variables}
    for variable, old, new in zip(model.variables, before, values(model), strict=True):
        assert id(variable) in trained or old == new, variable.path
    assert values(model) != before
    assert len({e.name for e in done.plan.entries}) == len(model.trainable_variables)
    assert [e.name for e in done.plan.entries if e.recipe is None] == []
    # What must be the same on each backend: the draws' bits, and the signals that they make.
    plan = done.plan
    for entry in plan.entries:
        if entry.geometry.is_weight:
            plan = plan.replace(entry.name, Scaling(1.0, "fan_in", "truncated_normal"))
    plan.apply(model, seed=3)
    before = values(model)
    report = penstock.check(model, batch)
    assert values(model) == before
    signals, known = report.measured.signals, parameters_of(model)
    shown = [n for n in report.measured.graph.nodes if n.kind == "contraction" and signals[n.index] is not None]
    FACTS[make.__name__] = {
        "digests": {e.key_name: bits(known[e.name]) for e in plan.entries},
        "forward": [signals[n.index].rms for n in shown] if make in PLAIN else [],
    }


def bits(known):
    values = np.asarray(ops.convert_to_numpy(known.variable))
    return hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()


PLAIN = (mlp, resnet, bag)
"""Models without noise and without loops, which the backends compute alike, operation by operation."""


def case_mlp():
    right(mlp)


def case_cnn_with_batch_norm_dropout_and_separable_convolution():
    right(cnn)


def case_resnet():
    right(resnet)


def case_transformer_that_was_not_built():
    model, batch = transformer()
    notes = penstock.check(model, batch).measured.notes
    assert "The model was not built: it was built from the batch (22 weights)." in notes
    assert "not built" not in " ".join(penstock.plan(model, batch).notes)
    right(transformer)


def case_lstm():
    right(lstm)


def case_gru_and_simple_rnn():
    right(gru)


def case_embedding():
    right(bag)


def case_broken_models_are_found():
    def zeros(w):
        return np.zeros_like(w)

    breaks = {
        "zeros": zeros,
        "huge": lambda w: 1e4 * w,
        "equal": lambda w: np.full_like(w, 0.1),
        "nan": lambda w: w * np.nan,
    }
    found = {}
    for name, damage in breaks.items():
        model, batch = mlp()
        penstock.plan(model, batch).apply(model, seed=1)
        kernel = model.layers[1].kernel
        kernel.assign(damage(np.asarray(ops.convert_to_numpy(kernel))))
        found[name] = errors(penstock.check(model, batch))
        if BACKEND == "torch":
            assert found[name] == errors(native_mlp(damage, batch)), name
    FACTS["broken"] = found
    assert "S101" in found["zeros"]
    assert "S101" in found["equal"]
    assert "U102" in found["nan"]
    assert errors(penstock.check(*initialized(mlp))) == []


def native_mlp(damage, batch):
    """What PyTorch's own version of the broken model is told."""
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 4))
    batch = torch.from_numpy(batch)
    penstock.plan(model, batch).apply(model, seed=1)
    with torch.no_grad():
        model[2].weight.copy_(torch.from_numpy(damage(model[2].weight.numpy())))
    return penstock.check(model, batch)


def initialized(make):
    model, batch = make()
    penstock.initialize(model, batch)
    return model, batch


def case_weights_are_pytorchs_by_its_names():
    model = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(6, 3, activation="relu"), layers.Flatten(), layers.Dense(4)]
    )
    names = dict(zip(parameters_of(model), ("0.weight", "0.bias", "3.weight", "3.bias"), strict=True))
    plan = penstock.plan(model, normal(16, 8, 8, 3), names=names)
    plan.apply(model, seed=5)
    kernel, dense = (np.asarray(ops.convert_to_numpy(model.layers[i].kernel)) for i in (0, 2))
    if BACKEND != "torch":
        return
    import torch
    from torch import nn

    native = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4))
    theirs = penstock.plan(native, torch.from_numpy(normal(16, 3, 8, 8)))
    own = {e.name: plan[name].recipe for name, e in zip(names, theirs.entries, strict=True)}
    for name, recipe in own.items():
        theirs = theirs.replace(name, recipe)
    theirs.apply(native, seed=5)
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), native[0].weight.detach().numpy())
    np.testing.assert_array_equal(dense.T, native[3].weight.detach().numpy())
    assert not np.array_equal(dense.reshape(4, 216), native[3].weight.detach().numpy())


def case_names_do_not_depend_on_what_was_built_before():
    first, batch = mlp()
    second, _ = mlp()
    assert list(parameters_of(first)) != list(parameters_of(second))
    plans = [penstock.plan(model, batch) for model in (first, second)]
    for model, plan in zip((first, second), plans, strict=True):
        plan.apply(model, seed=2)
    assert values(first) == values(second)
    plans[1].apply(second, seed=3)
    assert values(first) != values(second)
    assert [e.key_name for e in plans[1].entries][::2] == ["dense/kernel", "dense_1/kernel", "dense_2/kernel"]
    own = keras.Sequential([layers.Input((4,)), layers.Dense(4, name="layer_7"), layers.Dense(2, name="dense_5")])
    assert drawn_names(own, parameters_of(own)) == {"dense_5/kernel": "dense/kernel", "dense_5/bias": "dense/bias"}
    chosen = penstock.plan(first, batch, names={next(iter(parameters_of(first))): "w"})
    assert chosen.entries[0].key_name == "w"


def case_frozen_layers_are_kept():
    model, batch = mlp()
    model.layers[0].trainable = False
    before = values(model)
    done = penstock.initialize(model, batch)
    assert values(model)[:2] == before[:2]
    assert values(model)[2] != before[2]
    assert [e.reason for e in done.plan.entries if e.recipe is None] == ["kept: frozen (requires no gradient)"] * 2
    assert not done.before.measured.parameters[done.plan.entries[0].name].trainable


def case_shared_layers_and_nested_models():
    shared = layers.Dense(8, name="shared")
    inner = keras.Sequential([layers.Input((8,)), layers.Dense(8, activation="relu", name="a")], name="inner")
    a, b = layers.Input((8,), name="left"), layers.Input((8,), name="right")
    model = keras.Model({"left": a, "right": b}, layers.Dense(3, name="out")(inner(shared(a)) + inner(shared(b))))
    batch = {"left": normal(32, 8), "right": normal(32, 8, seed=1)}
    done = penstock.initialize(model, batch)
    assert [e.name for e in done.plan.entries] == [
        *("shared/kernel", "shared/bias", "inner/a/kernel", "inner/a/bias", "out/kernel", "out/bias")
    ]
    assert done.before.measured.parameters["shared/kernel"].uses == 2
    assert errors(done.after) == []
    listed = keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))
    assert errors(penstock.initialize(listed, [batch["left"], batch["right"]]).after) == []


class TwoInputs(keras.Model):
    def __init__(self):
        super().__init__()
        # Two layers of one name: Keras's paths are alike.
        self.first, self.second = layers.Dense(6, name="same"), layers.Dense(6, name="same")

    def call(self, x, y):
        return self.first(x) * self.second(y)


def case_arguments_of_subclassed_models_and_equal_names():
    model = TwoInputs()
    by_name = penstock.check(model, {"x": normal(16, 5), "y": normal(16, 4, seed=1)})
    assert list(by_name.measured.parameters) == ["same/kernel", "same/bias", "same/kernel_1", "same/bias_1"]
    before = values(model)
    penstock.initialize(model, (normal(16, 5), normal(16, 4, seed=1)))
    assert values(model) != before


def case_losses_of_the_last_call_stay():
    made = [layers.Dense(6, activity_regularizer="l2", kernel_regularizer="l2"), layers.Dense(2)]
    model = keras.Sequential([layers.Input((5,)), *made])
    model(normal(8, 5))
    before = [float(loss) for loss in model.losses]
    penstock.check(model, normal(16, 5, seed=1))
    assert len(before) == 2
    assert [float(loss) for loss in model.losses] == before


def case_convolutional_lstm():
    body = [layers.ConvLSTM2D(3, 2), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([layers.Input((2, 4, 4, 2)), *body])
    assert errors(penstock.initialize(model, normal(4, 2, 4, 4, 2)).after) == []


def case_bfloat16_policies():
    made = [layers.Dense(16, activation="relu", dtype="mixed_bfloat16"), layers.Dense(4, dtype="float32")]
    model = keras.Sequential([layers.Input((16,)), *made])
    done = penstock.initialize(model, normal(32, 16))
    assert errors(done.after) == []
    assert [str(v.dtype) for v in model.weights] == ["float32"] * 4


def case_failures_change_nothing():
    model, batch = mlp()
    before = values(model)
    with pytest.raises(ModelError, match="Sequential must run on the batch; it raised"):
        penstock.initialize(model, normal(8, 15))
    with pytest.raises(ArgumentError, match="'dense/kernell' fits none"):
        penstock.initialize(model, batch, keep=["dense/kernell"])
    with pytest.raises(ArgumentError, match=r"seed must be an integer with 0 <= seed < 2\*\*64; got -1"):
        penstock.initialize(model, batch, seed=-1)
    with pytest.raises(ArgumentError, match="batch must hold at least one array"):
        penstock.check(model, "data")
    with pytest.raises(ArgumentError, match="batch must be finite; 1024 of 1024"):
        penstock.check(model, batch * np.nan)
    with pytest.raises(ModelError, match="loss must take the model's output"):
        penstock.initialize(model, batch, loss=lambda y: y.no_such_thing)
    with pytest.raises(ArgumentError, match="learning_rate needs the loss that will be trained"):
        penstock.initialize(model, batch, learning_rate=True)
    other = penstock.plan(keras.Sequential([layers.Input((16,)), layers.Dense(3, name="only")]), batch)
    with pytest.raises(ArgumentError, match="must have the parameters that were planned"):
        other.apply(model)
    with pytest.raises(ArgumentError, match="model must be built"):
        other.apply(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(UnsupportedError, match="a Keras model has its memory when it is built"):
        penstock.materialize(model, seed=0)
    assert values(model) == before
    assert all("call" not in layer.__dict__ for layer in model._flatten_layers())


def case_learning_rate():
    model, batch = mlp()
    labels = (batch @ normal(16, 4, seed=1)).argmax(1)

    def loss(output):
        return ops.mean(keras.losses.sparse_categorical_crossentropy(labels, output, from_logits=True))

    rate = penstock.initialize(model, batch, seed=1, loss=loss, learning_rate=True).plan.learning_rate
    assert rate is not None
    FACTS["rate"] = [rate.sgd, rate.adam]
    assert rate.sgd > 5 * rate.adam > 0.0


def case_fans_are_those_of_the_layers_own_pass():
    image, width = (12, 12), 24
    inside = (slice(None), slice(4, 8), slice(4, 8))
    for layer, shape, place in (
        (layers.Dense(36), (64, width), ()),
        (layers.EinsumDense("abc,cde->abde", (None, 6, 6)), (32, 4, width), ()),
        (layers.Conv1D(36, 3, padding="same"), (16, 12, width), inside[:2]),
        (layers.Conv2D(36, 3, padding="same"), (8, *image, width), inside),
        (layers.Conv2D(36, 3, padding="same", groups=2), (8, *image, width), inside),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), (8, *image, 96), inside),
        (layers.Conv2DTranspose(36, 3, padding="same"), (8, *image, width), inside),
        (
            layers.Conv2DTranspose(36, 4, strides=2, padding="same"),
            (8, *image, width),
            (slice(None), slice(8, 16), slice(8, 16)),
        ),
    ):
        x = normal(*shape)
        layer.build(x.shape)
        layer.kernel.assign(normal(*layer.kernel.shape, seed=1))
        y, pull = pass_of(layer, x)
        fans = penstock.fans(layer)
        assert_size(y[place], fans.fan_in, layer)
        back = pull(normal(*y.shape, seed=2))
        assert_size(back[inside[: len(place)]], fans.fan_out, layer)
        with pytest.raises(AssertionError, match="mean square"):
            assert_size(y[place], 1.5 * fans.fan_in, layer)


def pass_of(layer, x):
    """A layer's output, and its backward pass."""
    if BACKEND == "jax":
        import jax

        y, pull = jax.vjp(layer, x)
        return np.asarray(y), lambda g: np.asarray(pull(g)[0])
    if BACKEND == "tensorflow":
        import tensorflow as tf

        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            made = layer(given)
        return made.numpy(), lambda g: tape.gradient(made, given, g).numpy()
    import torch

    leaf = torch.from_numpy(x).requires_grad_()
    y = layer(leaf)
    return y.detach().numpy(), lambda g: torch.autograd.grad(y, leaf, torch.from_numpy(g))[0].numpy()


def assert_size(signal, expected, layer):
    """The mean square is the expected one, within 5 standard errors of the channels' own mean squares."""
    squares = (signal**2).reshape(-1, signal.shape[-1]).mean(0)
    error = squares.std(ddof=1) / np.sqrt(squares.size)
    assert abs(squares.mean() - expected) < STANDARD_ERRORS * error, (
        f"mean square of {layer.name}: {squares.mean()}, {expected}"
    )


def case_axes_that_layers_declare():
    built = {
        "attention": (layers.MultiHeadAttention(4, 6, name="a"), [(None, 5, 24)] * 2),
        "lstm": (layers.LSTM(8, name="l"), [(None, 5, 6)]),
        "gru": (layers.GRU(8, name="g"), [(None, 5, 6)]),
        "lookup": (layers.Embedding(50, 8, name="e"), [(None, 5)]),
        "separable": (layers.SeparableConv2D(10, 3, name="s"), [(None, 8, 8, 6)]),
    }
    found = {}
    for layer, shapes in built.values():
        layer.build(*shapes)
        found |= {name: row.fans for name, row in penstock.fans(layer).items() if row.fans is not None}
    fans = {name: (f.fan_in, f.fan_out) for name, f in found.items()}
    assert fans == {
        "query/kernel": (24.0, 24.0),
        "key/kernel": (24.0, 24.0),
        "value/kernel": (24.0, 24.0),
        "attention_output/kernel": (24.0, 24.0),
        "lstm_cell/kernel": (6.0, 8.0),
        "lstm_cell/recurrent_kernel": (8.0, 8.0),
        "gru_cell/kernel": (6.0, 8.0),
        "gru_cell/recurrent_kernel": (8.0, 8.0),
        "embeddings": (1.0, 8.0),
        "depthwise_kernel": (9.0, 9.0),
        "pointwise_kernel": (6.0, 10.0),
    }, fans


def case_declared_axes_are_those_that_the_operations_show():
    if BACKEND == "torch":
        return
    seen = 0
    for make in (mlp, cnn, resnet):
        model, batch = make()
        known = parameters_of(model)
        for name, shown in shown_axes(model, batch):
            declared = known[name].declared.geometry
            assert (shown.fans, shown.order) == (declared.fans, declared.order), name
            seen += 1
    assert seen >= 8


def shown_axes(model, batch):
    """The axes of each weight as the operations of the backend show them, whatever the layers declare."""
    if BACKEND == "tensorflow":
        from penstock.keras.tensorflow.target import batch_of, target_of
        from penstock.keras.tensorflow.tracer import trace

        steps = trace(target_of(model), batch_of(call_of(model, batch))).trace.recording.steps
    else:
        from dataclasses import replace

        from penstock.jax.measure.batch import arguments
        from penstock.jax.trace.tracer import trace
        from penstock.keras.on_jax import target_of

        steps = trace(replace(target_of(model, "check"), declared={}), arguments((batch,))).graph.nodes
    return [(s.parameters[0], s.geometry) for s in steps if s.kind == "contraction" and s.geometry is not None]


def case_other_backends_are_refused():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(2)])
    before, module = values(model), BACKENDS.pop(BACKEND)
    try:
        for door in (penstock.check, penstock.plan, penstock.initialize):
            with pytest.raises(
                UnsupportedError, match=f"one of the backends [a-z, ]*; it runs on {BACKEND}[^?]*BACKEND="
            ):
                door(model, normal(8, 4))
    finally:
        BACKENDS[BACKEND] = module
    assert values(model) == before
    assert penstock.fans(model).fan_in == 4.0


CASES = (
    family_cases.CASES
    | recurrent_cases.CASES
    | {name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")}
)
if BACKEND == "tensorflow":
    import tensorflow_cases

    CASES |= tensorflow_cases.CASES


def failures():
    """The traceback of each case that fails."""
    told = {}
    for name, case in CASES.items():
        try:
            case()
        except Exception:
            told[name] = traceback.format_exc()
    return told


if __name__ == "__main__":
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(1)
    failed = failures()
    facts = {"facts": FACTS, "families": family_cases.FACTS}
    print(json.dumps({"backend": BACKEND, "cases": sorted(CASES), "failures": failed, **facts}))
    sys.exit(0)
