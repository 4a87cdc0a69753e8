"""What the trace makes of the ways in which people write a network for JAX."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp

import penstock
import penstock.jax as pj
from penstock.geometry import Geometry
from penstock.jax.check import measure
from penstock.jax.scalar import as_scalar_function
from penstock.signals import Measured

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (16, 12))
IDS = jax.random.randint(KEY, (8, 5), 0, 7)


def normal(*shape: int, seed: int = 1) -> jax.Array:
    """Weights that keep the RMS."""
    return jax.random.normal(jax.random.key(seed), shape) / math.sqrt(shape[-2] if len(shape) > 1 else 1)


def traced(function, params, batch=X, **options) -> Measured:
    return measure(pj.Model(function, params), batch, **options)


def picture(measured: Measured) -> str:
    """The graph in one line: kind, what it reads, what it uses."""
    parts = []
    for node in measured.graph.nodes:
        inputs = f"[{', '.join(map(str, node.inputs))}]" if node.inputs else ""
        names = f" {'+'.join(node.parameters)}" if node.parameters else ""
        parts.append(f"{node.kind}{inputs}{names}")
    return " ; ".join(parts)


def layer_norm(x, p):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * p["g"] + p["b"]


def folded_norm(x, p):
    mean, variance = x.mean(0), jnp.square(x - x.mean(0)).mean(0)
    inverse = p["g"] / jnp.sqrt(variance + 1e-5)
    return x * inverse + (p["b"] - mean * inverse)


def taken(p, x):
    return jax.lax.cond(x.sum() > -1e9, jnp.tanh, lambda y: y * 2, x @ p["w"]) @ p["o"]


def stacked(p, x):
    step = lambda h, w: (jax.nn.relu(h @ w), None)  # noqa: E731
    return jax.lax.scan(step, x, p["w"])[0] @ p["o"]


@jax.custom_vjp
def rounded(x):
    return jnp.round(x)


rounded.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))

KEPT = jax.random.bernoulli(jax.random.key(3), 0.8, (len(X), 12))
W, O, B = normal(12, 12), normal(12, 3, seed=2), jnp.zeros(12)  # noqa: E741

# name -> function, parameters, batch, the graph in one line.
PICTURES = {
    "linear": (lambda p, x: x @ p["w"] + p["b"], {"w": W, "b": B}, X, "input ; contraction[0] w+b"),
    "left": (lambda p, x: (p["w"] @ x.T).T + p["b"], {"w": W, "b": B}, X, "input ; contraction[0] w+b"),
    "einsum": (
        lambda p, x: jnp.einsum("bi,ihk->bhk", x, p["w"]) + p["b"],
        {"w": normal(12, 3, 4), "b": jnp.zeros((3, 4))},
        X,
        "input ; contraction[0] w+b",
    ),
    "rows": (
        lambda p, i: p["e"][i] @ p["o"],
        {"e": normal(7, 12), "o": O},
        IDS,
        "input ; contraction[0] e ; contraction[1] o",
    ),
    "one-hot": (lambda p, i: jax.nn.one_hot(i, 7) @ p["e"], {"e": normal(7, 12)}, IDS, "input ; contraction[0] e"),
    "position": (
        lambda p, i: p["e"][i] + p["p"][None, : i.shape[1]],
        {"e": normal(7, 12), "p": normal(9, 12)},
        IDS,
        "input ; contraction[0] e ; sum[1] p",
    ),
    "norm": (
        lambda p, x: layer_norm(jax.nn.relu(x @ p["w"]), p),
        {"w": W, "g": jnp.ones(12), "b": B},
        X,
        "input ; contraction[0] w ; pointwise[1] ; norm[2] g+b",
    ),
    "folded norm": (  # as Keras writes it: x * (scale / std) + (offset - mean * scale / std)
        lambda p, x: folded_norm(x @ p["w"], p),
        {"w": W, "g": jnp.ones(12), "b": B},
        X,
        "input ; contraction[0] w ; norm[1] g+b",
    ),
    "dropout": (
        lambda p, x: jnp.where(KEPT, jax.nn.relu(x @ p["w"]) / 0.8, 0.0) @ p["o"],
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; move[2] ; contraction[3] o",
    ),
    "dropout of haiku": (
        lambda p, x: (KEPT * (x @ p["w"]) / 0.8) @ p["o"],
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; move[1] ; contraction[2] o",
    ),
    "no dropout": (  # control: what is masked was made smaller
        lambda p, x: jnp.where(KEPT, (x @ p["w"]) * 0.8, 0.0) @ p["o"],
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] o",
    ),
    "softmax": (
        lambda p, x: jax.nn.softmax(2.0 * (x @ p["w"])) @ p["o"],
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; mix[2] ; contraction[3] o",
    ),
    "residual": (
        lambda p, x: x + jnp.tanh(x @ p["w"]) @ p["w"],
        {"w": W},
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] w ; sum[0, 3]",
    ),
    "gate": (
        lambda p, x: (jax.nn.silu(x @ p["w"]) * (x @ p["v"])) @ p["o"],
        {"w": W, "v": normal(12, 12, seed=3), "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[0] v ; gate[2, 3] ; contraction[4] o",
    ),
    "experts": (
        lambda p, x: jax.vmap(lambda w: jax.nn.relu(x @ w))(p["w"]).mean(0) @ p["o"],
        {"w": normal(4, 12, 12), "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; mix[2] ; contraction[3] o",
    ),
    "scan": (
        stacked,
        {"w": normal(3, 12, 12), "o": O},
        X,
        "input ; contraction[0] w[0] ; pointwise[1] ; contraction[2] w[1] ; pointwise[3] ; contraction[4] w[2] ; "
        "pointwise[5] ; contraction[6] o",
    ),
    "cond": (taken, {"w": W, "o": O}, X, "input ; contraction[0] w ; pointwise[1] ; contraction[2] o"),
    "remat": (
        lambda p, x: jax.checkpoint(lambda y: jax.nn.gelu(y @ p["w"]))(x) @ p["o"],
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] o",
    ),
    "jit": (
        jax.jit(lambda p, x: jax.nn.elu(x @ p["w"]) @ p["o"]),
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] o",
    ),
    "custom derivative": (
        lambda p, x: rounded(x @ p["w"]) @ p["o"],
        {"w": W, "o": O},
        X,
        "input ; contraction[0] w ; pointwise[1] ; contraction[2] o",
    ),
    "mean": (lambda p, x: (x @ p["w"]).mean(0), {"w": W}, X, "input ; contraction[0] w ; mix[1]"),
    "dead end": (lambda p, x: (x @ p["w"], jnp.tanh(x))[0] * 1.0 + 0.0, {"w": W}, X, "input ; contraction[0] w"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
    function, params, batch, wanted = PICTURES[name]
    assert picture(traced(function, params, batch)) == wanted


def test_own_derivative_is_kept():
    # Rounding has no slope: a gradient reaches the first weight only by the derivative that was given to it.
    given = traced(lambda p, x: rounded(x @ p["w"]) @ p["o"], {"w": W, "o": O}).parameters["w"].grad_rms
    plain = traced(lambda p, x: jnp.round(x @ p["w"]) @ p["o"], {"w": W, "o": O}).parameters["w"].grad_rms
    assert given is not None
    assert given > 0.1
    assert plain == 0.0


def test_gradients_are_those_of_jax():
    params = {"w": W, "o": O}
    loss = lambda y: jnp.mean(jnp.square(y - 1.0))  # noqa: E731
    function = lambda p, x: jnp.tanh(x @ p["w"]) @ p["o"]  # noqa: E731
    measured = traced(function, params, loss=loss)
    wanted = jax.grad(lambda p: loss(function(p, X)))(params)
    for name, gradient in wanted.items():
        rms = float(jnp.sqrt(jnp.mean(jnp.square(gradient))))
        assert measured.parameters[name].grad_rms == pytest.approx(rms, rel=1e-5)
    hidden = jax.grad(lambda h: loss(jnp.tanh(h) @ O))(X @ W)
    assert measured.signals[1].grad_rms == pytest.approx(float(jnp.sqrt(jnp.mean(jnp.square(hidden)))), rel=1e-5)
    assert measured.loss.value == pytest.approx(float(loss(function(params, X))), rel=1e-6)


# layer -> function, weight, input's shape, axis roles as (in, out, window, groups, stride, transposed).
def conv(x, w, **options):
    return jax.lax.conv_general_dilated(x, w, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options)


ROLES = {
    "linear": (lambda w, x: x @ w, (48, 64), (400, 48), (48.0, 64.0)),
    "equinox's linear": (lambda w, x: x @ w.T, (64, 48), (400, 48), (48.0, 64.0)),
    "heads": (lambda w, x: jnp.einsum("bi,ihk->bhk", x, w), (48, 4, 16), (400, 48), (48.0, 64.0)),
    "out of heads": (lambda w, x: jnp.einsum("bhk,hko->bo", x, w), (4, 16, 48), (400, 4, 16), (64.0, 48.0)),
    "experts": (lambda w, x: jnp.einsum("ebi,eio->ebo", x, w), (3, 48, 64), (3, 400, 48), (48.0, 64.0)),
    "conv": (
        lambda w, x: conv(x, w, window_strides=(1, 1), padding="VALID"),
        (3, 3, 8, 32),
        (8, 9, 9, 8),
        (72.0, 288.0),
    ),
    "grouped": (
        lambda w, x: conv(x, w, window_strides=(1, 1), padding="VALID", feature_group_count=4),
        (3, 3, 4, 32),
        (8, 9, 9, 16),
        (36.0, 72.0),
    ),
    "depthwise": (
        lambda w, x: conv(x, w, window_strides=(1, 1), padding="VALID", feature_group_count=32),
        (3, 3, 1, 32),
        (8, 9, 9, 32),
        (9.0, 9.0),
    ),
    "transposed": (
        lambda w, x: jax.lax.conv_transpose(x, w, (2, 2), "VALID"),
        (4, 4, 16, 32),
        (8, 9, 9, 16),
        (64.0, 512.0),
    ),
}


@pytest.mark.parametrize("name", ROLES)
def test_fans_through_the_forward_pass(name):
    """Weights of variance 1 / fan_in keep the RMS of a signal."""
    function, shape, given, (fan_in, fan_out) = ROLES[name]
    x = jax.random.normal(KEY, given)
    geometry = traced(lambda p, x: function(p["w"], x), {"w": normal(*shape)}, x).parameters["w"].geometry
    assert isinstance(geometry, Geometry)
    assert (geometry.fans.fan_in, geometry.fans.fan_out) == (fan_in, fan_out)
    made = []
    for seed in range(12):
        weight = jax.random.normal(jax.random.key(seed + 5), shape) / math.sqrt(geometry.fans.fan_in)
        out = function(weight, jax.random.normal(jax.random.key(seed + 50), given))
        # The rim of a transposed convolution is summed from fewer taps.
        made.append(float(jnp.square(out[:, 4:-4, 4:-4] if geometry.transposed else out).mean()))
    mean, error = np.mean(made), np.std(made, ddof=1) / math.sqrt(len(made))
    assert abs(mean - 1.0) < 5 * error
    # Control: half the fan is noticed.
    assert abs(2 * mean - 1.0) > 5 * 2 * error


@pytest.mark.parametrize("function", [jax.nn.gelu, jax.nn.relu, jax.nn.elu, jax.nn.silu, jax.nn.softplus, jnp.tanh])
def test_activations_are_read_in_float64(function):
    x = np.linspace(-3.0, 3.0, 7)
    made = as_scalar_function(function)(x)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, np.asarray(function(jnp.asarray(x))), rtol=1e-5, atol=1e-6)


def test_gain_of_a_function_of_jax():
    assert float(penstock.gain(jax.nn.relu)) == pytest.approx(math.sqrt(2.0), rel=1e-9)
    assert float(penstock.gain(lambda x: x * jax.nn.sigmoid(x))) == pytest.approx(
        float(penstock.gain("silu")), rel=1e-6
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_long_loops_are_looked_into_where_they_begin(reverse):
    def loop(p, x):
        def step(h, row):
            h = jnp.tanh(row @ p["w"] + h @ p["u"])
            return h, h

        last, all_of_them = jax.lax.scan(step, jnp.zeros((8, 12)), x, reverse=reverse)
        return (last + all_of_them.mean(0)) @ p["o"]

    params = {"w": normal(5, 12), "u": normal(12, 12, seed=3), "o": O}
    x = jax.random.normal(KEY, (50, 8, 5))
    loss = lambda y: jnp.mean(jnp.square(y - 1.0))  # noqa: E731
    measured = traced(loop, params, x, loss=loss)
    assert measured.loss.value == pytest.approx(float(loss(loop(params, x))), rel=1e-5)
    wanted = jax.grad(lambda p: loss(loop(p, x)))(params)
    for name, gradient in wanted.items():
        rms = float(jnp.sqrt(jnp.mean(jnp.square(gradient))))
        assert measured.parameters[name].grad_rms == pytest.approx(rms, rel=1e-4)
        assert measured.parameters[name].role == "weight"
    assert len(measured.graph.nodes) < 60
    assert any("first 8 steps" in note for note in measured.notes)
    assert not measured.graph.unknown_ops
