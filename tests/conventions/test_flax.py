"""`layer_defaults("flax")` against the layers of flax.linen and flax.nnx."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from conventions.framework_laws import assert_same_law_and_power

from penstock.conventions import layer_defaults
from penstock.geometry import Geometry

# A folder of that name among the tests would pass for the package itself.
pytest.importorskip("jax.numpy")
jax = importlib.import_module("jax")
pytest.importorskip("flax.linen")
from flax import linen, nnx  # noqa: E402

DENSE = Geometry((300, 400), in_axes=(0,), out_axes=(1,))
CONV = Geometry((5, 5, 20, 80), in_axes=(2,), out_axes=(3,), window_axes=(0, 1), groups=2)
TRANSPOSED = Geometry((4, 4, 40, 60), (2,), (3,), (0, 1), split="out", stride=4, transposed=True)
TABLE = Geometry((500, 80), in_axes=(0,), out_axes=(1,), lookup=True)
SQUARE = Geometry((200, 200), in_axes=(0,), out_axes=(1,))
HEADS = Geometry((200, 8, 25), in_axes=(0,), out_axes=(1, 2))
BACK = Geometry((8, 25, 200), in_axes=(0, 1), out_axes=(2,))

ROWS = [
    ("Linear", "weight", lambda: (linen.Dense(400), (1, 300)), ("kernel",), DENSE),
    ("Linear", "bias", lambda: (linen.Dense(400), (1, 300)), ("bias",), DENSE),
    ("Conv", "weight", lambda: (linen.Conv(80, (5, 5), feature_group_count=2), (1, 9, 9, 40)), ("kernel",), CONV),
    (
        "ConvTranspose",
        "weight",
        lambda: (linen.ConvTranspose(60, (4, 4), (2, 2)), (1, 9, 9, 40)),
        ("kernel",),
        TRANSPOSED,
    ),
    ("Norm", "weight", lambda: (linen.LayerNorm(), (1, 9)), ("scale",), DENSE),
    ("Norm", "bias", lambda: (linen.LayerNorm(), (1, 9)), ("bias",), DENSE),
    ("Attention", "in_proj", lambda: (linen.MultiHeadDotProductAttention(8), (1, 3, 200)), ("query", "kernel"), HEADS),
    ("Attention", "out_proj", lambda: (linen.MultiHeadDotProductAttention(8), (1, 3, 200)), ("out", "kernel"), BACK),
    ("Attention", "in_proj_bias", lambda: (linen.MultiHeadDotProductAttention(8), (1, 3, 200)), ("key", "bias"), HEADS),
]
CELLS = [
    ("LSTM", "input", linen.LSTMCell, ("ii", "kernel")),
    ("LSTM", "recurrent", linen.LSTMCell, ("hi", "kernel")),
    ("LSTM", "recurrent", linen.OptimizedLSTMCell, ("hf", "kernel")),
    ("LSTM", "bias", linen.LSTMCell, ("hf", "bias")),
    ("GRU", "input", linen.GRUCell, ("ir", "kernel")),
    ("GRU", "recurrent", linen.GRUCell, ("hn", "kernel")),
    ("RNN", "input", linen.SimpleCell, ("i", "kernel")),
    ("RNN", "recurrent", linen.SimpleCell, ("h", "kernel")),
]


def pick(parameters, path):
    for name in path:
        parameters = parameters[name]
    return np.asarray(parameters)


def compare(layer, parameter, values, weight):
    geometry = weight if values.shape == weight.shape else Geometry(values.shape)
    assert_same_law_and_power(values, layer_defaults("flax")[layer][parameter](weight), geometry)


@pytest.mark.parametrize(("layer", "parameter", "make", "path", "weight"), ROWS)
def test_linen(layer, parameter, make, path, weight):
    module, shape = make()
    variables = module.init(jax.random.key(0), np.zeros(shape, np.float32))
    compare(layer, parameter, pick(variables["params"], path), weight)


def test_linen_embedding():
    variables = linen.Embed(500, 80).init(jax.random.key(0), np.zeros((1,), np.int32))
    compare("Embedding", "weight", pick(variables["params"], ("embedding",)), TABLE)


@pytest.mark.parametrize(("layer", "parameter", "cell", "path"), CELLS)
def test_linen_cells(layer, parameter, cell, path):
    module = cell(features=200)
    inputs = np.zeros((1, 200), np.float32)
    carry = module.initialize_carry(jax.random.key(0), inputs.shape)
    compare(layer, parameter, pick(module.init(jax.random.key(0), carry, inputs)["params"], path), SQUARE)


def test_nnx():
    rngs = nnx.Rngs(0)
    compare("Linear", "weight", np.asarray(nnx.Linear(300, 400, rngs=rngs).kernel[...]), DENSE)
    compare("Embedding", "weight", np.asarray(nnx.Embed(500, 80, rngs=rngs).embedding[...]), TABLE)
    conv = nnx.Conv(40, 80, (5, 5), feature_group_count=2, rngs=rngs)
    compare("Conv", "weight", np.asarray(conv.kernel[...]), CONV)
