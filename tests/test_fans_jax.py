"""`penstock.fans` of the layers of Flax (linen and nnx), Equinox and Haiku, through their own forward and backward.

With unit-variance weights and input, the variance of an output is fan_in; with a unit-variance output gradient, the
variance of the input's gradient is fan_out. Each is the mean over independent draws, and has to agree within 5 standard
errors of that mean; the fans of other conventions have to disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp

import penstock
import penstock.jax as pj

eqx = pytest.importorskip("equinox")
hk = pytest.importorskip("haiku")
linen = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")

KEY = jax.random.key(0)
DRAWS = 24
STANDARD_ERRORS = 5.0


@dataclass(frozen=True)
class Case:
    """One layer: how to make it, the shape of its input, and the fans of other conventions.

    Attributes:
        make: the layer, or the function that Haiku transforms.
        shape: of its input.
        wrong_in: fans that must be refuted.
        wrong_out: the same.
        parameter: end of the weight's name.
        first: the channels come before the space, as in Equinox.
        margin: positions left out at both ends of each axis of space, of the output and of the gradient.
        period: of the positions that see different numbers of taps: whole periods are averaged.
    """

    make: Callable[[], Any]
    shape: tuple[int, ...]
    wrong_in: tuple[float, ...]
    wrong_out: tuple[float, ...]
    parameter: str = "kernel"
    first: bool = False
    margin: int = 0
    period: int = 1


RNGS = nnx.Rngs(0)
ZEROS = {"kernel_init": jax.nn.initializers.zeros}
"""Drawing weights that are replaced would have to be compiled for each shape."""
LINEN = {
    "dense": Case(lambda: linen.Dense(40, **ZEROS), (64, 24), (40,), (24,)),
    "heads": Case(lambda: linen.DenseGeneral((5, 8), **ZEROS), (64, 24), (40, 192), (24, 8)),
    "out of heads": Case(lambda: linen.DenseGeneral(24, axis=(-2, -1), **ZEROS), (64, 5, 8), (8, 24), (40,)),
    "einsum": Case(lambda: linen.Einsum((4, 6, 10), "bhi,hio->bho", **ZEROS), (64, 4, 6), (24, 10), (6, 40)),
    "conv": Case(lambda: linen.Conv(6, (3, 3), **ZEROS), (8, 12, 12, 4), (54, 4), (36, 6), margin=2),
    "grouped": Case(
        lambda: linen.Conv(12, (3, 3), feature_group_count=4, **ZEROS), (8, 12, 12, 8), (72,), (108,), margin=2
    ),
    "dilated": Case(
        lambda: linen.Conv(6, (3, 3), kernel_dilation=2, **ZEROS), (8, 16, 16, 4), (100,), (150,), margin=4
    ),
    "transposed": Case(
        lambda: linen.ConvTranspose(4, (3,), strides=(2,), **ZEROS), (16, 20, 6), (18, 6), (6, 24), margin=4, period=2
    ),
}
NNX = {
    "linear": Case(lambda: nnx.Linear(24, 40, rngs=RNGS, **ZEROS), (64, 24), (40,), (24,)),
    "general": Case(
        lambda: nnx.LinearGeneral((5, 8), (3, 4), axis=(-2, -1), rngs=RNGS, **ZEROS), (64, 5, 8), (8, 12), (4, 40)
    ),
    "conv": Case(
        lambda: nnx.Conv(4, 8, (3, 3), strides=2, rngs=RNGS, **ZEROS), (8, 17, 17, 4), (18,), (72,), margin=2, period=2
    ),
    "depthwise": Case(
        lambda: nnx.Conv(8, 16, (3, 3), feature_group_count=8, rngs=RNGS, **ZEROS),
        (8, 12, 12, 8),
        (72, 1),
        (144, 9),
        margin=2,
    ),
    "transposed": Case(
        lambda: nnx.ConvTranspose(6, 4, (3, 3), rngs=RNGS, **ZEROS), (8, 10, 10, 6), (36,), (54,), margin=2
    ),
}
EQUINOX = {
    "linear": Case(lambda: eqx.nn.Linear(24, 40, key=KEY), (64, 24), (40,), (24,), "weight"),
    "conv": Case(lambda: eqx.nn.Conv1d(6, 10, 3, key=KEY), (8, 6, 30), (30,), (18,), "weight", True, 2),
    "grouped": Case(
        lambda: eqx.nn.Conv2d(8, 12, 3, groups=4, key=KEY), (8, 8, 12, 12), (72,), (108,), "weight", True, 2
    ),
    "transposed": Case(
        lambda: eqx.nn.ConvTranspose2d(6, 4, 3, key=KEY), (8, 6, 10, 10), (36,), (54,), "weight", True, 2
    ),
}
HAIKU = {
    "linear": Case(lambda: hk.Linear(40, w_init=jnp.zeros), (64, 24), (40,), (24,), "w"),
    "conv": Case(
        lambda: hk.Conv2D(8, 3, stride=2, padding="VALID", w_init=jnp.zeros),
        (8, 17, 17, 4),
        (72, 9),
        (72, 36),
        "w",
        margin=2,
        period=2,
    ),
    "depthwise": Case(
        lambda: hk.DepthwiseConv2D(2, 3, padding="VALID", w_init=jnp.zeros),
        (8, 12, 12, 4),
        (36,),
        (72, 9),
        "w",
        margin=2,
    ),
    "transposed": Case(lambda: hk.Conv2DTranspose(4, 3, w_init=jnp.zeros), (8, 10, 10, 6), (36,), (54,), "w", margin=2),
}
CASES = {
    f"{library} {name}": case
    for library, cases in {"linen": LINEN, "nnx": NNX, "equinox": EQUINOX, "haiku": HAIKU}.items()
    for name, case in cases.items()
}


def applied(name: str, case: Case) -> tuple[Callable[[Any, Any], Any], Any]:
    """The layer as a function of its parameters and its input."""
    x = jnp.zeros(case.shape)
    if name.startswith("linen"):
        layer = case.make()
        return layer.apply, layer.init(KEY, x)
    if name.startswith("haiku"):

        def transformed(x):
            return case.make()(x)

        layer = hk.without_apply_rng(hk.transform(transformed))
        return layer.apply, layer.init(KEY, x)
    if name.startswith("equinox"):
        return lambda layer, x: jax.vmap(layer)(x), case.make()
    definition, state = nnx.split(case.make())
    return lambda state, x: nnx.merge(definition, state)(x), state


def interior(x: jax.Array, case: Case) -> jax.Array:
    """The positions that see all taps, in whole periods."""
    for axis in range(2, x.ndim) if case.first else range(1, x.ndim - 1):
        if case.margin:
            length = (x.shape[axis] - 2 * case.margin) // case.period * case.period
            assert length > 0, "the case leaves no interior"
            x = jax.lax.slice_in_dim(x, case.margin, case.margin + length, axis=axis)
    return x


def measure(name: str, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares of the output and of the input's gradient, one number a draw of weights, input and gradient."""
    function, params = applied(name, case)
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    ends = [str(getattr(path[-1], "key", getattr(path[-1], "name", path[-1]))) for path, _ in leaves]
    ends = [str(getattr(path[-2], "key", end)) if end.endswith("value") else end
            for end, (path, _) in zip(ends, leaves, strict=True)]  # fmt: skip
    assert case.parameter in ends

    def squares(drawn, x, back):
        tree = jax.tree_util.tree_unflatten(structure, drawn)
        y, pull = jax.vjp(lambda x: function(tree, x), x)
        (gradient,) = pull(back)
        return jnp.square(interior(y, case)).mean(), jnp.square(interior(gradient, case)).mean()

    generator, compiled = np.random.default_rng(7), jax.jit(squares)
    out = jax.eval_shape(function, params, jnp.zeros(case.shape)).shape
    made = []
    for _ in range(DRAWS):
        drawn = [
            normal(generator, leaf.shape) if end == case.parameter else np.zeros(leaf.shape, np.float32)
            for end, (_, leaf) in zip(ends, leaves, strict=True)
        ]
        made.append(compiled(drawn, normal(generator, case.shape), normal(generator, out)))
    forward, backward = np.asarray(made, np.float64).T
    return forward, backward


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape, np.float32)


