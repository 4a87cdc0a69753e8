"""The modules that the plain zoo is made of: each one way in which people write a network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """x + body(x), the branch optionally scaled per channel (layer scale)."""

    def __init__(self, body: nn.Module, *, layer_scale: tuple[int, float] | None = None) -> None:
        super().__init__()
        self.body = body
        self.gamma = nn.Parameter(torch.full(layer_scale[:1], layer_scale[1])) if layer_scale else None

    def forward(self, x: Tensor) -> Tensor:
        """x + gamma * body(x)."""
        branch = self.body(x)
        return x + (branch if self.gamma is None else self.gamma * branch)


class MeanTokens(nn.Module):
    """Average over the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) to (batch, dim)."""
        return x.mean(1)


class SelfAttention(nn.Module):
    """Multi-head attention with one fused projection for query, key and value."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same."""
        batch, tokens, dim = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, dim))


class BasicBlock(nn.Module):
    """A ResNet block with batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.short = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """relu(shortcut + branch)."""
        branch = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.short(x) + branch)


class Recurrent(nn.Module):
    """Embedding, a recurrent layer, and a classifier on the last step."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU] | type[nn.RNN], *, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.rnn = cell(32, 48, num_layers=2, batch_first=True)
        self.head = nn.Linear(48, classes)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens) indices to (batch, classes)."""
        states, _ = self.rnn(self.embed(ids))
        return self.head(states[:, -1])


class TiedLanguageModel(nn.Module):
    """Embedding, one causal block and a head that is the embedding itself."""

    def __init__(self, vocabulary: int, *, dim: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dim)
        self.position = nn.Parameter(torch.randn(16, dim) * 0.02)
        self.block = Residual(nn.Sequential(nn.LayerNorm(dim), SelfAttention(dim, 4)))
        self.mlp = Residual(nn.Sequential(nn.LayerNorm(dim), *feed_forward(dim)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocabulary, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, tokens) indices to (batch, tokens, vocabulary)."""
        x = self.embed(ids) + self.position[: ids.shape[1]]
        return self.head(self.norm(self.mlp(self.block(x))))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden, bias=False)
        self.up = nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, dim) to the same."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class StackedExperts(nn.Module):
    """A mixture of experts whose weights are stacked in two tensors: (experts, in, hidden), (experts, hidden, out)."""

    def __init__(self, *, experts: int, dim: int, hidden: int, einsum: bool) -> None:
        super().__init__()
        self.einsum = einsum
        self.router = nn.Linear(dim, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, dim, hidden) * math.sqrt(2 / dim))
        self.down = nn.Parameter(torch.randn(experts, hidden, dim) / math.sqrt(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, dim) to the same: every expert runs, the router averages."""
        weights = self.router(x).softmax(-1)
        if self.einsum:
            hidden = torch.einsum("bi,eih->ebh", x, self.up).relu()
            made = torch.einsum("ebh,eho->ebo", hidden, self.down)
        else:
            hidden = torch.bmm(x.expand(self.up.shape[0], *x.shape), self.up).relu()
            made = torch.bmm(hidden, self.down)
        return torch.einsum("ebo,be->bo", made, weights)


class HandWritten(nn.Module):
    """Raw parameters, x @ w, an activation and a layer norm written out."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        # 1.53 is the forward gain of x * sigmoid(1.702 x), 1 / sqrt(E[phi(z)^2]).
        self.w = nn.ParameterList([nn.Parameter(torch.randn(i, o) * 1.53 / math.sqrt(i)) for i, o in pairs])
        self.b = nn.ParameterList([nn.Parameter(torch.zeros(o)) for _, o in pairs])
        self.scale = nn.ParameterList([nn.Parameter(torch.ones(o)) for _, o in pairs[:-1]])
        self.offset = nn.ParameterList([nn.Parameter(torch.zeros(o)) for _, o in pairs[:-1]])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, widths[0]) to (batch, widths[-1])."""
        for w, b, scale, offset in zip(self.w[:-1], self.b[:-1], self.scale, self.offset, strict=True):
            h = x @ w + b
            centred = h - h.mean(-1, keepdim=True)
            h = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * scale + offset
            x = h * torch.sigmoid(1.702 * h)
        return x @ self.w[-1] + self.b[-1]


class LoraLinear(nn.Module):
    """A frozen linear layer with a trainable low-rank update whose second factor starts at zero."""

    def __init__(self, base: nn.Linear, *, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """base(x) + x A^T B^T."""
        return self.base(x) + x @ self.lora_A.T @ self.lora_B.T


class SharedLayers(nn.Module):
    """One block that runs several times."""

    def __init__(self, dim: int, times: int) -> None:
        super().__init__()
        self.times = times
        self.block = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.ReLU())
        self.head = nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        """The same block again and again."""
        for _ in range(self.times):
            x = self.block(x)
        return self.head(x)


class DynamicFlow(nn.Module):
    """Python decides from the data which layers run, and how often."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([he(nn.Linear(dim, dim)) for _ in range(4)])
        self.head = nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Layers run in order or reversed; the last one repeats while the signal is large."""
        forwards = x.mean().item() > 0
        for layer in self.layers if forwards else reversed(self.layers):
            x = layer(x).relu()
        steps = 0
        while x.pow(2).mean().item() > 1e-3 and steps < 2:
            x = self.layers[0](x).relu()
            steps += 1
        return self.head(x)


def feed_forward(dim: int) -> tuple[nn.Module, ...]:
    """The two layers of a transformer's MLP, with GELU between them."""
    return nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)


def he(layer: nn.Module, *, gain: float = math.sqrt(2.0), fan_in: float | None = None) -> nn.Module:
    """Normal with std gain / sqrt(fan_in), zero bias. Give `fan_in` where torch's own count of it is wrong."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    fan = weight[0].numel() if fan_in is None else fan_in
    nn.init.normal_(weight, std=gain / math.sqrt(fan))
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)
    return layer
