"""What must hold of `penstock.keras` on a backend. Run as a program it tries each case and prints the failures as JSON.

Not collected by pytest: Keras has one backend a process, so `test_backends.py` runs this file once for each.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback

import keras
import numpy as np
import promise_cases
import pytest
from keras import layers, ops

import penstock.keras as pk
from penstock import UnsupportedError
from penstock.geometry import Geometry
from penstock.randomness import fill, key_for
from penstock.recipes import Normal, Orthogonal, VarianceScaling

BACKEND = keras.backend.backend()
SHAPE = (70, 33)
GEOMETRY = Geometry(SHAPE, in_axes=(0,), out_axes=(1,))
RANDOM = {
    "he_normal": (pk.HeNormal, VarianceScaling(2.0**0.5, "fan_in", "truncated_normal")),
    "he_uniform": (pk.HeUniform, VarianceScaling(2.0**0.5, "fan_in", "uniform")),
    "glorot_normal": (pk.GlorotNormal, VarianceScaling(1.0, "fan_avg", "truncated_normal")),
    "glorot_uniform": (pk.GlorotUniform, VarianceScaling(1.0, "fan_avg", "uniform")),
    "lecun_normal": (pk.LecunNormal, VarianceScaling(1.0, "fan_in", "truncated_normal")),
    "lecun_uniform": (pk.LecunUniform, VarianceScaling(1.0, "fan_in", "uniform")),
    "random_normal": (pk.RandomNormal, Normal(0.05)),
}
OTHERS = (pk.RandomUniform, pk.TruncatedNormal, pk.VarianceScaling, pk.Orthogonal)


def array(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def same(tensor, expected):
    values = array(tensor)
    assert values.dtype == expected.dtype, (values.dtype, expected.dtype)
    assert values.shape == expected.shape, (values.shape, expected.shape)
    return values.tobytes() == expected.tobytes()


def differ(first, second):
    return not np.array_equal(array(first), array(second))


def case_float32_bits_are_numpys():
    for make, recipe in RANDOM.values():
        assert same(make(seed=3, name="w")(SHAPE), recipe.draw(GEOMETRY, key_for(3, "w"))), make
        assert not same(make(seed=4, name="w")(SHAPE), recipe.draw(GEOMETRY, key_for(3, "w"))), make


def case_half_precision_bits_are_numpys():
    for stddev in (0.02, 1e-6):
        expected = fill("normal", SHAPE, key_for(3, "w"), scale=stddev, dtype=np.float16)
        assert same(pk.RandomNormal(stddev=stddev, seed=3, name="w")(SHAPE, dtype="float16"), expected)
        drawn = pk.RandomNormal(stddev=stddev, seed=3, name="w")(SHAPE, dtype="bfloat16")
        expected = np.zeros(SHAPE, np.uint16)
        fill("normal", SHAPE, key_for(3, "w"), scale=stddev, dtype="bfloat16", out=expected)
        # Every bfloat16 is a float32 whose low half is 0.
        assert same(ops.cast(drawn, "float32"), (expected.astype(np.uint32) << 16).view(np.float32))


def case_a_reused_instance_never_repeats_itself():
    for make in (*(make for make, _ in RANDOM.values()), *OTHERS):
        for seed in (None, 5, keras.random.SeedGenerator(5)):
            instance = make(seed=seed)
            first, second, third = (instance((8, 8)) for _ in range(3))
            assert differ(first, second), (make, seed)
            assert differ(second, third), (make, seed)
            assert differ(first, third), (make, seed)


def case_layers_that_share_an_instance_differ():
    shared = pk.HeNormal(seed=1)
    model = keras.Sequential([layers.Input((6,)), *(layers.Dense(6, kernel_initializer=shared) for _ in range(3))])
    kernels = [array(layer.kernel) for layer in model.layers]
    assert all(differ(kernels[i], kernels[j]) for i in range(3) for j in range(i))
    shared = pk.HeNormal(seed=1)
    einsum = [layers.EinsumDense("ab,bc->ac", 6, kernel_initializer=shared) for _ in range(2)]
    for layer in einsum:
        layer.build((None, 6))
    assert differ(einsum[0].kernel, einsum[1].kernel)


def case_same_seed_and_order_give_the_same_weights():
    def kernels():
        shared = pk.GlorotUniform(seed=9)
        model = keras.Sequential([layers.Input((6,)), *(layers.Dense(6, kernel_initializer=shared) for _ in range(2))])
        return [array(weight) for weight in model.weights]

    for first, second in zip(kernels(), kernels(), strict=True):
        np.testing.assert_array_equal(first, second)


def case_set_random_seed_governs_unseeded_ones():
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        drawn.append(pk.HeNormal()((4, 4)))
    assert not differ(drawn[0], drawn[1])
    assert differ(drawn[0], drawn[2])


def case_seed_generators_repeat_with_their_seed():
    first, second = (pk.HeNormal(seed=keras.random.SeedGenerator(7)) for _ in range(2))
    for _ in range(2):
        assert not differ(first((5, 5)), second((5, 5)))


def case_configs_round_trip():
    kinds = (*(make for make, _ in RANDOM.values()), *OTHERS, pk.DeltaOrthogonal)
    made = [make(seed=seed) for make in kinds for seed in (None, 3)]
    made += [pk.FromRecipe(Orthogonal(2.0), seed=3), pk.Zeros(), pk.Ones(), pk.Constant(2.5), pk.Identity(0.5)]
    made += [pk.HeNormal(seed=keras.random.SeedGenerator(7)), pk.HeNormal(seed=1, name="a.b")]
    made += [pk.HeNormal(seed=1, input_axes=(0,), output_axes=(1,))]
    for instance in made:
        config = keras.initializers.serialize(instance)
        json.dumps(config)
        again = keras.initializers.deserialize(config)
        assert type(again) is type(instance)
        assert again.get_config().keys() == instance.get_config().keys()
        if getattr(instance, "_given_seed", 0) is not None:
            assert not differ(instance((6, 6)), again((6, 6))), instance
    seeded = pk.HeNormal(seed=3)
    first, _ = seeded((4, 4)), seeded((4, 4))
    assert not differ(first, seeded.clone()((4, 4)))
    unseeded = pk.HeNormal()
    assert differ(unseeded((4, 4)), unseeded.clone()((4, 4)))


def case_models_are_saved_and_loaded():
    with tempfile.TemporaryDirectory() as place:
        model = keras.Sequential([layers.Input((4,)), layers.Dense(3, kernel_initializer=pk.HeNormal(seed=2))])
        model.save(f"{place}/model.keras")
        loaded = keras.models.load_model(f"{place}/model.keras")
        assert type(loaded.layers[0].kernel_initializer) is pk.HeNormal
        assert not differ(loaded.layers[0].kernel, model.layers[0].kernel)


def case_string_identifiers():
    assert type(keras.initializers.get("penstock>HeNormal")) is pk.HeNormal
    layer = layers.Dense(3, kernel_initializer="penstock>Orthogonal")
    layer.build((None, 3))
    kernel = array(layer.kernel)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(3), atol=1e-5)
    # Keras's own names stay Keras's.
    assert type(keras.initializers.get("he_normal")) is keras.initializers.HeNormal


def case_layers_of_every_kind():
    image = (None, 8, 8, 6)
    for layer in (
        layers.Conv2D(4, 3, groups=2, kernel_initializer=pk.HeNormal()),
        layers.DepthwiseConv2D(3, depthwise_initializer=pk.HeNormal(input_axes=(0, 1), output_axes=(0, 1, 3))),
        layers.Conv2DTranspose(4, 3, kernel_initializer=pk.HeNormal(input_axes=(0, 1, 3), output_axes=(0, 1, 2))),
    ):
        layer.build(image)
        assert np.isfinite(array(layer.weights[0])).all()
    layer = layers.MultiHeadAttention(2, 8, kernel_initializer=pk.GlorotUniform())
    layer.build((None, 5, 16), (None, 5, 16))
    query, key = (array(dense.kernel) for dense in (layer._query_dense, layer._key_dense))
    assert differ(query, key)
    layer = layers.LSTM(4, kernel_initializer=pk.GlorotUniform(), recurrent_initializer=pk.Orthogonal())
    layer.build((None, 5, 3))
    recurrent = array(layer.cell.recurrent_kernel)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(4), atol=1e-5)


def case_fixed_values():
    np.testing.assert_array_equal(array(pk.Zeros()((2, 3))), np.zeros((2, 3)))
    np.testing.assert_array_equal(array(pk.Ones()((2, 3), dtype="int32")), np.ones((2, 3)))
    np.testing.assert_array_equal(array(pk.Constant(2.5)((2, 3))), np.full((2, 3), 2.5))
    np.testing.assert_array_equal(array(pk.Identity(2.0)((3, 2))), 2.0 * np.eye(3, 2))
    np.testing.assert_array_equal(array(pk.Identity()((3, 2, 2)))[1], np.eye(2))


def case_variables_in_a_tf_function():
    if BACKEND != "tensorflow":
        return
    for seed in (3, keras.random.SeedGenerator(3)):
        made = {}
        program = variable_maker(pk.HeNormal(seed=seed), made)
        total = array(program())
        np.testing.assert_array_equal(total, array(program()))
        assert differ(made["first"], made["second"])
        assert differ(made["second"], made["keras"].value)
        assert np.isfinite(total).all()
    expected = VarianceScaling(2.0**0.5, "fan_in", "truncated_normal")
    variable_maker(pk.HeNormal(seed=3, name="w"), made := {})()
    assert same(made["first"], expected.draw(Geometry((5, 4), in_axes=(0,), out_axes=(1,)), key_for(3, "w")))


def variable_maker(instance, made):
    """A tf.function that makes variables when it is called first."""
    import tensorflow as tf

    @tf.function
    def program():
        if not made:
            made["first"] = tf.Variable(lambda: instance((5, 4)))
            made["second"] = tf.Variable(lambda: instance((5, 4)))
            made["keras"] = keras.Variable(instance, shape=(5, 4))
        return made["first"] + made["second"] + made["keras"].value

    return program


def case_the_jax_backend_traces():
    if BACKEND != "jax":
        return
    import jax

    drawn = jax.jit(lambda: pk.HeNormal(seed=3, name="w")(SHAPE))()
    assert same(drawn, RANDOM["he_normal"][1].draw(GEOMETRY, key_for(3, "w")))
    generator = keras.random.SeedGenerator(3)

    def traced(state):
        with keras.StatelessScope([(generator.state, state)]):
            return pk.HeNormal(seed=generator)((4, 4))

    with pytest.raises(UnsupportedError, match="SeedGenerator cannot be read while JAX traces"):
        jax.jit(traced)(generator.state.value)


CASES = promise_cases.CASES | {
    name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")
}


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
    print(json.dumps({"backend": BACKEND, "cases": sorted(CASES), "failures": failures()}))
    sys.exit(0)
