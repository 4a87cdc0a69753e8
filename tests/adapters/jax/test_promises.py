"""What `jax.nn.initializers` promises in its documents and tests, held by `penstock.jax`; and its errors."""

from __future__ import annotations

import inspect
import math
import pickle
from functools import partial

import numpy as np
import pytest
from standard_error import assert_mean, assert_std

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp
from jax.nn import initializers as theirs

import penstock.jax as pj
from penstock import ArgumentError, ShapeError, UnsupportedError
from penstock.randomness import fill
from penstock.recipes import Normal

KEY = jax.random.key(0)
FANS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform")
FACTORIES = {name: getattr(pj, name) for name in (*FANS, "uniform", "normal", "truncated_normal", "orthogonal")}
FACTORIES["fan_geo_avg"] = partial(pj.variance_scaling, 1, "fan_geo_avg", "normal")


def test_every_name_of_jax_is_here_with_its_arguments():
    for name in dir(theirs):
        if name.startswith("_") or name in {"Initializer", "zeros", "ones"}:
            continue
        ours, original = (inspect.signature(getattr(module, name)).parameters for module in (pj, theirs))
        assert list(ours) == list(original), name
        assert [p.default for p in ours.values()] == [p.default for p in original.values()], name
    assert isinstance(pj.zeros, theirs.Initializer)
    assert isinstance(pj.he_normal(), theirs.Initializer)


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16], ids=["float32", "bfloat16", "float16"])
def test_shape_and_type(name, dtype):
    factory = FACTORIES[name]
    for key in (KEY, jax.random.PRNGKey(0)):
        told = jax.eval_shape(lambda key: factory()(key, (3, 2), dtype), key)
        assert (told.shape, told.dtype) == ((3, 2), dtype)
    assert jax.eval_shape(lambda key: factory(dtype=dtype)(key, (3, 2)), KEY).dtype == dtype
    assert jax.eval_shape(lambda key: factory()(key, (3, 2)), KEY).dtype == jnp.float32


ANY_SHAPE = [(2,), (2, 2), (2, 3), (3, 2), (2, 3, 4), (4, 3, 2), (2, 3, 4, 5)]
ANY_TYPE = [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64]


@pytest.mark.parametrize("name", [*FACTORIES, "delta_orthogonal"])
def test_every_shape_and_type_of_jax_own_tests(name):
    """The records of jax/tests/nn_test.py, called, and with the type given to the factory."""
    factory = FACTORIES.get(name, pj.delta_orthogonal)
    least, most = {"orthogonal": (2, 2), "delta_orthogonal": (4, 4)}.get(
        name, (1, 4) if name in ("uniform", "normal", "truncated_normal") else (2, 4)
    )
    for shape in (shape for shape in ANY_SHAPE if least <= len(shape) <= most):
        for dtype in ANY_TYPE[: -1 if name == "delta_orthogonal" else None]:
            for drawn in (factory()(jax.random.PRNGKey(0), shape, dtype), factory(dtype=dtype)(KEY, shape)):
                assert (drawn.shape, drawn.dtype) == (shape, dtype)
                assert np.isfinite(np.asarray(drawn, np.complex64)).all()


@pytest.mark.parametrize("name", FANS)
def test_laws_are_jax_own(name):
    ours, original = (np.asarray(getattr(module, name)()(KEY, (400, 300))) for module in (pj, theirs))
    np.testing.assert_allclose(ours.std(), original.std(), rtol=0.02)
    np.testing.assert_allclose(abs(ours).max(), abs(original).max(), rtol=0.01)


@pytest.mark.parametrize(
    ("mode", "fan", "distribution"),
    [
        ("fan_in", 360, "normal"),
        ("fan_out", 540, "truncated_normal"),
        ("fan_avg", 450, "uniform"),
        ("fan_geo_avg", 440.9, "normal"),
    ],
)
def test_standard_deviation_follows_from_the_fan(mode, fan, distribution):
    drawn = np.asarray(pj.variance_scaling(3.0, mode, distribution)(KEY, (3, 3, 40, 60)))
    assert_mean(drawn, 0.0)
    assert_std(drawn, math.sqrt(3.0 / fan))
    with pytest.raises(AssertionError, match="std"):
        assert_std(drawn, math.sqrt(3.0 / fan) * 1.05)


def test_several_axes_and_batch_axes():
    shape = (20, 30, 4, 50)
    init = pj.variance_scaling(1.0, "fan_in", "truncated_normal", in_axis=(0, 1), out_axis=(-2, -1))
    assert_std(init(KEY, shape), math.sqrt(1 / 600))
    init = pj.variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis=0, out_axis=(2, 3), batch_axis=1)
    assert_std(init(KEY, shape), math.sqrt(1 / 110))


