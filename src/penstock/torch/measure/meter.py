"""Measure each signal as it is made and its gradient as it returns, keeping none of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from penstock.torch.measure.blocks import SMALL, real_float

SAMPLE_SIZE = 1024
"""Values kept of each signal to evaluate a function's slope on: 3 % standard error on a share of one half is
enough to tell 0.7 from 0.9."""

MOSTLY_ZERO = 0.5
"""Dead units are only counted where at least this share of the elements is zero: elsewhere few can be dead."""


@dataclass(slots=True)
class Reading:
    """What was measured of one signal."""

    shape: tuple[int, ...]
    dtype: str
    rms: float
    mean: float
    zero_share: float
    nonfinite_share: float
    subnormal_share: float
    correlation: float | None
    dead: dict[int, int]
    sample: npt.NDArray[np.float64]
    grad_rms: float | None = None
    grad_nonfinite_share: float = 0.0
    grad_subnormal_share: float = 0.0
    grad_sample: npt.NDArray[np.float64] | None = None


class StatsMeter:
    """Fills `readings` while a model runs forward and backward.

    Args:
        batch_size: number of inputs in the batch; None where it cannot be told, then no correlations.
    """

    def __init__(self, batch_size: int | None) -> None:
        self.readings: dict[int, Reading] = {}
        self._batch_size = batch_size

    def forward(self, number: int, tensor: torch.Tensor) -> None:
        """A signal was made."""
        if measurable(tensor):
            with torch.no_grad():
                self.readings[number] = _read(tensor.detach(), self._batch_size)

    def hook(self, number: int, tensor: torch.Tensor) -> None:
        """A signal has got its place in the autograd graph: ask for its gradient."""
        reading = self.readings.get(number)
        if reading is not None:
            tensor.register_hook(lambda grad: _read_gradient(reading, grad))


def measurable(tensor: torch.Tensor) -> bool:
    """Whether a tensor is an ordinary one of real or complex floating-point numbers, with at least one element."""
    return (
        (tensor.is_floating_point() or tensor.is_complex())
        and tensor.layout == torch.strided
        and not tensor.is_nested
        and not tensor.is_meta
        and not tensor.is_quantized
        and tensor.numel() > 0
    )


def _read(tensor: torch.Tensor, batch_size: int | None) -> Reading:
    x = real_float(tensor)
    count = x.numel()
    mean, rms, correlation = _moments(x, batch_size)
    zeros = 1.0 - float(torch.count_nonzero(x)) / count
    return Reading(
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        rms=rms,
        mean=mean,
        zero_share=zeros,
        nonfinite_share=0.0 if math.isfinite(rms) else _share(~torch.isfinite(x)),
        subnormal_share=_subnormal_share(tensor, rms),
        correlation=correlation,
        dead=_dead(x, zeros),
        sample=_sample(x),
    )


def _moments(x: torch.Tensor, batch_size: int | None) -> tuple[float, float, float | None]:
    """Mean, RMS, and mean cosine between the batch's inputs, in two passes over the memory.

    With unit vectors u_b of B inputs, the mean over pairs of u_b . u_c is (|sum_b u_b|^2 - B) / (B (B - 1)).
    """
    count = x.numel()
    rows = _by_input(x, batch_size)
    if rows is None or batch_size is None:
        rms = float(torch.linalg.vector_norm(x, dtype=_wide(x))) / math.sqrt(count)
        return float(x.mean()), _safe_rms(x, rms), None
    norms = torch.linalg.vector_norm(rows, dim=1)
    rms = float(torch.linalg.vector_norm(norms.double())) / math.sqrt(count)
    if _squares_lost(x, rms):
        return _moments(x.double(), batch_size)
    weights = torch.stack([torch.ones_like(norms), torch.where(norms > 0, 1 / norms, torch.zeros_like(norms))])
    sums = weights @ rows
    live = int((norms > 0).sum())
    mean = float(sums[0].sum(dtype=torch.float64)) / count
    if live < 2 or not math.isfinite(rms):
        return mean, rms, None
    if rows.shape[1] == 1:
        # The cosine of two numbers is a sign. With their common RMS as length, the mean over pairs still tells
        # outputs that are all the same (1) from outputs that differ.
        mean_square = float(rows.double().mean()) ** 2 / float(rows.double().square().mean())
        return mean, rms, (batch_size * mean_square - 1.0) / (batch_size - 1.0)
    length = float(torch.linalg.vector_norm(sums[1].double()))
    return mean, rms, (length * length - live) / (live * (live - 1))


def _by_input(x: torch.Tensor, batch_size: int | None) -> torch.Tensor | None:
    """The signal as one row an input, without a copy; None where its memory does not lie so."""
    if batch_size is None or batch_size < 2 or x.dim() == 0 or x.shape[0] % batch_size:
        return None
    # Channels-last tensors too fill their memory input by input, in another order of the other axes.
    order = sorted(range(x.dim()), key=x.stride, reverse=True) if not x.is_contiguous() else list(range(x.dim()))
    ordered = x.permute(order)
    return ordered.reshape(batch_size, -1) if order[0] == 0 and ordered.is_contiguous() else None


def _wide(x: torch.Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def rms_of(x: torch.Tensor) -> float:
    """The RMS of a tensor of float32 or wider, also where its squares leave the range."""
    return _safe_rms(x, float(torch.linalg.vector_norm(x)) / math.sqrt(max(x.numel(), 1)))


def _safe_rms(x: torch.Tensor, rms: float) -> float:
    """The RMS again in float64 where the squares left the range of float32."""
    return float(torch.linalg.vector_norm(x.double())) / math.sqrt(x.numel()) if _squares_lost(x, rms) else rms


def _squares_lost(x: torch.Tensor, rms: float) -> bool:
    return x.dtype != torch.float64 and not (math.isfinite(rms) and rms > SMALL)


def _share(mask: torch.Tensor) -> float:
    return float(mask.sum(dtype=torch.float64)) / max(mask.numel(), 1)


def _subnormal_share(tensor: torch.Tensor, rms: float) -> float:
    """Share of the nonzero elements below the dtype's smallest normal number; looked at only where it can matter."""
    tiny = torch.finfo(tensor.dtype).tiny
    if not math.isfinite(rms) or rms > 1e4 * tiny:
        return 0.0
    size = tensor.abs()
    nonzero = int(torch.count_nonzero(size))
    return float(((size > 0) & (size < tiny)).sum()) / nonzero if nonzero else 0.0


