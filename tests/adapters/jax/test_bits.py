"""JAX's values are NumPy's, bit for bit: eager, compiled, sharded; and the protection of the products is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp
from jax import lax

import penstock.jax as pj
import penstock.numpy
from penstock.geometry import Geometry
from penstock.jax import transforms
from penstock.jax.words import _linear_index, element_words, philox4x32
from penstock.randomness import Distribution, fill, key_for, words
from penstock.randomness import transforms as reference
from penstock.recipes import Identity, Normal, Orthogonal, Recipe, TruncatedNormal, Uniform, VarianceScaling
from penstock.recipes.bounded_normal import BoundedNormal
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.uniform_between import UniformBetween

KEY = key_for(3, "w")
# Whole groups of 64 in the last axis, in the last two, in all together, and none.
SHAPES = [(), (5,), (64,), (100, 7), (30, 128), (3, 3, 24, 40), (3, 5, 7, 11), (2, 0, 3)]
LAWS: list[Recipe] = [
    Normal(0.5, 2.0),
    UniformBetween(0.0, 0.01),
    UniformBetween(-3.0, 1.5),
    Uniform(0.3),
    TruncatedNormal(0.02),
    BoundedNormal(0.0, 1.0, -3.0, 3.0),
    BoundedNormal(0.3, 0.7, -0.2, 5.0),
    BoundedNormal(0.0, 1.0, 4.5, 6.0),
    VarianceScaling(2.0**0.5, "fan_avg", "uniform"),
    Orthogonal(2.0),
    SemiOrthogonal(2.0),
    Identity(),
]


def assert_same_bits(ours: jax.Array, expected: np.ndarray) -> None:
    values = np.asarray(ours)
    assert (values.dtype, values.shape) == (expected.dtype, expected.shape)
    assert values.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_and_type(shape):
    # 1e-3: many float16 values are below its smallest normal number.
    types = (np.float32, np.float16, jnp.bfloat16)
    drawn = jax.jit(lambda key: [pj.normal(1e-3)(key, shape, dtype) for dtype in types])(pj.key(3, "w"))
    for values, dtype in zip(drawn, types, strict=True):
        assert_same_bits(values, fill("normal", shape, KEY, scale=1e-3, dtype=dtype))


@pytest.mark.parametrize("recipe", LAWS, ids=lambda recipe: recipe.describe())
def test_every_law(recipe):
    init, shape = pj.initializer(recipe), (60, 128)
    expected = recipe.draw(Geometry(shape, in_axes=(0,), out_axes=(1,)), KEY)
    assert_same_bits(init(pj.key(3, "w"), shape), expected)
    assert_same_bits(jax.jit(lambda key: init(key, shape))(pj.key(3, "w")), expected)
    # A key that is known to the compiler lets it fold what it can.
    assert_same_bits(jax.jit(lambda: init(pj.key(3, "w"), shape))(), expected)
    assert (np.asarray(init(pj.key(4, "w"), shape)).tobytes() == expected.tobytes()) == isinstance(recipe, Identity)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="values for other devices are made on them")
@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16], ids=["float32", "float16", "bfloat16"])
def test_a_call_outside_of_jit_compiles_nothing_and_has_the_bits_of_the_compiled_one(monkeypatch, dtype):
    inits = [pj.normal(1e-3), pj.uniform(0.01), pj.truncated_normal(0.02, lower=-1.0), pj.he_uniform()]
    key, shape = pj.key(3, "w"), (61, 17)
    compiled = jax.jit(lambda key: [init(key, shape, dtype) for init in inits])(key)

    def raising(*args, **kwargs):
        raise AssertionError("compiled")

    # `penstock.jax.initializer` is the function of this name.
    monkeypatch.setattr(sys.modules["penstock.jax.initializer"], "_drawn", raising)
    for init, expected in zip(inits, compiled, strict=True):
        assert_same_bits(init(key, shape, dtype), np.asarray(expected))
    # Control: what is traced is compiled, and no large constant is put into the program instead.
    for traced in (
        lambda: jax.eval_shape(lambda: inits[0](key, shape)),
        lambda: jax.jit(inits[0], static_argnums=1)(key, shape),
    ):
        with pytest.raises(AssertionError, match="compiled"):
            traced()


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("low", [0.0, -0.25])
def test_uniform_never_reaches_its_end_in_half_types_and_has_numpys_bits(dtype, low):
    init, shape = pj.initializer(UniformBetween(low, 1.0)), (100_000,)
    expected = penstock.numpy.uniform(shape, dtype, rng=3, name="w", low=low)
    assert float(expected.max()) < 1.0
    # Control: rounding alone reaches it.
    assert float(UniformBetween(low, 1.0).draw(Geometry(shape), KEY).astype(dtype).max()) == 1.0
    assert_same_bits(init(pj.key(3, "w"), shape, dtype), expected)
    assert_same_bits(jax.jit(lambda key: init(key, shape, dtype))(pj.key(3, "w")), expected)
    shapes = {"w": jax.ShapeDtypeStruct(shape, dtype)}
    assert_same_bits(pj.materialize(shapes, None, {"w": init}, 3)["w"], expected)
    assert_same_bits(jax.jit(lambda: pj.materialize(shapes, None, {"w": init}, 3))()["w"], expected)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "truncated_normal"])
def test_a_million_values_of_each_transform(distribution: Distribution):
    drawn = jax.jit(transforms.TRANSFORMS[distribution])(jnp.asarray(words(9, 0, 2**20)))
    assert_same_bits(drawn, reference.TRANSFORMS[distribution](words(9, 0, 2**20)))


def test_values_keep_their_bits_inside_a_larger_program():
    shape = (128, 64)
    plain = fill("normal", shape, KEY, scale=0.3)
    total, drawn = jax.jit(lambda key: ((w := pj.normal(0.3)(key, shape)) + 1.0, w))(pj.key(3, "w"))
    assert_same_bits(drawn, plain)
    assert_same_bits(total, plain + np.float32(1.0))


def test_the_protection_is_needed(monkeypatch):
    """Control: without the hidden zero XLA fuses products and sums, and bits change."""
    monkeypatch.setattr(transforms, "exactly", lambda product, zero: product)
    drawn = np.asarray(jax.jit(transforms.normal)(jnp.asarray(words(9, 0, 2**16))))
    changed = np.mean(drawn.view(np.uint32) != reference.normal(words(9, 0, 2**16)).view(np.uint32))
    if jax.default_backend() == "cpu":
        assert changed > 1e-4
    np.testing.assert_allclose(drawn, reference.normal(words(9, 0, 2**16)), rtol=1e-5)


def test_published_known_answers():
    cases = [
        ((0, 0, 0, 0), 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1,) * 4, 2**32 - 1, 2**32 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0xA4093822,
            0x299F31D0,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ]
    for counter, low, high, expected in cases:
        four = philox4x32(tuple(jnp.full(1, word, jnp.uint32) for word in counter), jnp.uint32(low), jnp.uint32(high))
        assert " ".join(f"{int(word[0]):08x}" for word in four) == expected


def test_indices_beyond_32_bits():
    """Index arithmetic of a tensor too large to make, at its far end."""
    shape = (2**20, 3, 2**17 + 1)
    index = (2**20 - 1, 2, 2**17)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lax, "broadcasted_iota", lambda kind, _, axis: jnp.uint32(index[axis]))
        patch.setattr(jnp, "zeros", lambda _, kind: np.zeros((), kind))
        high, low = _linear_index(shape)
    assert int(high) << 32 | int(low) == np.ravel_multi_index(index, shape)


def test_words_are_those_of_the_elements():
    for shape in [(2, 100), (3, 32, 10)]:
        drawn = element_words(jnp.uint32(KEY & 0xFFFFFFFF), jnp.uint32(KEY >> 32), shape)
        np.testing.assert_array_equal(np.asarray(drawn).ravel(), words(KEY, 0, int(np.prod(shape))))


def test_64_bit_mode_changes_nothing():
    code = """
