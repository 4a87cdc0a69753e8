"""`recipe_of(..., convention="keras")` and `layer_defaults("keras")` against Keras itself."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from conventions.framework_laws import assert_same_law_and_power

from penstock.conventions import as_seen_by, layer_defaults, recipe_of
from penstock.geometry import Geometry

# A folder of that name among the tests would pass for the package itself.
pytest.importorskip("keras.layers")
keras = importlib.import_module("keras")

# TensorFlow's variables have an __array__ of before NumPy 2; Keras calls np.array on them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SHAPES = [(300, 400), (5, 5, 40, 60)]
CLASSES = [
    ("HeNormal", "he_normal", {}),
    ("HeUniform", "he_uniform", {}),
    ("GlorotNormal", "glorot_normal", {}),
    ("GlorotUniform", "glorot_uniform", {}),
    ("LecunNormal", "lecun_normal", {}),
    ("LecunUniform", "lecun_uniform", {}),
    ("RandomNormal", "random_normal", {}),
    ("RandomNormal", "random_normal", {"mean": 0.3, "stddev": 0.2}),
    ("RandomUniform", "random_uniform", {}),
    ("RandomUniform", "random_uniform", {"minval": 0.1, "maxval": 0.4}),
    ("TruncatedNormal", "truncated_normal", {}),
    ("TruncatedNormal", "truncated_normal", {"mean": 0.3, "stddev": 0.2}),
    ("Orthogonal", "orthogonal", {"gain": 0.7}),
    ("Constant", "constant", {"value": 0.25}),
    ("VarianceScaling", "variance_scaling", {}),
    ("VarianceScaling", "variance_scaling", {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"}),
    ("VarianceScaling", "variance_scaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform"}),
]
DENSE = Geometry((300, 400), in_axes=(0,), out_axes=(1,))
CONV = Geometry((5, 5, 20, 80), in_axes=(2,), out_axes=(3,), window_axes=(0, 1), groups=2)
TRANSPOSED = Geometry((4, 4, 60, 40), (3,), (2,), (0, 1), split="out", stride=4, transposed=True)
TABLE = Geometry((500, 80), in_axes=(0,), out_axes=(1,), lookup=True)
HEADS = Geometry((200, 8, 25), in_axes=(0,), out_axes=(1, 2))
BACK = Geometry((8, 25, 200), in_axes=(0, 1), out_axes=(2,))
SQUARE = Geometry((200, 200), in_axes=(0,), out_axes=(1,))


def gates(count):
    return Geometry((200, 200 * count), in_axes=(0,), out_axes=(1,), blocks=(200,) * count)


def built(layer, *shapes):
    layer.build(*shapes)
    return layer


ROWS = [
    ("Linear", "weight", lambda: built(keras.layers.Dense(400), (1, 300)).kernel, DENSE),
    ("Linear", "bias", lambda: built(keras.layers.Dense(400), (1, 300)).bias, DENSE),
    ("Conv", "weight", lambda: built(keras.layers.Conv2D(80, 5, groups=2), (1, 9, 9, 40)).kernel, CONV),
    (
        "ConvTranspose",
        "weight",
        lambda: built(keras.layers.Conv2DTranspose(60, 4, 2), (1, 9, 9, 40)).kernel,
        TRANSPOSED,
    ),
    ("Embedding", "weight", lambda: built(keras.layers.Embedding(500, 80), (1, 3)).embeddings, TABLE),
    ("RNN", "input", lambda: built(keras.layers.SimpleRNNCell(200), (1, 200)).kernel, SQUARE),
    ("RNN", "recurrent", lambda: built(keras.layers.SimpleRNNCell(200), (1, 200)).recurrent_kernel, SQUARE),
    ("LSTM", "input", lambda: built(keras.layers.LSTMCell(200), (1, 200)).kernel, gates(4)),
    ("LSTM", "recurrent", lambda: built(keras.layers.LSTMCell(200), (1, 200)).recurrent_kernel, gates(4)),
    ("LSTM", "bias", lambda: built(keras.layers.LSTMCell(200), (1, 200)).bias, gates(4)),
    ("GRU", "input", lambda: built(keras.layers.GRUCell(200), (1, 200)).kernel, gates(3)),
    ("GRU", "recurrent", lambda: built(keras.layers.GRUCell(200), (1, 200)).recurrent_kernel, gates(3)),
    ("GRU", "bias", lambda: built(keras.layers.GRUCell(200), (1, 200)).bias, gates(3)),
    ("Norm", "weight", lambda: built(keras.layers.LayerNormalization(), (1, 9)).gamma, DENSE),
    ("Norm", "bias", lambda: built(keras.layers.LayerNormalization(), (1, 9)).beta, DENSE),
]


@pytest.fixture(autouse=True)
def same_start():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("cls", "name", "arguments"), CLASSES)
def test_initializers(cls, name, arguments, shape):
    taps = tuple(range(len(shape) - 2))
    geometry = Geometry(shape, (len(shape) - 2,), (len(shape) - 1,), window_axes=taps)
    values = keras.ops.convert_to_numpy(getattr(keras.initializers, cls)(**arguments)(shape))
    assert_same_law_and_power(values, recipe_of(name, convention="keras", **arguments), geometry)


@pytest.mark.parametrize(("layer", "parameter", "make", "weight"), ROWS, ids=[f"{r[0]} {r[1]}" for r in ROWS])
def test_layers(layer, parameter, make, weight):
    values = keras.ops.convert_to_numpy(make())
    recipe = layer_defaults("keras")[layer][parameter](weight)
    geometry = weight if values.shape == weight.shape else Geometry(values.shape)
    # The recurrent weights are one orthogonal matrix over all gates.
    seen = as_seen_by("keras", geometry) if parameter == "recurrent" else geometry
    assert_same_law_and_power(values, recipe, seen)


def test_attention():
    layer = keras.layers.MultiHeadAttention(8, 25)
    layer.build((1, 3, 200), (1, 3, 200))
    for dense, parameter, weight in (
        (layer.query_dense, "in_proj", HEADS),
        (layer.output_dense, "out_proj", BACK),
    ):
        recipe = layer_defaults("keras")["Attention"][parameter](weight)
        assert_same_law_and_power(keras.ops.convert_to_numpy(dense.kernel), recipe, weight)


def test_a_depthwise_kernel_counts_all_channels_as_inputs():
    kernel = built(keras.layers.DepthwiseConv2D(7, depth_multiplier=2), (1, 9, 9, 300)).kernel
    seen = Geometry((7, 7, 300, 2), in_axes=(2,), out_axes=(3,), window_axes=(0, 1))
    recipe = recipe_of("glorot_uniform", convention="keras")
    assert_same_law_and_power(keras.ops.convert_to_numpy(kernel), recipe, seen)
    assert np.prod(seen.shape) == seen.fans.fan_in * 2