def test_an_axis_that_is_input_and_output_as_in_flax_embeddings():
    init = pj.variance_scaling(1.0, "fan_avg", "normal", out_axis=0)
    assert_std(init(KEY, (300, 64)), math.sqrt(1 / 64))
    original = theirs.variance_scaling(1.0, "fan_avg", "normal", out_axis=0)(KEY, (300, 64))
    np.testing.assert_allclose(np.std(init(KEY, (300, 64))), np.std(original), rtol=0.02)


def test_plain_laws():
    assert_std(pj.normal(0.02)(KEY, (40000,)), 0.02)
    drawn = np.asarray(pj.uniform(0.5)(KEY, (40000,)))
    assert drawn.min() >= 0.0
    assert drawn.max() < 0.5
    assert_mean(drawn, 0.25)
    assert_std(pj.truncated_normal(0.02)(KEY, (40000,)), 0.02 * 0.87962566103423978)
    drawn = np.asarray(pj.truncated_normal(0.02, lower=-1.0, upper=jnp.inf)(KEY, (40000,)))
    assert drawn.min() >= -0.02
    assert drawn.max() > 0.06
    assert not np.asarray(pj.truncated_normal(0.0)(KEY, (3,))).any()
    assert float(pj.uniform(-0.5)(KEY, (400,)).max()) <= 0.0


def test_fixed_values():
    np.testing.assert_array_equal(pj.zeros(None, (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(pj.ones(KEY, (2, 3), jnp.bfloat16).astype(jnp.float32), np.ones((2, 3)))
    np.testing.assert_array_equal(pj.constant(-7)(KEY, (2, 3)), np.full((2, 3), -7.0))
    np.testing.assert_array_equal(pj.identity(2.0)(KEY, (3, 2)), 2.0 * np.eye(3, 2))


def test_a_scale_that_is_an_array_does_not_change_the_type():
    scalar = jnp.array(0.5, jnp.float32)
    for factory in (pj.uniform, pj.normal, pj.truncated_normal):
        assert factory(scalar, jnp.bfloat16)(KEY, (4, 4)).dtype == jnp.bfloat16
        traced = jax.jit(lambda scale, factory=factory: factory(scale)(KEY, (4, 4)))(scalar)
        np.testing.assert_allclose(traced, factory(0.5)(KEY, (4, 4)), rtol=1e-6)
    traced = jax.jit(lambda scale: pj.variance_scaling(scale, "fan_in", "normal")(KEY, (4, 4)))(2.0)
    np.testing.assert_allclose(traced, pj.variance_scaling(2.0, "fan_in", "normal")(KEY, (4, 4)), rtol=1e-6)
    assert float(jax.grad(lambda value: pj.constant(value)(KEY, (2, 3)).sum())(1.0)) == 6.0


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (3, 3, 2, 8)], ids=str)
@pytest.mark.parametrize("column_axis", [-1, 0])
def test_orthogonal(shape, column_axis):
    weight = np.asarray(pj.orthogonal(2.0, column_axis)(KEY, shape))
    matrix = np.moveaxis(weight, column_axis, -1).reshape(-1, shape[column_axis])
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 4.0 * np.eye(len(product)), atol=1e-5)


