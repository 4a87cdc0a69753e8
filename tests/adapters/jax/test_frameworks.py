"""`penstock.jax` in the layers of Flax (linen and nnx), Equinox and Haiku."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp

import penstock.jax as pj
from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import VarianceScaling

SHAPE = (16, 32)
HE = VarianceScaling(2.0**0.5, "fan_in", "truncated_normal")
GEOMETRY = Geometry(SHAPE, in_axes=(0,), out_axes=(1,))


def number_of(key) -> int:
    """The 64 bits of a typed or raw key."""
    high, low = np.asarray(jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key)
    return int(high) << 32 | int(low)


class Recorded:
    """Passes calls on to an initializer and keeps their keys."""

    def __init__(self, init):
        self.init = init
        self.keys = []

    def __call__(self, key, *args, **kwargs):
        self.keys.append(key)
        return self.init(key, *args, **kwargs)


def test_flax_linen():
    linen = pytest.importorskip("flax.linen")
    init = Recorded(pj.he_normal())
    layer = linen.Dense(32, kernel_init=init, bias_init=pj.zeros)
    params = layer.init(jax.random.key(1), jnp.ones((2, 16)))["params"]
    np.testing.assert_array_equal(params["kernel"], HE.draw(GEOMETRY, number_of(init.keys[0])))
    assert not np.asarray(params["bias"]).any()
    embedding = linen.Embed(50, 8, embedding_init=pj.variance_scaling(1.0, "fan_in", "normal", out_axis=0))
    table = embedding.init(jax.random.key(1), jnp.zeros(3, jnp.int32))["params"]["embedding"]
    assert table.shape == (50, 8)
    convolution = linen.Conv(8, (3, 3), kernel_init=pj.orthogonal())
    shapes = jax.eval_shape(convolution.init, jax.random.key(0), jnp.ones((1, 8, 8, 4)))
    assert shapes["params"]["kernel"].shape == (3, 3, 4, 8)


def test_flax_nnx():
    nnx = pytest.importorskip("flax.nnx")
    init = Recorded(pj.he_normal())
    layer = nnx.Linear(16, 32, kernel_init=init, bias_init=pj.ones, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(layer.kernel[...], HE.draw(GEOMETRY, number_of(init.keys[0])))
    mesh = jax.make_mesh((1,), ("a",), axis_types=(jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        annotated = nnx.with_partitioning(pj.he_normal(), ("a", None))
        partitioned = nnx.Linear(16, 32, kernel_init=annotated, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(partitioned.kernel[...], layer.kernel[...])


def test_equinox():
    eqx = pytest.importorskip("equinox")
    layer = eqx.nn.Linear(16, 32, key=jax.random.key(0))
    # Equinox keeps PyTorch's layout, (out, in).
    weight = pj.he_normal(in_axis=1, out_axis=0)(jax.random.key(9), layer.weight.shape, layer.weight.dtype)
    changed = eqx.tree_at(lambda tree: tree.weight, layer, weight)
    assert changed(jnp.ones(16)).shape == (32,)
    np.testing.assert_array_equal(changed.weight, HE.draw(Geometry((32, 16), in_axes=(1,), out_axes=(0,)), 9))


def test_haiku():
    hk = pytest.importorskip("haiku")
    init = Recorded(pj.he_normal())

    def network(x):
        return hk.Linear(32, w_init=pj.haiku(init))(x)

    program = hk.transform(network)
    params = jax.jit(program.init)(jax.random.key(1), jnp.ones((2, 16)))
    assert params["linear"]["w"].shape == SHAPE
    params = program.init(jax.random.key(1), jnp.ones((2, 16)))
    np.testing.assert_array_equal(params["linear"]["w"], HE.draw(GEOMETRY, number_of(init.keys[-1])))


def test_reading_a_key():
    """Control of `number_of`."""
    key = jax.random.key(7)
    np.testing.assert_array_equal(pj.normal(1.0)(key, (9,)), fill("normal", (9,), number_of(key)))
