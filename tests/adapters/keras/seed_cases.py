"""Keras's versions of the pairs in `jax_pairs.py`: a seed alone must start them with PyTorch's bits.

Run as a program, on a backend, it prints for each pair and seed which parameters differ. Not collected by pytest:
`test_seeds.py` runs it.
"""

from __future__ import annotations

import json
import sys

import jax_pairs
import keras
import numpy as np
import torch
from keras import layers, ops

import penstock
from penstock.keras.models import parameters_of

LAST = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "scale": "weight", "beta": "bias"}
SEEDS = (3,) if keras.backend.backend() == "jax" else (0, 3, 11)


def dense(name, width, **options):
    return layers.Dense(width, name=name, **options)


def conv(name, width, size=3, **options):
    return layers.Conv2D(width, size, name=name, **{"padding": "same", "use_bias": False, **options})


def batch_norm(name):
    return layers.BatchNormalization(epsilon=1e-5, name=name)


def norm(name):
    return layers.LayerNormalization(epsilon=1e-5, name=name)


def mlp(x):
    return dense("c", 5)(dense("b", 32, activation="tanh")(dense("a", 32, activation="relu")(x)))


def cnn(x):
    x = layers.AveragePooling2D(2)(conv("c1", 16, use_bias=True, activation="relu")(x))
    x = layers.ZeroPadding2D(1)(x)
    x = conv("c2", 24, strides=2, padding="valid", use_bias=True, activation="gelu")(x)
    return dense("head", 5)(layers.GlobalAveragePooling2D()(x))


def resnet(x):
    x = layers.ReLU()(batch_norm("norm")(conv("stem", 16)(x)))
    for i in range(2):
        y = layers.ReLU()(batch_norm(f"blocks-{i}-n1")(conv(f"blocks-{i}-c1", 16)(x)))
        x = layers.ReLU()(x + batch_norm(f"blocks-{i}-n2")(conv(f"blocks-{i}-c2", 16)(y)))
    return dense("head", 5)(layers.GlobalAveragePooling2D()(x))


def transformer(ids):
    x = layers.Embedding(40, 32, name="tokens")(ids)
    for i in range(2):
        y = norm(f"layers-{i}-n1")(x)
        q, k, v = (ops.reshape(dense(f"layers-{i}-{part}", 32)(y), (-1, 12, 4, 8)) for part in "qkv")
        weights = ops.softmax(ops.einsum("bthd,bshd->bhts", q, k) / 8**0.5)
        mixed = ops.reshape(ops.einsum("bhts,bshd->bthd", weights, v), (-1, 12, 32))
        x = x + dense(f"layers-{i}-o", 32)(mixed)
        up = dense(f"layers-{i}-up", 128, activation="gelu")(norm(f"layers-{i}-n2")(x))
        x = x + dense(f"layers-{i}-down", 32)(up)
    return dense("head", 40, use_bias=False)(norm("norm")(x))


def separable(x):
    x = batch_norm("n1")(conv("depth", 16, groups=16)(conv("stem", 16, activation="relu")(x)))
    x = batch_norm("n2")(conv("point", 32, 1)(ops.hard_swish(x)))
    return dense("head", 5)(layers.GlobalMaxPooling2D()(ops.relu6(x)))


class Tied(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens, self.mix, self.norm = layers.Embedding(30, 24, name="tokens"), dense("mix", 24), norm("norm")

    def call(self, ids):
        x = self.tokens(ids)
        return ops.matmul(self.norm(x + ops.tanh(self.mix(x))), ops.transpose(self.tokens.embeddings))


class LSTM(keras.Model):
    def __init__(self):
        super().__init__()
        self.x, self.h, self.head = dense("x", 64), dense("h", 64, use_bias=False), dense("head", 3)

    def call(self, x):
        h = c = ops.zeros((x.shape[0], 16))
        for t in range(x.shape[1]):
            i, f, g, o = ops.split(self.x(x[:, t]) + self.h(h), 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
        return self.head(h)


def gated(x):
    made = ops.silu(dense("gate", 48, use_bias=False)(x)) * dense("up", 48, use_bias=False)(x)
    x = layers.RMSNormalization(epsilon=1e-6, name="norm")(x + dense("down", 12, use_bias=False)(made))
    return dense("head", 5)(x)


FUNCTIONS = {f.__name__: f for f in (mlp, cnn, resnet, transformer, separable, gated)}
CLASSES = {"tied": Tied, "lstm": LSTM}


def twin_of(name, batch):
    """The model, built."""
    if name in CLASSES:
        model = CLASSES[name]()
        model(batch)
        return model
    inputs = layers.Input(batch.shape[1:], dtype=str(batch.dtype))
    return keras.Model(inputs, FUNCTIONS[name](inputs))


def torch_name(name):
    """PyTorch's name of a parameter."""
    path, _, last = name.rpartition("/")
    return f"{path.replace('-', '.')}.{LAST.get(last, last)}"


def array(variable):
    return np.asarray(ops.convert_to_numpy(variable))


def in_layout(values, like):
    """PyTorch's values in Keras's layout."""
    if values.ndim == 4:
        return values.transpose(2, 3, 1, 0)
    return values if values.shape == like.shape and like.ndim == 1 else values.T


def started(name, *, seed, own_seed):
    """Which parameters differ between PyTorch's model and Keras's, each started by its seed."""
    pair = jax_pairs.PAIRS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = pair.torch()
    x, _ = pair.inputs()
    batch = x.numpy().transpose(0, 2, 3, 1) if x.ndim == 4 else x.numpy()
    batch = batch.astype("int32") if batch.dtype.kind == "i" else np.ascontiguousarray(batch)
    twin = twin_of(name, batch)
    known = parameters_of(twin)
    names = {own: torch_name(own) for own in known}
    penstock.initialize(model, x, seed=seed)
    penstock.initialize(twin, batch, seed=own_seed, names=names)
    values = {n: p.detach().numpy() for n, p in model.named_parameters()}
    assert sorted(names.values()) == sorted(values), (sorted(names.values()), sorted(values))
    differ = []
    for own, theirs in names.items():
        found = array(known[own].variable)
        # A look-up table lies alike in both.
        expected = values[theirs] if own.endswith("embeddings") else in_layout(values[theirs], found)
        if not np.array_equal(found, expected):
            differ.append(theirs)
    return differ


if __name__ == "__main__":
    torch.set_num_threads(1)
    pairs = sys.argv[1:] or list(jax_pairs.PAIRS)
    told = {name: {seed: started(name, seed=seed, own_seed=seed) for seed in SEEDS} for name in pairs}
    told["control"] = started("mlp", seed=0, own_seed=1)
    print(json.dumps(told))
