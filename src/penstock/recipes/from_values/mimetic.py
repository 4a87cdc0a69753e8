"""Mimetic attention: heads that start as trained ones look, tokens attending to themselves."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.randomness import fill, key_for
from penstock.recipes.arguments import count
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.recipe import finite

F32 = npt.NDArray[np.float32]


def mimetic_query_key(
    width: int, *, heads: int, key: int, noise: float = 0.7, diagonal: float = 0.7
) -> tuple[F32, F32]:
    r"""Queries and keys of all heads, with W_Q^T W_K in each head the best approximation of noise and identity.

    .. math::  W_Q^\top W_K \approx \alpha Z + \beta I, \quad Z_{ij} \sim N(0, 1 / d)

    of rank d / heads, by the singular value decomposition with half of the spectrum on each side.

    Args:
        width: d, size of the tokens; a multiple of heads.
        heads: number of heads, each with its own Z.
        key: 64 bits, from `penstock.randomness.key_for`.
        noise: alpha.
        diagonal: beta.

    Returns:
        W_Q and W_K of shape (width, width), rows head by head, as (out, in) weights; biases are 0.

    Raises:
        ArgumentError: if width is no multiple of heads.

    Examples:
        >>> q, k = mimetic_query_key(32, heads=1, key=7, noise=0.0)
        >>> bool(np.allclose(q.T @ k, 0.7 * np.eye(32), atol=1e-6))
        True

    Source:
        Trockman & Kolter 2023, https://arxiv.org/abs/2305.09828
    """
    size = count("mimetic_query_key", "width", width)
    if size % count("mimetic_query_key", "heads", heads):
        raise ArgumentError(
            message(f"mimetic_query_key: width must be a multiple of heads; got width={width}, heads={heads}.")
        )
    rank = size // heads
    pairs = [
        _split(size, rank, key_for(key, "head", str(head)), noise, diagonal, "mimetic_query_key")
        for head in range(heads)
    ]
    # Rows of logits are x_i^T W_Q^T W_K x_j: the left factor is W_Q^T.
    return np.concatenate([left.T for left, _ in pairs]), np.concatenate([right for _, right in pairs])


def mimetic_value_output(width: int, *, key: int, noise: float = 0.4, diagonal: float = 0.4) -> tuple[F32, F32]:
    r"""Values and output projection, with W_O W_V = noise minus identity: they push tokens apart.

    .. math::  W_O W_V = \alpha Z - \beta I, \quad Z_{ij} \sim N(0, 1 / d)

    Args:
        width: d, size of the tokens.
        key: 64 bits, from `penstock.randomness.key_for`.
        noise: alpha.
        diagonal: beta.

    Returns:
        W_V and W_O of shape (width, width), as (out, in) weights; biases are 0.

    Examples:
        >>> v, o = mimetic_value_output(16, key=7, noise=0.0)
        >>> bool(np.allclose(o @ v, -0.4 * np.eye(16), atol=1e-6))
        True

    Source:
        Trockman & Kolter 2023, https://arxiv.org/abs/2305.09828
    """
    size = count("mimetic_value_output", "width", width)
    left, right = _split(size, size, key_for(key, "value"), noise, -diagonal, "mimetic_value_output")
    return right, left


def _split(size: int, rank: int, key: int, noise: float, diagonal: float, function: str) -> tuple[F32, F32]:
    """The factors U sqrt(S) and sqrt(S) V^T of alpha Z + beta I, cut to the rank."""
    noise, diagonal = finite(function, "noise", noise), finite(function, "diagonal", diagonal)
    z = fill("normal", (size, size), key).astype(np.float64) / math.sqrt(size)
    u, s, vt = np.linalg.svd(noise * z + diagonal * np.eye(size))
    root = np.sqrt(s[:rank])
    return (u[:, :rank] * root).astype(np.float32), (root[:, None] * vt[:rank]).astype(np.float32)


ENTRIES = (
    CatalogueEntry(
        "mimetic_query_key, mimetic_value_output",
        "W_Q^T W_K = 0.7 Z + 0.7 I, W_O W_V = 0.4 Z - 0.4 I, Z ~ N(0, 1/d), split by SVD",
        "small vision transformers trained from scratch",
        "Trockman & Kolter 2023, arXiv:2305.09828",
        "from values",
    ),
)
