"""What `keras.initializers` promises in its documents and tests, held by `penstock.keras`. See `backend_cases.py`."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops
from standard_error import assert_mean, assert_std

import penstock.keras as pk
from penstock import ArgumentError, ShapeError
from penstock.recipes import Normal


def array(tensor):
    return np.asarray(ops.convert_to_numpy(tensor), dtype=np.float64)


def case_arguments_are_attributes():
    made = pk.RandomNormal(mean=0.5, stddev=2.0, seed=1234)
    assert (made.mean, made.stddev, made.seed) == (0.5, 2.0, 1234)
    made = pk.RandomUniform(minval=-1.0, maxval=3.0, seed=1234)
    assert (made.minval, made.maxval, made.seed) == (-1.0, 3.0, 1234)
    made = pk.VarianceScaling(scale=2.0, mode="fan_out", distribution="uniform", seed=1234)
    assert (made.scale, made.mode, made.distribution, made.seed) == (2.0, "fan_out", "uniform", 1234)
    assert pk.VarianceScaling(distribution="normal").distribution == "truncated_normal"
    made = pk.Orthogonal(gain=2.0, seed=1234)
    assert (made.gain, made.seed) == (2.0, 1234)
    assert pk.Constant(3.0).value == 3.0


def case_every_name_of_keras_is_here():
    for name in dir(keras.initializers):
        if not name.startswith("_"):
            assert name in pk.__all__, name
            assert getattr(pk, name).__name__ == getattr(keras.initializers, name).__name__.replace(
                "OrthogonalInitializer", "Orthogonal"
            )


def case_identifiers():
    for name in ("he_normal", "HeNormal", "penstock>HeNormal"):
        assert type(pk.get(name)) is pk.HeNormal
    assert type(pk.get("OrthogonalInitializer")) is type(pk.get("orthogonal")) is pk.Orthogonal
    assert type(pk.get(pk.RandomUniform)) is pk.RandomUniform
    assert type(pk.get(pk.serialize(pk.HeNormal(seed=1)))) is pk.HeNormal
    assert type(pk.deserialize(pk.serialize(pk.Zeros()))) is pk.Zeros
    assert pk.get(None) is None
    made = pk.HeNormal()
    assert pk.get(made) is made
    values = np.arange(6.0, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(array(pk.get(values)((2, 3))), values)
    with pytest.raises(ValueError, match="typo"):
        pk.get("typo")


def case_a_constant_may_be_an_array():
    values = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(array(pk.Constant(values)((3, 3))), values)


def case_configs_of_seed_generators():
    for kind in (pk.Orthogonal, pk.VarianceScaling, pk.RandomUniform, pk.RandomNormal, pk.TruncatedNormal):
        again = pk.deserialize(pk.serialize(kind(seed=keras.random.SeedGenerator(7))))
        assert type(again) is kind
        np.testing.assert_array_equal(array(again((5, 5))), array(kind(seed=keras.random.SeedGenerator(7))((5, 5))))


def case_defaults_are_keras_own():
    for name in pk.__all__:
        theirs = getattr(keras.initializers, name, None)
        if theirs is None:
            assert name in {"DeltaOrthogonal", "FromRecipe"}
            continue
        if not isinstance(theirs, type) or name in {"Initializer", "STFT", "STFTInitializer", "stft"}:
            continue
        ours, original = (getattr(module, name)().get_config() for module in (pk, keras.initializers))
        for key in set(ours) & set(original) - {"seed"}:
            assert ours[key] == original[key], (name, key)


def case_laws_are_keras_own():
    shape = (400, 300)
    for name in ("HeNormal", "HeUniform", "GlorotNormal", "GlorotUniform", "LecunNormal", "LecunUniform"):
        ours, theirs = (array(getattr(module, name)(seed=1)(shape)) for module in (pk, keras.initializers))
        np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.02, err_msg=name)
        np.testing.assert_allclose(abs(ours).max(), abs(theirs).max(), rtol=0.01, err_msg=name)


def case_standard_deviations_follow_from_the_fans():
    for mode, fan in (
        ("fan_in", 3 * 3 * 40),
        ("fan_out", 3 * 3 * 60),
        ("fan_avg", 450),
        ("fan_geo_avg", 9 * 2400**0.5),
    ):
        for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
            drawn = array(pk.VarianceScaling(3.0, mode, distribution, seed=0)((3, 3, 40, 60)))
            assert_mean(drawn, 0.0)
            assert_std(drawn, math.sqrt(3.0 / fan))
            with pytest.raises(AssertionError, match="std"):
                assert_std(drawn, math.sqrt(3.0 / fan) * 1.05)


def case_fans_of_declared_axes():
    depthwise = pk.HeNormal(seed=0, input_axes=(0, 1), output_axes=(0, 1, 3))
    assert_std(array(depthwise((3, 3, 300, 4))), math.sqrt(2 / 9))
    transposed = pk.HeNormal(seed=0, input_axes=(0, 1, 3), output_axes=(0, 1, 2))
    assert_std(array(transposed((3, 3, 20, 90))), math.sqrt(2 / (9 * 90)))
    negative = pk.VarianceScaling(1.0, "fan_out", seed=0, input_axes=[0], output_axes=[-2, -1])
    assert_std(array(negative((50, 10, 30))), math.sqrt(1 / 300))


def case_shapes_without_fans_are_keras_own():
    assert array(pk.HeNormal(seed=0)(())).shape == ()
    assert_std(array(pk.GlorotUniform(seed=0)((20000,))), math.sqrt(1 / 20000))
    for name in ("HeNormal", "RandomNormal", "Orthogonal"):
        assert array(getattr(pk, name)(seed=0)((0, 3))).shape == (0, 3)


def case_uniform_bounds():
    drawn = array(pk.RandomUniform(-1.0, 3.0, seed=0)((300, 200)))
    assert drawn.min() >= -1.0
    assert drawn.max() < 3.0
    assert_mean(drawn, 1.0)
    assert_std(drawn, 4 / math.sqrt(12))


def case_uniform_bounds_in_half_types():
    for dtype in ("bfloat16", "float16"):
        drawn = array(pk.RandomUniform(0.0, 1.0, seed=0)((100_000,), dtype=dtype))
        assert drawn.max() < 1.0
        # Control: rounding alone reaches the end.
        raw = ops.cast(pk.RandomUniform(0.0, 1.0, seed=0)((100_000,)), dtype)
        assert array(raw).max() == 1.0


def case_truncated_normal_is_cut_before_the_correction():
    for mean in (0.0, 1.5):
        drawn = array(pk.TruncatedNormal(mean, 0.5, seed=0)((300, 200)))
        assert abs(drawn - mean).max() <= 1.0
        assert_mean(drawn, mean)
        assert_std(drawn, 0.5 * 0.87962566103423978)
    assert not array(pk.TruncatedNormal(0.0, 0.0)((3,))).any()


def case_orthogonal():
    for shape in ((5, 5), (7, 4), (4, 7), (3, 3, 2, 8)):
        kernel = array(pk.Orthogonal(2.0, seed=0)(shape)).reshape(-1, shape[-1])
        product = kernel.T @ kernel if kernel.shape[0] >= kernel.shape[1] else kernel @ kernel.T
        np.testing.assert_allclose(product, 4.0 * np.eye(len(product)), atol=1e-5)
    half = array(pk.Orthogonal(seed=0)((16, 16), dtype="bfloat16"))
    np.testing.assert_allclose(half.T @ half, np.eye(16), atol=0.05)


def case_delta_orthogonal():
    kernel = array(pk.DeltaOrthogonal(seed=0)((3, 3, 4, 6)))
    np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(4), atol=1e-5)
    assert np.count_nonzero(kernel) == 24


def case_types():
    for dtype in ("float16", "bfloat16", "float32"):
        assert keras.backend.standardize_dtype(pk.HeNormal(seed=0)((4, 4), dtype=dtype).dtype) == dtype
    assert keras.backend.standardize_dtype(pk.HeNormal(seed=0)((4, 4)).dtype) == keras.config.floatx()


def case_bad_arguments():
    with pytest.raises(ArgumentError, match="VarianceScaling: scale must be positive"):
        pk.VarianceScaling(scale=-1.0)
    with pytest.raises(ArgumentError, match="Did you mean 'fan_in'"):
        pk.VarianceScaling(mode="fan_inn")
    with pytest.raises(ArgumentError, match="distribution must be one of the known ones; got 'gauss'"):
        pk.VarianceScaling(distribution="gauss")
    with pytest.raises(ArgumentError, match="HeNormal: seed must be an integer"):
        pk.HeNormal(seed="a")
    with pytest.raises(ArgumentError, match="must be given together"):
        pk.HeNormal(input_axes=(0,))
    with pytest.raises(ArgumentError, match="dtype must be floating-point; got int32"):
        pk.HeNormal(seed=0)((3, 3), dtype="int32")
    with pytest.raises(ShapeError, match="Orthogonal: shape must have at least two axes"):
        pk.Orthogonal(seed=0)((3,))
    with pytest.raises(ShapeError, match="must be axes of the shape"):
        pk.HeNormal(seed=0, input_axes=(0,), output_axes=(5,))((3, 3))
    with pytest.raises(ArgumentError, match=r"RandomNormal: stddev must be a finite number >= 0; got -1.*\nHint: "):
        pk.RandomNormal(stddev=-1.0)
    with pytest.raises(ArgumentError, match="TruncatedNormal: stddev must be a finite number >= 0; got nan"):
        pk.TruncatedNormal(stddev=math.nan)
    with pytest.raises(ArgumentError, match="RandomUniform: maxval must be at least minval; got minval=1, maxval=0"):
        pk.RandomUniform(1.0, 0.0)
    with pytest.raises(ArgumentError, match="Orthogonal: gain must be a finite number >= 0; got nan"):
        pk.Orthogonal(math.nan)
    for shape in (4, (-4, 2), (None, 2)):
        with pytest.raises(ShapeError, match="HeNormal: shape must be a tuple of sizes >= 0"):
            pk.HeNormal(seed=0)(shape)
    with pytest.raises(ArgumentError, match="rule must be a recipe"):
        pk.FromRecipe("he")  # pyright: ignore[reportArgumentType]


def case_any_recipe():
    drawn = array(pk.FromRecipe(Normal(0.02), seed=0, name="w")((30, 20)))
    np.testing.assert_array_equal(drawn, array(pk.RandomNormal(stddev=0.02, seed=0, name="w")((30, 20))))


CASES = {name.removeprefix("case_"): case for name, case in list(globals().items()) if name.startswith("case_")}
