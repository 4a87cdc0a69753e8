"""Healthy models whose structure decides how they should start: sums, norms, gates and sines in unusual places."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.modules import MeanTokens, Residual, SelfAttention, feed_forward


class GroupedAttention(nn.Module):
    """Grouped-query attention with separate projections and rotary positions."""

    def __init__(self, dim: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, dim // heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.k = nn.Linear(dim, groups * self.size, bias=False)
        self.v = nn.Linear(dim, groups * self.size, bias=False)
        self.o = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same."""
        batch, tokens, dim = x.shape
        q = self._turned(self.q(x).view(batch, tokens, self.heads, self.size).transpose(1, 2))
        k = self._turned(self.k(x).view(batch, tokens, self.groups, self.size).transpose(1, 2))
        v = self.v(x).view(batch, tokens, self.groups, self.size).transpose(1, 2)
        share = self.heads // self.groups
        mixed = F.scaled_dot_product_attention(q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1))
        return self.o(mixed.transpose(1, 2).reshape(batch, tokens, dim))

    def _turned(self, x: Tensor) -> Tensor:
        half = self.size // 2
        angle = torch.arange(x.shape[-2])[:, None] / 100.0 ** (torch.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


class Block(nn.Module):
    """A transformer block in one of the ways in which people put norms, scales and sums."""

    def __init__(self, dim: int, *, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.attention = GroupedAttention(dim, 4, 2) if kind == "grouped" else SelfAttention(dim, 4)
        self.mlp = nn.Sequential(*feed_forward(dim))
        norms = {"free": 0, "parallel": 1, "parallel_chain": 1, "sandwich": 4}.get(kind, 2)
        self.norms = nn.ModuleList([nn.RMSNorm(dim) if kind == "grouped" else nn.LayerNorm(dim) for _ in range(norms)])
        self.alpha = 2.0 if kind == "deep_norm" else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same."""
        if self.kind == "free":
            x = x + self.attention(x)
            return x + self.mlp(x)
        if self.kind == "deep_norm":
            x = self.norms[0](self.alpha * x + self.attention(x))
            return self.norms[1](self.alpha * x + self.mlp(x))
        if self.kind == "sandwich":
            x = x + self.norms[1](self.attention(self.norms[0](x)))
            return x + self.norms[3](self.mlp(self.norms[2](x)))
        h = self.norms[0](x)
        if self.kind == "parallel":
            return self.attention(h) + self.mlp(h) + x
        if self.kind == "parallel_chain":
            return (x + self.attention(h)) + self.mlp(h)
        x = x + self.attention(h)
        return x + self.mlp(self.norms[1](x))


def transformer(kind: str, *, blocks: int = 4, dim: int = 32) -> nn.Sequential:
    """Blocks of one kind, a norm, a mean and a head; weights of unit gain, branches shared where nothing normalises."""
    body = [Block(dim, kind=kind) for _ in range(blocks)]
    model = nn.Sequential(*body, nn.LayerNorm(dim), MeanTokens(), nn.Linear(dim, 10))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            end = name.endswith(("out.weight", "o.weight", "mlp.2.weight"))
            nn.init.normal_(parameter, std=(1.0 if not end else (2 * blocks) ** -0.5) / math.sqrt(parameter.shape[1]))
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif kind == "sandwich" and name.endswith(("norms.1.weight", "norms.3.weight")):
            nn.init.constant_(parameter, (2 * blocks) ** -0.5)
    return model


class Sine(nn.Module):
    """sin(omega x)."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        """The sine of each element."""
        return torch.sin(self.omega * x)


def siren(*, omega: float = 30.0, width: int = 64) -> nn.Sequential:
    """Coordinates to colours through sines, as its authors start it."""
    model = nn.Sequential(
        nn.Linear(2, width), Sine(omega), nn.Linear(width, width), Sine(omega), nn.Linear(width, width), Sine(omega)
    ).append(nn.Linear(width, 3))
    for index, layer in enumerate(model):
        if isinstance(layer, nn.Linear):
            bound = 1 / 2 if index == 0 else math.sqrt(6 / width) / (omega if index < 6 else 1.0)
            nn.init.uniform_(layer.weight, -bound, bound)
    return model


class Fourier(nn.Module):
    """[cos 2 pi B x, sin 2 pi B x] with a frozen or a trained B, and an MLP on it."""

    def __init__(self, *, trained: bool) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.randn(2, 32), requires_grad=trained)
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 2) to (batch, 3)."""
        phase = 2 * torch.pi * x @ self.b
        return self.body(torch.cat([phase.cos(), phase.sin()], -1))


class SkipInitBlock(nn.Module):
    """x + alpha f(x), alpha one number that learns, with the scalar biases of Fixup."""

    def __init__(self, dim: int, *, start: float) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.bias1, self.bias2 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.alpha = nn.Parameter(torch.full((1,), start))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, dim) to the same."""
        return x + self.alpha * self.last(F.relu(self.first(x + self.bias1)) + self.bias2)


def skip_init(*, start: float, blocks: int = 6) -> nn.Sequential:
    """Residual blocks without norms, each with a multiplier."""
    model = nn.Sequential(*(SkipInitBlock(64, start=start) for _ in range(blocks)), nn.Linear(64, 10))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=(0.4 if "last" in name else 1.4 if "first" in name else 1.0) / 8)
    return model


class ModulatedBlock(nn.Module):
    """A block of a diffusion transformer: the condition shifts, scales and gates; all of that starts at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.mlp = nn.Sequential(*feed_forward(dim))
        self.modulation = nn.Linear(dim, 3 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(batch, dim), (batch, dim) to (batch, dim)."""
        shift, scale, gate = self.modulation(F.silu(c)).chunk(3, -1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class Diffusion(nn.Module):
    """Two modulated blocks behind a stem, and a last layer of zeros."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.stem, self.condition = nn.Linear(16, dim), nn.Linear(8, dim)
        self.blocks = nn.ModuleList([ModulatedBlock(dim) for _ in range(2)])
        self.final = nn.Linear(dim, 16)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(batch, 16), (batch, 8) to (batch, 16)."""
        h, c = self.stem(x), self.condition(c)
        for block in self.blocks:
            h = block(h, c)
        return self.final(h)


def spectral() -> nn.Sequential:
    """A discriminator with spectral norms."""
    layers: list[nn.Module] = []
    for inputs, outputs in [(3, 16), (16, 32), (32, 32)]:
        conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        layers += [nn.utils.parametrizations.spectral_norm(conv), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1))


def gated_residual(dim: int = 48) -> nn.Sequential:
    """Residual gated MLPs of two other kinds: a sigmoid gate, and no function at all."""
    blocks = [Residual(nn.Sequential(nn.LayerNorm(dim), Gated(dim, bilinear=b))) for b in (False, True)]
    return nn.Sequential(nn.Linear(dim, dim), *blocks, nn.LayerNorm(dim), nn.Linear(dim, 10))


class Gated(nn.Module):
    """down(gate(x) * up(x)), the gate a sigmoid or a straight line."""

    def __init__(self, dim: int, *, bilinear: bool) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.bilinear = bilinear

    def forward(self, x: Tensor) -> Tensor:
        """(batch, dim) to the same."""
        gate = self.gate(x)
        return self.down((gate if self.bilinear else gate.sigmoid()) * self.up(x))
