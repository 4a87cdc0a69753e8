"""Sums over large tensors, block by block: one trip through memory, no second tensor of the same size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from penstock.tracing.readings import SMALL

BLOCK = 1 << 18
"""Elements of a block on a CPU: 1 MiB in float32, so what is computed from a block finds it in the cache."""

DEVICE_BLOCK = 1 << 24
"""Elements of a block elsewhere, where each block costs a wait for the device."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a tensor's finite elements.

    Attributes:
        count: number of elements, also those that are not finite.
        square: sum of squares.
        total: sum.
        nonzero: number of nonzero elements.
        low, high: smallest and largest.
        nonfinite: number of elements that are NaN or infinite.
        wide: whether squares left the range of float32.
    """

    count: int
    square: float
    total: float
    nonzero: int
    low: float
    high: float
    nonfinite: int = 0
    wide: bool = False

    @property
    def rms(self) -> float:
        """Root of the mean square."""
        return math.sqrt(self.square / max(self.count, 1))

    @property
    def peak(self) -> float:
        """Largest magnitude."""
        return max(-self.low, self.high)


def real_float(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 or wider; complex numbers as pairs."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """All elements in one dimension, in the order of memory where the tensor fills it without gaps: then no copy."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(order).reshape(-1)


def blocks(tensor: torch.Tensor, *, wide: bool = False) -> Iterator[torch.Tensor]:
    """The elements in blocks that stay in the cache, in float32 or wider; in float64 with `wide`."""
    for piece in flat(tensor).split(BLOCK if tensor.device.type == "cpu" else DEVICE_BLOCK):
        yield piece.double() if wide else real_float(piece)


def totals(tensor: torch.Tensor) -> Totals:
    """Sums over a tensor with at least one element; again in float64 where float32 does not hold them."""
    found = _totals(tensor, careful=False)
    if math.isfinite(found.square) and found.rms > SMALL:
        return found
    return _totals(tensor, careful=True)


def _totals(tensor: torch.Tensor, *, careful: bool) -> Totals:
    rows: list[torch.Tensor] = []
    count = nonfinite = 0
    for block in blocks(tensor, wide=careful):
        piece = block
        count += piece.numel()
        if careful:
            finite = torch.isfinite(piece)
            nonfinite += piece.numel() - int(finite.sum())
            piece = torch.where(finite, piece, torch.zeros_like(piece))
        numbers = (torch.linalg.vector_norm(piece), piece.sum(), _nonzero(piece), *torch.aminmax(piece))
        rows.append(torch.stack([n.double() for n in numbers]))
    norms, sums, nonzero, low, high = torch.stack(rows).unbind(1)
    square = float((norms * norms).sum())
    return Totals(
        count, square, float(sums.sum()), int(nonzero.sum()), float(low.min()), float(high.max()), nonfinite, careful
    )


def _nonzero(piece: torch.Tensor) -> torch.Tensor:
    # On a CPU three times as fast as count_nonzero, and exact: a block has at most 2^24 elements.
    signs = piece.sign()
    return signs.dot(signs)


def rest(tensor: torch.Tensor, limit: float, *, wide: bool) -> tuple[int, float]:
    """Number and norm of the nonzero elements whose magnitude is at most a limit."""
    parts: list[torch.Tensor] = []
    for block in blocks(tensor, wide=wide):
        above = torch.nn.functional.hardshrink(block, limit)
        below = torch.sub(block, above, out=above)
        parts.append(torch.stack([_nonzero(below).double(), torch.linalg.vector_norm(below).double()]))
    counts, norms = torch.stack(parts).unbind(1)
    return int(counts.sum()), float(torch.linalg.vector_norm(norms))
