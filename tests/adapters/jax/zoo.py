"""Models as JAX's libraries write them, one a row: Flax examples of each family, layers of Equinox and of Haiku."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
from flax import linen as nn

KEY = jax.random.key(0)
IDS = jax.random.randint(KEY, (8, 6), 0, 30)
ROWS = jax.random.normal(KEY, (32, 12))
STEPS = jax.random.normal(KEY, (8, 5, 12))
IMAGES = jax.random.normal(KEY, (8, 8, 8, 3))
EDGES = (jnp.arange(16) % 8, (jnp.arange(16) * 3 + 1) % 8)
"""A graph of eight nodes: senders and receivers."""


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        for width in (32, 32):
            x = nn.Dropout(0.1, deterministic=True)(nn.relu(nn.Dense(width)(x)))
        return nn.Dense(4)(x)


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(nn.relu(nn.Conv(16, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.max_pool(nn.relu(nn.Conv(32, (3, 3))(x)), (2, 2), (2, 2))
        return nn.Dense(4)(nn.relu(nn.Dense(32)(x.reshape(x.shape[0], -1))))


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(16, (3, 3), use_bias=False)(x)
        for _ in range(2):
            y = nn.relu(nn.GroupNorm(4)(x))
            y = nn.relu(nn.GroupNorm(4)(nn.Conv(16, (3, 3), use_bias=False)(y)))
            x = x + nn.Conv(16, (3, 3), use_bias=False)(y)
        return nn.Dense(4)(nn.relu(nn.GroupNorm(4)(x)).mean((1, 2)))


class VAE(nn.Module):
    """Its noise is a fixed draw, as `make_rng` is one step of training."""

    @nn.compact
    def __call__(self, x):
        hidden = nn.relu(nn.Dense(32, name="encoder")(x))
        mean, log_variance = nn.Dense(8, name="mean")(hidden), nn.Dense(8, name="log_variance")(hidden)
        noise = jax.random.normal(KEY, mean.shape)
        code = mean + noise * jnp.exp(0.5 * log_variance)
        return nn.Dense(12, name="out")(nn.relu(nn.Dense(32, name="decoder")(code)))


class Seq2Seq(nn.Module):
    @nn.compact
    def __call__(self, x, y):
        carry, _ = nn.RNN(nn.OptimizedLSTMCell(16), return_carry=True, name="encoder")(x)
        return nn.Dense(5)(nn.RNN(nn.OptimizedLSTMCell(16), name="decoder")(y, initial_carry=carry))


class Transformer(nn.Module):
    """A language model whose head is its table."""

    @nn.compact
    def __call__(self, ids):
        table = nn.Embed(30, 16, embedding_init=nn.initializers.normal(0.02))
        x = table(ids) + nn.Embed(8, 16, embedding_init=nn.initializers.normal(0.02))(jnp.arange(ids.shape[1]))
        mask = nn.make_causal_mask(ids)
        for _ in range(2):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(2)(y, y, mask=mask)
            x = x + nn.Dense(16)(nn.gelu(nn.Dense(64)(nn.LayerNorm()(x))))
        return table.attend(nn.LayerNorm()(x))


class GraphNet(nn.Module):
    """Messages along edges, summed up where they arrive: what Jraph's GraphNetwork does."""

    @nn.compact
    def __call__(self, nodes):
        senders, receivers = EDGES
        x = nn.Dense(16)(nodes)
        for _ in range(2):
            pairs = jnp.concatenate([x[senders], x[receivers]], -1)
            message = nn.relu(nn.Dense(16)(pairs))
            arrived = jax.ops.segment_sum(message, receivers, x.shape[0])
            x = x + nn.Dense(16)(nn.relu(nn.Dense(16)(jnp.concatenate([x, arrived], -1))))
        return nn.Dense(3)(nn.LayerNorm()(x))


def linen(module: nn.Module, *batch: Any) -> tuple[tuple[Any, ...], Any]:
    variables = jax.jit(module.init)(KEY, *batch)
    return (module.apply, variables), batch if len(batch) > 1 else batch[0]


def haiku(function: Callable[..., Any], batch: Any) -> tuple[tuple[Any, ...], Any]:
    net = hk.without_apply_rng(hk.transform_with_state(function))
    params, state = jax.jit(net.init)(jax.random.PRNGKey(0), batch)
    return (lambda p, x: net.apply(p, state, x)[0], params), batch


def layer(make: Callable[[jax.Array], Any], batch: Any, *, width: int = 16) -> tuple[tuple[Any, ...], Any]:
    """An Equinox layer between two linear ones, mapped over the batch as its users do."""
    first, middle, last = jax.random.split(KEY, 3)
    inside = make(middle)

    class Net(eqx.Module):
        first: eqx.nn.Linear
        middle: Any
        last: eqx.nn.Linear

        def __call__(self, x):
            hidden = jax.vmap(self.first)(x)
            return jax.vmap(self.last)(self.middle(hidden))

    model = Net(eqx.nn.Linear(12, width, key=first), inside, eqx.nn.Linear(width, 3, key=last))
    return (lambda m, x: jax.vmap(m)(x), model), batch


