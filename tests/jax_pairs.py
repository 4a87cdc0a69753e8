"""The same architectures in PyTorch and in Flax nnx, with the same names but for the last part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from flax import nnx
from torch import nn

Break = Callable[[dict[str, Any]], None]


class TorchMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(12, 32), nn.Linear(32, 32), nn.Linear(32, 5)

    def forward(self, x):
        return self.c(torch.tanh(self.b(F.relu(self.a(x)))))


class FlaxMLP(nnx.Module):
    def __init__(self, rngs) -> None:
        self.a, self.b = nnx.Linear(12, 32, rngs=rngs), nnx.Linear(32, 32, rngs=rngs)
        self.c = nnx.Linear(32, 5, rngs=rngs)

    def __call__(self, x):
        return self.c(jnp.tanh(self.b(jax.nn.relu(self.a(x)))))


class TorchCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        x = F.relu(self.c1(x))
        x = F.gelu(self.c2(F.avg_pool2d(x, 2)))
        return self.head(x.mean((2, 3)))


class FlaxCNN(nnx.Module):
    def __init__(self, rngs) -> None:
        self.c1 = nnx.Conv(3, 16, (3, 3), padding=1, rngs=rngs)
        self.c2 = nnx.Conv(16, 24, (3, 3), strides=2, padding=1, rngs=rngs)
        self.head = nnx.Linear(24, 5, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu(self.c1(x))
        x = jax.nn.gelu(self.c2(nnx.avg_pool(x, (2, 2), strides=(2, 2))), approximate=False)
        return self.head(x.mean((1, 2)))


class TorchBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.c2, self.n2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(x + self.n2(self.c2(F.relu(self.n1(self.c1(x))))))


class TorchResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.blocks = nn.ModuleList([TorchBlock(16), TorchBlock(16)])
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class FlaxBlock(nnx.Module):
    def __init__(self, width: int, rngs) -> None:
        self.c1, self.n1 = conv(width, width, rngs), nnx.BatchNorm(width, rngs=rngs)
        self.c2, self.n2 = conv(width, width, rngs), nnx.BatchNorm(width, rngs=rngs)

    def __call__(self, x):
        return jax.nn.relu(x + self.n2(self.c2(jax.nn.relu(self.n1(self.c1(x))))))


def conv(width_in: int, width_out: int, rngs, **options):
    return nnx.Conv(width_in, width_out, (3, 3), padding=1, use_bias=False, rngs=rngs, **options)


class FlaxResNet(nnx.Module):
    def __init__(self, rngs) -> None:
        self.stem, self.norm = conv(3, 16, rngs), nnx.BatchNorm(16, rngs=rngs)
        self.blocks = nnx.List([FlaxBlock(16, rngs), FlaxBlock(16, rngs)])
        self.head = nnx.Linear(16, 5, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class TorchLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.o = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        y = self.n1(x)
        q, k, v = (m(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for m in (self.q, self.k, self.v))
        weights = F.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
        x = x + self.o((weights @ v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class TorchTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(40, 32)
        self.layers = nn.ModuleList([TorchLayer(32, 4) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 40, bias=False)

    def forward(self, ids):
        x = self.tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class FlaxLayer(nnx.Module):
    def __init__(self, width: int, heads: int, rngs) -> None:
        self.heads = heads
        self.n1, self.n2 = (nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.q, self.k, self.v = (nnx.Linear(width, width, rngs=rngs) for _ in range(3))
        self.o = nnx.Linear(width, width, rngs=rngs)
        self.up, self.down = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x):
        y = self.n1(x)
        q, k, v = (m(y).reshape(*y.shape[:2], self.heads, -1) for m in (self.q, self.k, self.v))
        weights = jax.nn.softmax(jnp.einsum("bthd,bshd->bhts", q, k) / q.shape[-1] ** 0.5)
        x = x + self.o(jnp.einsum("bhts,bshd->bthd", weights, v).reshape(y.shape))
        return x + self.down(jax.nn.gelu(self.up(self.n2(x)), approximate=False))


class FlaxTransformer(nnx.Module):
    def __init__(self, rngs) -> None:
        self.tokens = nnx.Embed(40, 32, rngs=rngs)
        self.layers = nnx.List([FlaxLayer(32, 4, rngs) for _ in range(2)])
        self.norm = nnx.LayerNorm(32, epsilon=1e-5, rngs=rngs)
        self.head = nnx.Linear(32, 40, use_bias=False, rngs=rngs)

    def __call__(self, ids):
        x = self.tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class TorchLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x, self.h, self.head = nn.Linear(6, 64), nn.Linear(16, 64, bias=False), nn.Linear(16, 3)

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], 16)
        for t in range(x.shape[1]):
            i, f, g, o = (self.x(x[:, t]) + self.h(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.head(h)


class FlaxLSTM(nnx.Module):
    def __init__(self, rngs) -> None:
        self.x, self.h = nnx.Linear(6, 64, rngs=rngs), nnx.Linear(16, 64, use_bias=False, rngs=rngs)
        self.head = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        h = c = jnp.zeros((x.shape[0], 16))
        for t in range(x.shape[1]):
            i, f, g, o = jnp.split(self.x(x[:, t]) + self.h(h), 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return self.head(h)


class TorchSeparable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.depth = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.point = nn.Conv2d(16, 32, 1, bias=False)
        self.n1, self.n2 = nn.BatchNorm2d(16), nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        x = F.hardswish(self.n1(self.depth(F.relu(self.stem(x)))))
        return self.head(F.relu6(self.n2(self.point(x))).amax((2, 3)))


class FlaxSeparable(nnx.Module):
    def __init__(self, rngs) -> None:
        self.stem, self.depth = conv(3, 16, rngs), conv(16, 16, rngs, feature_group_count=16)
        self.point = nnx.Conv(16, 32, (1, 1), use_bias=False, rngs=rngs)
        self.n1, self.n2 = nnx.BatchNorm(16, rngs=rngs), nnx.BatchNorm(32, rngs=rngs)
        self.head = nnx.Linear(32, 5, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.hard_swish(self.n1(self.depth(jax.nn.relu(self.stem(x)))))
        return self.head(jax.nn.relu6(self.n2(self.point(x))).max((1, 2)))


class TorchTied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.mix = nn.Embedding(30, 24), nn.Linear(24, 24)
        self.norm = nn.LayerNorm(24)

    def forward(self, ids):
        x = self.tokens(ids)
        return F.linear(self.norm(x + torch.tanh(self.mix(x))), self.tokens.weight)


class FlaxTied(nnx.Module):
    def __init__(self, rngs) -> None:
        self.tokens, self.mix = nnx.Embed(30, 24, rngs=rngs), nnx.Linear(24, 24, rngs=rngs)
        self.norm = nnx.LayerNorm(24, epsilon=1e-5, rngs=rngs)

    def __call__(self, ids):
        x = self.tokens(ids)
        return self.tokens.attend(self.norm(x + jnp.tanh(self.mix(x))))


class TorchGated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(12, 48, bias=False), nn.Linear(12, 48, bias=False)
        self.down, self.norm = nn.Linear(48, 12, bias=False), nn.RMSNorm(12, eps=1e-6)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        return self.head(self.norm(x + self.down(F.silu(self.gate(x)) * self.up(x))))


class FlaxGated(nnx.Module):
    def __init__(self, rngs) -> None:
        self.gate, self.up = (nnx.Linear(12, 48, use_bias=False, rngs=rngs) for _ in range(2))
        self.down, self.norm = nnx.Linear(48, 12, use_bias=False, rngs=rngs), nnx.RMSNorm(12, rngs=rngs)
        self.head = nnx.Linear(12, 5, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(x + self.down(jax.nn.silu(self.gate(x)) * self.up(x))))


@dataclass(frozen=True)
class Pair:
    """One architecture.

    Attributes:
        torch, flax: make it.
        shape: of the input; a `high` makes it integers below that.
        broken: a parameter by PyTorch's name, and what it is multiplied by in the broken version.
    """

    torch: Callable[[], nn.Module]
    flax: Callable[[nnx.Rngs], nnx.Module]
    shape: tuple[int, ...]
    broken: tuple[str, float]
    high: int | None = None

    def inputs(self) -> tuple[torch.Tensor, jax.Array]:
        """The same batch for both: images with channels where each framework has them."""
        rng = np.random.default_rng(0)
        if self.high is not None:
            ids = rng.integers(0, self.high, self.shape)
            return torch.from_numpy(ids), jnp.asarray(ids)
        x = rng.standard_normal(self.shape).astype(np.float32)
        return torch.from_numpy(x), jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)


PAIRS = {
    "mlp": Pair(TorchMLP, FlaxMLP, (64, 12), ("b.weight", 100.0)),
    "cnn": Pair(TorchCNN, FlaxCNN, (16, 3, 16, 16), ("c1.weight", 1e-6)),
    "resnet": Pair(TorchResNet, FlaxResNet, (16, 3, 8, 8), ("head.weight", 1e4)),
    "transformer": Pair(TorchTransformer, FlaxTransformer, (16, 12), ("layers.0.down.weight", 1e4), high=40),
    "lstm": Pair(TorchLSTM, FlaxLSTM, (32, 5, 6), ("x.weight", 300.0)),
    "separable": Pair(TorchSeparable, FlaxSeparable, (16, 3, 8, 8), ("head.weight", 1e4)),
    "tied": Pair(TorchTied, FlaxTied, (16, 12), ("tokens.weight", 1e4), high=30),
    "gated": Pair(TorchGated, FlaxGated, (64, 12), ("head.weight", 1e5)),
}
"""Name -> architecture."""

LAST = {"kernel": "weight", "embedding": "weight", "scale": "weight"}


def torch_name(name: str) -> str:
    """PyTorch's name of a parameter of Flax."""
    path, _, last = name.rpartition(".")
    return f"{path}.{LAST.get(last, last)}"


def to_flax(name: str, values: np.ndarray) -> np.ndarray:
    """PyTorch's values in Flax's layout."""
    if name.endswith("kernel"):
        return values.transpose((2, 3, 1, 0) if values.ndim == 4 else (1, 0))
    return values


def copied(pair: Pair, model: nn.Module) -> nnx.Module:
    """The Flax model with the parameters of the PyTorch one."""
    twin = pair.flax(nnx.Rngs(0))
    values = {name: p.detach().numpy() for name, p in model.named_parameters()}
    state = nnx.state(twin, nnx.Param)
    flat = jax.tree_util.tree_flatten_with_path(state)[0]
    for path, leaf in flat:
        name = ".".join(str(getattr(p, "key", getattr(p, "name", p))) for p in path).removesuffix(".value")
        assert leaf.shape == to_flax(name, values[torch_name(name)]).shape, name
    made = [
        jnp.asarray(
            to_flax(
                n := ".".join(str(getattr(p, "key", getattr(p, "name", p))) for p in path).removesuffix(".value"),
                values[torch_name(n)],
            )
        )
        for path, _ in flat
    ]
    nnx.update(twin, jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(state), made))
    return twin