def test_delta_orthogonal():
    for shape in ((3, 4, 6), (3, 5, 4, 6), (3, 3, 3, 4, 6)):
        kernel = np.asarray(pj.delta_orthogonal()(KEY, shape))
        centre = kernel[tuple((size - 1) // 2 for size in shape[:-2])]
        np.testing.assert_allclose(centre @ centre.T, np.eye(4), atol=1e-5)
        assert np.count_nonzero(kernel) == 24
    with pytest.raises(ShapeError, match="as many outputs as inputs"):
        pj.delta_orthogonal()(KEY, (3, 3, 6, 4))


def test_complex_values():
    drawn = np.asarray(pj.he_normal()(KEY, (200, 300), jnp.complex64))
    assert drawn.dtype == np.complex64
    # |w|^2 has mean std^2; of 60,000 values its standard error is below half a percent.
    np.testing.assert_allclose(np.mean(np.abs(drawn) ** 2), 2 / 200, rtol=0.025)
    unitary = np.asarray(pj.orthogonal()(KEY, (6, 4), jnp.complex64))
    np.testing.assert_allclose(unitary.conj().T @ unitary, np.eye(4), atol=1e-5)


def test_transformations():
    keys = jax.random.split(KEY, 3)
    for init in (pj.he_normal(), pj.orthogonal()):
        mapped = jax.vmap(lambda key, init=init: init(key, (8, 6)))(keys)
        for one, key in zip(mapped, keys, strict=True):
            np.testing.assert_array_equal(one, init(key, (8, 6)))
        shape = jax.eval_shape(lambda key, init=init: init(key, (8, 6), jnp.bfloat16), KEY)
        assert (shape.shape, shape.dtype) == ((8, 6), jnp.bfloat16)
    with jax.disable_jit():
        eager = pj.normal(0.1)(KEY, (70,))
    np.testing.assert_array_equal(eager, pj.normal(0.1)(KEY, (70,)))


def test_keys_of_every_kind():
    expected = fill("normal", (100,), 5)
    for key in (jax.random.key(5), jax.random.PRNGKey(5), np.array([0, 5], np.uint32)):
        np.testing.assert_array_equal(pj.normal(1.0)(key, (100,)), expected)
    drawn = [np.asarray(pj.normal(1.0)(jax.random.key(seed, impl="rbg"), (100,))) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], expected)
    raw = jax.random.key_data(jax.random.key(5, impl="rbg"))
    np.testing.assert_array_equal(jax.jit(pj.normal(1.0), static_argnums=1)(raw, (100,)), drawn[0])


def test_keys_of_a_seed_and_a_name():
    assert not np.array_equal(pj.normal()(pj.key(0, "a"), (9,)), pj.normal()(pj.key(0, "b"), (9,)))
    assert jax.random.split(pj.key(0, "a")).shape == (2,)
    with pytest.raises(ArgumentError, match="seed must be an integer"):
        pj.key(-1, "a")


def test_initializers_are_values():
    init = pj.he_normal(in_axis=0, dtype=jnp.bfloat16)
    assert init == pj.he_normal(in_axis=0, dtype=jnp.bfloat16)
    assert init != pj.he_normal(in_axis=1, dtype=jnp.bfloat16)
    assert len({init, pickle.loads(pickle.dumps(init))}) == 1


def test_bad_input():
    with pytest.raises(ShapeError, match=r"init: shape must have the axes in_axis=-2"):
        pj.he_normal()(KEY, (5,))
    with pytest.raises(ArgumentError, match="Did you mean 'fan_geo_avg'"):
        pj.variance_scaling(1.0, "fan_geo_av", "normal")
    with pytest.raises(ArgumentError, match="distribution must be one of the known ones"):
        pj.variance_scaling(1.0, "fan_in", "gauss")
    with pytest.raises(ArgumentError, match="scale must be a finite number >= 0"):
        pj.variance_scaling(-1.0, "fan_in", "normal")
    with pytest.raises(ArgumentError, match="stddev must be a finite number >= 0; got nan"):
        pj.normal(math.nan)
    with pytest.raises(ArgumentError, match="init: key must be one key of JAX; got int"):
        pj.normal()(0, (3,))
    with pytest.raises(ArgumentError, match=r"with shape \(3,\)"):
        pj.normal()(jax.random.split(KEY, 3), (3,))
    with pytest.raises(ArgumentError, match="dtype must be floating-point or complex; got int32"):
        pj.normal()(KEY, (3,), jnp.int32)
    with pytest.raises(ShapeError, match="shape must be a tuple of sizes >= 0"):
        pj.normal()(KEY, (3, -1))
    with pytest.raises(ShapeError, match="every axis must be named once"):
        pj.he_normal(in_axis=(0, 1), out_axis=1)(KEY, (3, 4))
    with pytest.raises(ShapeError, match=r"shape must have the axes .* for semi_orthogonal\(gain=1\); got \(3,\)"):
        pj.orthogonal()(KEY, (3,))
    with pytest.raises(ShapeError, match="out_axis=4"):
        pj.orthogonal(column_axis=4)(KEY, (3, 3))
    with pytest.raises(UnsupportedError, match=r"delta_orthogonal.* has no law for complex weights"):
        pj.delta_orthogonal()(KEY, (3, 3, 4, 6), jnp.complex64)
    with pytest.raises(ArgumentError, match="truncated_normal: stddev must be positive and lower less than upper"):
        pj.truncated_normal(0.02, lower=2.0, upper=1.0)
    with pytest.raises(ArgumentError, match=r"penstock\.jax\.initializer"):
        pj.initializer("he_normal")  # pyright: ignore[reportArgumentType]


def test_any_recipe():
    np.testing.assert_array_equal(pj.initializer(Normal(0.02))(KEY, (30,)), pj.normal(0.02)(KEY, (30,)))
