"""Batches and losses of the plain zoo."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

BATCH = 16
CLASSES = 10


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Callable[[torch.Generator], Tensor]:
    """Inputs of unit variance, BATCH of them."""
    return lambda generator: torch.randn(BATCH, *shape, generator=generator).to(dtype)


def tokens(vocabulary: int, length: int) -> Callable[[torch.Generator], Tensor]:
    """Random indices."""
    return lambda generator: torch.randint(0, vocabulary, (BATCH, length), generator=generator)


def cross_entropy(output: Tensor) -> Tensor:
    """Classification with classes that all occur; tokens are classified one by one."""
    flat = output.float().flatten(0, -2)
    return F.cross_entropy(flat, torch.arange(flat.shape[0]) % flat.shape[-1])


def mean_square(output: Tensor) -> Tensor:
    """Regression on targets of unit variance and zero mean."""
    signs = 1.0 - 2.0 * (torch.arange(output.numel()) % 2)
    return F.mse_loss(output.float(), signs.view(output.shape))