def agrees(draws: np.ndarray, fan: float) -> bool:
    """Whether the mean is within 5 standard errors of the fan."""
    return abs(draws.mean() - fan) <= STANDARD_ERRORS * draws.std(ddof=1) / math.sqrt(len(draws))


def table_of(name: str, case: Case):
    if name.startswith("nnx"):
        return penstock.fans(case.make(), jnp.zeros(case.shape))
    if name.startswith("equinox"):
        return penstock.fans(case.make(), jnp.zeros(case.shape))
    return penstock.fans(*applied(name, case), jnp.zeros(case.shape))


@pytest.mark.parametrize("name", CASES)
def test_the_fans_are_those_of_the_real_layer(name):
    case = CASES[name]
    table = table_of(name, case)
    forward, backward = measure(name, case)
    assert agrees(forward, table.fan_in), (table.fan_in, forward.mean())
    assert agrees(backward, table.fan_out), (table.fan_out, backward.mean())
    for wrong in case.wrong_in:
        assert not agrees(forward, wrong), wrong
    for wrong in case.wrong_out:
        assert not agrees(backward, wrong), wrong


@pytest.mark.parametrize("make", [
    lambda: nnx.Linear(24, 40, rngs=RNGS),
    lambda: nnx.Conv(4, 8, (3, 3), rngs=RNGS, **ZEROS),
    lambda: nnx.Embed(50, 12, rngs=RNGS),
    lambda: nnx.MultiHeadAttention(2, 8, decode=False, rngs=RNGS),
    lambda: eqx.nn.Linear(24, 40, key=KEY),
    lambda: eqx.nn.Conv1d(6, 10, 3, key=KEY),
    lambda: eqx.nn.Embedding(50, 12, key=KEY),
    lambda: eqx.nn.MLP(24, 40, 24, 1, key=KEY),
])  # fmt: skip
def test_layers_that_say_what_they_take_need_no_batch(make):
    table = penstock.fans(make())
    weights = {name: row for name, row in table.items() if row.role in ("weight", "embedding")}
    assert weights
    assert all(row.fans is not None for row in weights.values())
    assert {row.role for row in table.values()} <= {"weight", "embedding", "bias"}


