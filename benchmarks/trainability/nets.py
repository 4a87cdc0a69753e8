"""The networks of the proving ground: as a user would write them, with PyTorch's own layers and starts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as f


class Square(nn.Module):
    """relu(x)^2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return f.relu(x).square()


class Bump(nn.Module):
    """A function with no name, neither odd nor monotone: x exp(-x^2 / 4) + 0.3 x."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.exp(-x * x / 4) + 0.3 * x


class Sine(nn.Module):
    """sin(w0 x)."""

    def __init__(self, w0: float = 1.0) -> None:
        super().__init__()
        self.w0 = w0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.w0 * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "sin": Sine,
    "hardswish": nn.Hardswish,
    "relu2": Square,
    "bump": Bump,
}


def mlp(activation: str, depth: int, *, width: int = 64, inputs: int = 64, outputs: int = 10) -> nn.Module:
    """`depth` hidden layers, nothing else."""
    return uneven(activation, [width] * depth, inputs=inputs, outputs=outputs)


def uneven(activation: str, widths: list[int], *, inputs: int = 64, outputs: int = 10) -> nn.Module:
    """Hidden layers of these widths."""
    layers: list[nn.Module] = []
    for before, width in zip([inputs, *widths], widths, strict=False):
        layers += [nn.Linear(before, width), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))


def cnn(activation: str, depth: int, *, channels: int = 16) -> nn.Module:
    """Plain 3 x 3 convolutions with zero padding, one of them with stride 2, then a pooled head."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for index in range(depth):
        stride = 2 if index == depth // 3 else 1
        layers += [
            nn.Conv2d(channels if index else 1, channels, 3, stride=stride, padding=1),
            ACTIVATIONS[activation](),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def residual_mlp(depth: int, *, width: int = 64) -> nn.Module:
    """Blocks of two layers each, without norms; `depth` counts layers."""
    blocks = [Residual(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(depth // 2)]
    return nn.Sequential(*blocks, nn.ReLU(), nn.Linear(width, 10))


def residual_cnn(depth: int, *, channels: int = 16) -> nn.Module:
    """The same with convolutions at 4 x 4."""
    blocks = [
        Residual(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))
        for _ in range(depth // 2)
    ]
    first = nn.Conv2d(1, channels, 3, stride=2, padding=1)
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), first, *blocks, *head)


class Block(nn.Module):
    """A transformer's layer; its norms before, behind or nowhere."""

    def __init__(self, width: int, heads: int, norms: str) -> None:
        super().__init__()
        self.heads, self.norms = heads, norms
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        if norms != "none":
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (
            layer(x).reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = f.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(f.gelu(self.up(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.norms == "pre":
            x = x + self.attend(self.first(x))
            return x + self.feed(self.second(x))
        if self.norms == "post":
            x = self.first(x + self.attend(x))
            return self.second(x + self.feed(x))
        x = x + self.attend(x)
        return x + self.feed(x)


class Transformer(nn.Module):
    """Predicts the next sign at each place."""

    def __init__(
        self, norms: str, layers: int, *, signs: int, width: int = 64, heads: int = 4, length: int = 64
    ) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(signs, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, norms) for _ in range(layers))
        self.last = nn.LayerNorm(width) if norms == "pre" else nn.Identity()
        self.head = nn.Linear(width, signs)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.last(x))


class Recurrent(nn.Module):
    """An LSTM or GRU over a sequence of real vectors; a linear head on its last `answers` states."""

    def __init__(self, cell: str, inputs: int, outputs: int, *, answers: int = 1, width: int = 64) -> None:
        super().__init__()
        made = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.cell, self.head, self.answers = made(inputs, width, batch_first=True), nn.Linear(width, outputs), answers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.cell(x)
        out = self.head(states[:, -self.answers :])
        return out[:, 0] if self.answers == 1 else out


def siren(*, depth: int = 5, width: int = 64) -> nn.Module:
    """From coordinates to a grey value, with sines of frequency 30 throughout (Sitzmann et al. 2020)."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Linear(width if index else 2, width), Sine(30.0)]
    return nn.Sequential(*layers, nn.Linear(width, 1))