class Attend(eqx.Module):
    inner: eqx.nn.MultiheadAttention

    def __call__(self, x):
        return self.inner(x, x, x)


class Loop(eqx.Module):
    """A cell over the steps of one sequence."""

    cell: Any
    state: Any = eqx.field(static=True)

    def __call__(self, x):
        start = (jnp.zeros(16), jnp.zeros(16)) if self.state == 2 else jnp.zeros(16)
        step = lambda h, v: ((new := self.cell(v, h)), new[0] if self.state == 2 else new)  # noqa: E731
        return jax.lax.scan(step, start, x)[1]


class Each(eqx.Module):
    """Layers of one vector, for each step."""

    inner: tuple[Any, ...]

    def __call__(self, x):
        for one in self.inner:
            x = jax.vmap(one)(x)
        return x


class Channels(eqx.Module):
    """Convolutions over the steps: Equinox wants the channels in front."""

    inner: tuple[Any, ...]

    def __call__(self, x):
        x = x.T
        for one in self.inner:
            x = jax.nn.relu(one(x))
        return x.T


def norms(key):
    several = (eqx.nn.LayerNorm(16), eqx.nn.Linear(16, 16, key=key), eqx.nn.RMSNorm(16), eqx.nn.PReLU(0.1))
    return Each((*several, eqx.nn.GroupNorm(4, 16)))


def convolutions(key):
    one, two, three = jax.random.split(key, 3)
    plain = eqx.nn.Conv1d(16, 16, 3, padding=1, key=one)
    grouped = eqx.nn.Conv1d(16, 16, 3, padding=1, groups=4, key=two)
    return Channels((plain, grouped, eqx.nn.ConvTranspose1d(16, 16, 3, padding=1, key=three)))


def equinox_mlp():
    return (eqx.nn.MLP(12, 3, 16, 2, key=KEY),), ROWS


def haiku_cnn(x):
    x = hk.BatchNorm(True, True, 0.9)(hk.Conv2D(16, 3)(x), is_training=True)
    x = jax.nn.relu(hk.DepthwiseConv2D(1, 3)(jax.nn.relu(x)))
    return hk.Linear(3)(jax.nn.relu(hk.Conv2DTranspose(8, 3)(x)).mean((1, 2)))


def haiku_attention(x):
    y = hk.LayerNorm(-1, True, True)(hk.Linear(16)(x))
    y = y + hk.MultiHeadAttention(2, 8, w_init=hk.initializers.VarianceScaling(1.0), model_size=16)(y, y, y)
    return hk.Linear(3)(hk.RMSNorm(-1)(y))


def haiku_rnn(core: Callable[[], Any]) -> Callable[[Any], Any]:
    def run(x):
        cell = core()
        out, _ = hk.dynamic_unroll(cell, x, cell.initial_state(x.shape[0]), time_major=False)
        return hk.Linear(3)(out)

    return run


MODELS: dict[str, Callable[[], tuple[tuple[Any, ...], Any]]] = {
    "flax mlp": lambda: linen(MLP(), ROWS),
    "flax cnn": lambda: linen(CNN(), IMAGES),
    "flax resnet": lambda: linen(ResNet(), IMAGES),
    "flax vae": lambda: linen(VAE(), ROWS),
    "flax seq2seq": lambda: linen(Seq2Seq(), STEPS, STEPS[:, :4, :5]),
    "flax transformer": lambda: linen(Transformer(), IDS),
    "flax graph net": lambda: linen(GraphNet(), ROWS[:8]),
    "equinox mlp": equinox_mlp,
    "equinox attention": lambda: layer(lambda k: Attend(eqx.nn.MultiheadAttention(2, 16, key=k)), STEPS),
    "equinox lstm": lambda: layer(lambda k: Loop(eqx.nn.LSTMCell(16, 16, key=k), 2), STEPS),
    "equinox gru": lambda: layer(lambda k: Loop(eqx.nn.GRUCell(16, 16, key=k), 1), STEPS),
    "equinox norms": lambda: layer(norms, STEPS),
    "equinox convolutions": lambda: layer(convolutions, STEPS),
    "haiku cnn": lambda: haiku(haiku_cnn, IMAGES),
    "haiku attention": lambda: haiku(haiku_attention, STEPS),
    "haiku lstm": lambda: haiku(haiku_rnn(lambda: hk.LSTM(16)), STEPS),
    "haiku gru": lambda: haiku(haiku_rnn(lambda: hk.GRU(16)), STEPS),
    "haiku rnn": lambda: haiku(haiku_rnn(lambda: hk.VanillaRNN(16)), STEPS),
    "haiku embedding": lambda: haiku(lambda i: hk.Linear(3)(hk.Embed(30, 16)(i).mean(1)), IDS),
    "haiku resnet": lambda: haiku(
        lambda x: hk.nets.ResNet((1, 1, 1, 1), 3, channels_per_group=(8, 8, 16, 16), bottleneck=False)(x, True), IMAGES
    ),
}