def test_a_look_up_sums_nothing():
    table = penstock.fans(nnx.Embed(50, 12, rngs=RNGS))
    assert (table.fan_in, table.fan_out, table["embedding"].role) == (1.0, 12.0, "embedding")


def test_the_table_of_a_model():
    def body(x):
        return hk.Linear(3, w_init=jnp.ones)(hk.LayerNorm(-1, True, True)(hk.Linear(8, w_init=jnp.ones)(x)))

    model = hk.transform(body)
    table = penstock.fans(model.apply, model.init(KEY, jnp.zeros((2, 5))), jnp.zeros((2, 5)))
    assert {name: row.role for name, row in table.items()} == {
        "layer_norm.offset": "offset",
        "layer_norm.scale": "scale",
        "linear.b": "bias",
        "linear.w": "weight",
        "linear_1.b": "bias",
        "linear_1.w": "weight",
    }
    lines = str(table).splitlines()
    assert [line.split() for line in lines if line.startswith("linear.w ")] == (
        [["linear.w", "8x3", "weight", "8", "3"]]
    )
    assert penstock.fans(pj.Model(lambda p, x: x @ p, jnp.ones((4, 7))), jnp.zeros((2, 4))).fan_out == 7.0


BAD = {
    "no batch": (lambda: penstock.fans(pj.Model(lambda p, x: x @ p, jnp.ones((4, 7)))), "batch must be given; what"),
    "no such batch": (lambda: penstock.fans(nnx.Linear(4, 7, rngs=RNGS), jnp.zeros((2, 5))), "must run on the batch"),
    "alone": (lambda: penstock.fans(linen.Dense(3)), "must come with its parameters; got Dense alone"),
    "an array": (lambda: penstock.fans(jnp.ones((3, 4))), "must be named; got an array alone"),
    "too many": (lambda: penstock.fans(linen.Dense(3), {}, 1, 2), "got 4 arguments"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read(name):
    call, text = BAD[name]
    with pytest.raises(penstock.PenstockError, match=text):
        call()
    assert penstock.fans(jnp.ones((3, 4)), in_axes=0, out_axes=1).fan_in == 3.0
