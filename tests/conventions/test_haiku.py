"""`recipe_of(..., convention="haiku")` and `layer_defaults("haiku")` against dm-haiku."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from conventions.framework_laws import assert_same_law_and_power

from penstock.conventions import layer_defaults, recipe_of
from penstock.geometry import Geometry

# A folder of that name among the tests would pass for the package itself.
pytest.importorskip("jax.numpy")
jax = importlib.import_module("jax")
hk = pytest.importorskip("haiku")

SHAPES = [(300, 400), (5, 5, 40, 60)]
CLASSES = [
    ("RandomNormal", "random_normal", {"stddev": 0.3, "mean": 0.1}),
    ("TruncatedNormal", "truncated_normal", {}),
    ("TruncatedNormal", "truncated_normal", {"stddev": 0.3, "mean": 0.1}),
    ("RandomUniform", "random_uniform", {}),
    ("VarianceScaling", "variance_scaling", {}),
    ("VarianceScaling", "variance_scaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "normal"}),
    ("VarianceScaling", "variance_scaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"}),
    ("Orthogonal", "orthogonal", {"scale": 0.7}),
    ("Constant", "constant", {"constant": 0.25}),
]
DENSE = Geometry((300, 400), in_axes=(0,), out_axes=(1,))
CONV = Geometry((5, 5, 20, 80), in_axes=(2,), out_axes=(3,), window_axes=(0, 1), groups=2)
TRANSPOSED = Geometry((4, 4, 60, 40), (3,), (2,), (0, 1), split="out", stride=4, transposed=True)
TABLE = Geometry((500, 80), in_axes=(0,), out_axes=(1,), lookup=True)


def gru():
    return lambda x: hk.GRU(200)(x, np.zeros((1, 200)))[0]


def lstm():
    core = hk.LSTM(100)
    return lambda x: core(x, core.initial_state(1))[0]


ROWS = [
    ("Linear", "weight", lambda: hk.Linear(400), (1, 300), "w", DENSE),
    ("Linear", "bias", lambda: hk.Linear(400), (1, 300), "b", DENSE),
    ("Conv", "weight", lambda: hk.Conv2D(80, 5, feature_group_count=2), (1, 9, 9, 40), "w", CONV),
    ("ConvTranspose", "weight", lambda: hk.Conv2DTranspose(60, 4, 2), (1, 9, 9, 40), "w", TRANSPOSED),
    ("Norm", "weight", lambda: hk.LayerNorm(-1, True, True), (1, 9), "scale", DENSE),
    ("Norm", "bias", lambda: hk.LayerNorm(-1, True, True), (1, 9), "offset", DENSE),
    ("GRU", "input", gru, (1, 200), "w_i", None),
    ("GRU", "recurrent", gru, (1, 200), "w_h", None),
    ("LSTM", "weight", lstm, (1, 100), "w", None),
]


def parameter_of(make, inputs, name):
    def forward(x):
        return make()(x)  # modules of Haiku may be made within the transformation only

    parameters = hk.transform(forward).init(jax.random.PRNGKey(0), inputs)
    found = [np.asarray(values[name]) for values in parameters.values() if name in values]
    return found[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("cls", "name", "arguments"), CLASSES)
def test_initializers(cls, name, arguments, shape):
    taps = tuple(range(len(shape) - 2))
    geometry = Geometry(shape, (len(shape) - 2,), (len(shape) - 1,), window_axes=taps)

    def make():
        return lambda _: hk.get_parameter("w", shape, init=getattr(hk.initializers, cls)(**arguments))

    values = parameter_of(make, np.zeros(1, np.float32), "w")
    assert_same_law_and_power(values, recipe_of(name, convention="haiku", **arguments), geometry)


@pytest.mark.parametrize(
    ("layer", "parameter", "make", "shape", "name", "weight"), ROWS, ids=[f"{r[0]} {r[1]}" for r in ROWS]
)
def test_layers(layer, parameter, make, shape, name, weight):
    values = parameter_of(make, np.zeros(shape, np.float32), name)
    weight = weight or Geometry(values.shape, in_axes=(0,), out_axes=(1,))
    recipe = layer_defaults("haiku")[layer][parameter](weight)
    geometry = weight if values.shape == weight.shape else Geometry(values.shape)
    assert_same_law_and_power(values, recipe, geometry)


def test_embedding():
    values = parameter_of(lambda: hk.Embed(500, 80), np.zeros(1, np.int32), "embeddings")
    assert_same_law_and_power(values, layer_defaults("haiku")["Embedding"]["weight"](TABLE), TABLE)
