"""Attention by hand, its heads a view of one matrix: queries and keys give logits of RMS 1, in both libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp
import torch
from torch import nn

import penstock
from penstock.jax import Model

WIDTH, HEADS, LENGTH = 32, 8, 6
SIZE = WIDTH // HEADS


def rows() -> np.ndarray:
    """Tokens of RMS 1 each, so that unit queries and keys have logits of mean square 1 over draws of the weights."""
    x = np.random.default_rng(0).standard_normal((4, LENGTH, WIDTH)).astype(np.float32)
    return x / np.sqrt((x**2).mean(-1, keepdims=True))


class Attention(nn.Module):
    def __init__(self, factor: float, keys: int = HEADS) -> None:
        super().__init__()
        self.factor, self.keys = factor, keys
        self.q, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(WIDTH, keys * SIZE, bias=False) for _ in range(2))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        q = self.q(x).view(*x.shape[:2], HEADS, SIZE).transpose(1, 2)
        return q @ self.heads(self.k(x)).transpose(-1, -2) * self.factor

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        split = x.view(*x.shape[:2], self.keys, 1, SIZE).expand(-1, -1, -1, HEADS // self.keys, -1)
        return split.reshape(*x.shape[:2], HEADS, SIZE).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.logits(x).softmax(-1) @ self.heads(self.v(x))
        return self.o(y.transpose(1, 2).reshape(x.shape))


def twin(factor: float) -> Model:
    def heads(x):
        return x.reshape(*x.shape[:2], HEADS, SIZE).transpose(0, 2, 1, 3)

    def forward(p, x):
        q, k, v = (heads(x @ p[name]) for name in "qkv")
        y = jax.nn.softmax(q @ k.swapaxes(-1, -2) * factor, -1) @ v
        return y.transpose(0, 2, 1, 3).reshape(x.shape) @ p["o"]

    return Model(forward, {name: jnp.asarray(np.eye(WIDTH, dtype=np.float32)) for name in "qkvo"})


@pytest.mark.parametrize("factor", [1.0, 1.0 / math.sqrt(SIZE)])
@pytest.mark.parametrize("keys", [HEADS, 2])
def test_logits_have_rms_one_with_and_without_the_usual_factor(factor, keys):
    x = torch.from_numpy(rows())
    model = Attention(factor, keys)
    plan = penstock.plan(model, x)
    squares = []
    for seed in range(60):
        plan.apply(model, seed=seed)
        with torch.no_grad():
            squares.append(float(model.logits(x).square().mean()))
    mean, error = np.mean(squares), np.std(squares, ddof=1) / math.sqrt(len(squares))
    assert abs(mean - 1.0) < 5 * error
    # Control: taking the heads together for one gives queries that are smaller by sqrt(heads).
    assert abs(mean - 1.0 / HEADS) > 5 * error


@pytest.mark.parametrize("factor", [1.0, 1.0 / math.sqrt(SIZE)])
def test_jax_plans_the_same(factor):
    plan = penstock.plan(Attention(factor), torch.from_numpy(rows()))
    own = penstock.plan(twin(factor), jnp.asarray(rows()))
    for name in "qkv":
        assert own[name].recipe == plan[f"{name}.weight"].recipe
        assert own[name].reason == plan[f"{name}.weight"].reason
    told = "no 1/sqrt(d) in its attention, so the queries have RMS 0.5"
    assert (told in own["q"].reason) == (factor == 1.0)