import jax; jax.config.update("jax_enable_x64", True)
import numpy as np, jax.numpy as jnp, penstock.jax as pj
from penstock.randomness import fill, key_for
expected = fill("normal", (60, 33), key_for(3, "w"), scale=0.1)
drawn = jax.jit(lambda key: pj.normal(0.1)(key, (60, 33), jnp.float32))(pj.key(3, "w"))
assert np.asarray(drawn).tobytes() == expected.tobytes()
drawn = pj.normal(0.1)(pj.key(3, "w"), (60, 33))
assert drawn.dtype == jnp.float64 and (np.asarray(drawn) == expected).all()
assert pj.orthogonal()(pj.key(3, "w"), (4, 4)).dtype == jnp.float64
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SHARDED = """
import json
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp, numpy as np, penstock.jax as pj
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from penstock.randomness import fill, key_for
key, told = pj.key(3, "w"), {}
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(kind,) * 2)
    for shape, spec in [((30, 128), P("a", "b")), ((6, 62), P("b", "a"))]:
        expected = fill("normal", shape, key_for(3, "w"), scale=0.1).tobytes()
        draw = lambda key: pj.normal(0.1)(key, shape, jnp.float32, NamedSharding(mesh, spec))
        with jax.set_mesh(mesh):
            context = pj.normal(0.1)(key, shape, jnp.float32, spec)
        for name, drawn in (("eager", draw(key)), ("jit", jax.jit(draw)(key)), ("context", context)):
            right = drawn.sharding.is_equivalent_to(NamedSharding(mesh, spec), len(shape))
            told[f"{kind} {shape} {name}"] = right and np.asarray(drawn).tobytes() == expected
    drawn = pj.orthogonal()(key, (8, 4), jnp.float32, NamedSharding(mesh, P("a")))
    told[f"{kind} orthogonal"] = bool((np.asarray(drawn) == np.asarray(pj.orthogonal()(key, (8, 4)))).all())
sharded = NamedSharding(mesh, P("a", "b"))
program = jax.jit(lambda key: pj.normal(0.1)(key, (4096, 4096), jnp.float32, sharded)).lower(key).compile()
text = program.as_text()
told["no collective"] = not any(word in text for word in ("all-gather", "all-reduce", "collective-permute"))
told["no whole array"] = program.memory_analysis().temp_size_in_bytes < 4096 * 4096 * 4 // 2
print(json.dumps(told))
"""


@pytest.mark.skipif(not hasattr(jax, "set_mesh"), reason="this JAX has no explicit sharding")
def test_sharded_over_four_devices():
    done = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told) == 16
    assert [name for name, right in told.items() if not right] == []