def _dead(x: torch.Tensor, zero_share: float) -> dict[int, int]:
    """For the two usual axes of units (1 and the last), how many units are zero for the whole batch."""
    if zero_share < MOSTLY_ZERO or x.dim() < 2:
        return {}
    counts: dict[int, int] = {}
    for axis in {1, x.dim() - 1}:
        others = [a for a in range(x.dim()) if a != axis]
        counts[axis] = int((x.abs().amax(dim=others) == 0).sum())
    return counts


def _sample(x: torch.Tensor) -> npt.NDArray[np.float64]:
    # An even step would meet the same few units again and again: widths are multiples of powers of two.
    places = torch.arange(0, x.numel(), (x.numel() // SAMPLE_SIZE) | 1, device=x.device)[:SAMPLE_SIZE]
    chosen = x.view(-1)[places] if x.is_contiguous() else x[torch.unravel_index(places, x.shape)]
    return chosen.double().cpu().numpy()


def _read_gradient(reading: Reading, grad: torch.Tensor) -> None:
    """Accumulates: a tensor that several operations changed in place has one gradient each."""
    if not measurable(grad):
        return
    with torch.no_grad():
        x = real_float(grad.detach())
        rms = rms_of(x)
        reading.grad_rms = rms
        reading.grad_nonfinite_share = 0.0 if math.isfinite(rms) else _share(~torch.isfinite(x))
        reading.grad_subnormal_share = _subnormal_share(grad, rms)
        reading.grad_sample = _sample(x)
