"""Eight families of Keras models, each right and broken: what must be told of them alike on every backend.

See `model_cases.py`: `FACTS` are compared between the backends.
"""

from __future__ import annotations

import hashlib

import keras
import numpy as np
from keras import layers, ops

import penstock
from penstock.keras.models import parameters_of

FACTS = {}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def integers(*shape, high):
    return np.random.default_rng(0).integers(0, high, shape)


def mlp():
    made = [layers.Dense(32, activation="relu"), layers.Dense(32, activation="tanh"), layers.Dense(4)]
    return keras.Sequential([layers.Input((16,)), *made]), normal(64, 16)


def cnn():
    body = [layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
    more = [layers.Conv2D(12, 3, strides=2, padding="same", activation="gelu"), layers.Flatten(), layers.Dense(3)]
    return keras.Sequential([layers.Input((10, 10, 3)), *body, *more]), normal(16, 10, 10, 3)


def resnet():
    inputs = layers.Input((8, 8, 3))
    h = layers.Conv2D(8, 3, padding="same")(inputs)
    for _ in range(2):
        z = layers.Conv2D(8, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(h)))
        h = layers.Add()([h, layers.Conv2D(8, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(z)))])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(h)))), normal(16, 8, 8, 3)


class Transformer(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = layers.Embedding(30, 16), layers.Embedding(8, 16, name="position")
        self.norms = [layers.LayerNormalization() for _ in range(3)]
        self.attention = layers.MultiHeadAttention(2, 8)
        self.up, self.down, self.head = layers.Dense(32, activation="gelu"), layers.Dense(16), layers.Dense(30)

    def call(self, ids):
        x = self.tokens(ids) + self.positions(ops.arange(ids.shape[1]))
        z = self.norms[0](x)
        x = x + self.attention(z, z, use_causal_mask=True)
        x = x + self.down(self.up(self.norms[1](x)))
        return self.head(self.norms[2](x))


def transformer():
    return Transformer(), integers(8, 6, high=30)


def lstm():
    body = [layers.Embedding(20, 12), layers.LSTM(12, return_sequences=True), layers.LSTM(8), layers.Dense(3)]
    return keras.Sequential([layers.Input((5,)), *body]), integers(16, 5, high=20)


def separable():
    body = [layers.SeparableConv2D(12, 3, activation="relu"), layers.DepthwiseConv2D(3, depth_multiplier=2)]
    more = [layers.ReLU(), layers.Conv2D(8, 1, groups=2), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    return keras.Sequential([layers.Input((9, 9, 4)), *body, *more]), normal(16, 9, 9, 4)


class Tied(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens, self.mix, self.norm = layers.Embedding(40, 16), layers.Dense(16), layers.LayerNormalization()

    def call(self, ids):
        x = self.tokens(ids)
        return ops.matmul(self.norm(x + ops.tanh(self.mix(x))), ops.transpose(self.tokens.embeddings))


def tied():
    return Tied(), integers(16, 6, high=40)


class Gated(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm = layers.RMSNormalization()
        self.gate, self.up = layers.Dense(32, use_bias=False), layers.Dense(32, use_bias=False)
        self.down, self.head = layers.Dense(16, use_bias=False), layers.Dense(4)

    def call(self, x):
        z = self.norm(x)
        return self.head(x + self.down(ops.silu(self.gate(z)) * self.up(z)))


def gated():
    return Gated(), normal(32, 16)


def scaled(factor):
    return lambda w: factor * w


def same_everywhere(w):
    return np.full_like(w, 0.1)


FAMILIES = {
    mlp: ("dense/kernel", scaled(1e-4)),
    cnn: ("conv2d_1/kernel", same_everywhere),
    resnet: ("conv2d_2/kernel", scaled(1e3)),
    transformer: ("dense/kernel", scaled(0.0)),
    lstm: ("lstm/lstm_cell/kernel", scaled(100.0)),
    separable: ("separable_conv2d/pointwise_kernel", same_everywhere),
    tied: ("embedding/embeddings", scaled(1e4)),
    gated: ("dense/kernel", scaled(0.0)),
}
"""Model -> the parameter that is broken in its second version, and how."""


def squares(output):
    """A loss that is the same on every backend."""
    return ops.mean(ops.square(output - 1.0))


def told(report, drawn):
    """What a report says: findings, the signals of each weight, the gradient of each parameter."""
    measured = report.measured
    signals = {}
    for node in measured.graph.nodes:
        if node.kind == "contraction" and (stats := measured.signals[node.index]) is not None:
            signals.setdefault(drawn[node.parameters[0]], [stats.rms, stats.grad_rms or 0.0])
    return {
        "codes": sorted({f.code for f in report.findings}),
        "errors": sorted({f.code for f in report.findings if f.severity == "error"}),
        "signals": signals,
        "gradients": {drawn[name]: stats.grad_rms or 0.0 for name, stats in measured.parameters.items()},
    }


def family(make):
    """A model right and broken."""
    damaged, damage = FAMILIES[make]
    model, batch = make()
    plan = penstock.plan(model, batch)
    plan.apply(model, seed=1)
    known, drawn = parameters_of(model), {e.name: e.key_name for e in plan.entries}
    bits = {drawn[n]: ops.convert_to_numpy(one.variable).tobytes() for n, one in known.items()}
    right = told(penstock.check(model, batch, loss=squares), drawn)
    variable = next(one.variable for name, one in known.items() if drawn[name].endswith(damaged))
    variable.assign(damage(np.asarray(ops.convert_to_numpy(variable))))
    broken = told(penstock.check(model, batch, loss=squares), drawn)
    assert right["errors"] == [], right
    assert set(broken["codes"]) - set(right["codes"]), broken
    FACTS[make.__name__] = {
        "recipes": {e.key_name: repr(e.recipe) for e in plan.entries},
        "bits": {name: hashlib.blake2b(each, digest_size=8).hexdigest() for name, each in bits.items()},
        "right": right,
        "broken": broken,
    }


def case_family_mlp():
    family(mlp)


def case_family_cnn_with_batch_norm():
    family(cnn)


def case_family_resnet():
    family(resnet)


def case_family_transformer():
    family(transformer)


def case_family_lstm():
    family(lstm)


def case_family_depthwise_separable():
    family(separable)


def case_family_tied_embedding():
    family(tied)


def case_family_gated_mlp():
    family(gated)


CASES = {name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")}
