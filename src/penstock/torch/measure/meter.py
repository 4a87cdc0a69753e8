"""Measure each signal as it is made and its gradient as it returns, keeping none of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from penstock.torch.measure.blocks import real_float
from penstock.tracing.readings import MOSTLY_ZERO, SAMPLE_SIZE, SMALL, Reading

# The numbers are those of `penstock.tracing.readings`, taken with PyTorch where the tensor lies: on its device, in its
# memory's own order and on all threads. NumPy would have to copy every signal first.


class StatsMeter:
    """Fills `readings` while a model runs forward and backward.

    Args:
        batch_size: number of inputs in the batch; None where it cannot be told, then no correlations.
    """

    def __init__(self, batch_size: int | None) -> None:
        self.readings: dict[int, Reading] = {}
        self._batch_size = batch_size

    def forward(self, number: int, tensor: torch.Tensor, unit_axis: int | None) -> None:
        """A signal was made."""
        if measurable(tensor):
            with torch.no_grad():
                self.readings[number] = _read(tensor.detach(), self._batch_size, unit_axis)

    def hook(self, number: int, tensor: torch.Tensor) -> None:
        """A signal has got its place in the autograd graph: ask for its gradient."""
        if number in self.readings:
            tensor.register_hook(lambda grad: self._returned(number, grad))

    def _returned(self, number: int, grad: torch.Tensor) -> None:
        """Of a tensor that several operations changed in place, the last gradient to come is kept."""
        if measurable(grad):
            with torch.no_grad():
                self.readings[number] = _with_gradient(self.readings[number], grad.detach())


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


def _read(tensor: torch.Tensor, batch_size: int | None, unit_axis: int | None) -> Reading:
    x = real_float(tensor)
    count = x.numel()
    mean, rms, correlation = _moments(x, batch_size)
    zeros = 1.0 - float(torch.count_nonzero(x)) / count
    known = unit_axis is not None and unit_axis < tensor.dim()
    return Reading(
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        rms=rms,
        mean=mean,
        zero_share=zeros,
        nonfinite_share=0.0 if math.isfinite(rms) else _share(~torch.isfinite(x)),
        subnormal_share=_subnormal_share(tensor, rms),
        correlation=correlation,
        dead=_dead(x, unit_axis, zeros) if known and unit_axis is not None else None,
        units=tensor.shape[unit_axis] if known and unit_axis is not None else None,
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


def _dead(x: torch.Tensor, axis: int, zero_share: float) -> int:
    """How many units are zero for the whole batch."""
    if zero_share < MOSTLY_ZERO or x.dim() < 2:
        return 0
    return int((x.abs().amax(dim=[a for a in range(x.dim()) if a != axis]) == 0).sum())


def _sample(x: torch.Tensor) -> npt.NDArray[np.float64]:
    # An even step would meet the same few units again and again: widths are multiples of powers of two.
    places = torch.arange(0, x.numel(), (x.numel() // SAMPLE_SIZE) | 1, device=x.device)[:SAMPLE_SIZE]
    chosen = x.view(-1)[places] if x.is_contiguous() else x[torch.unravel_index(places, x.shape)]
    return chosen.double().cpu().numpy()


def _with_gradient(reading: Reading, grad: torch.Tensor) -> Reading:
    x = real_float(grad)
    rms = rms_of(x)
    return replace(
        reading,
        grad_rms=rms,
        grad_nonfinite_share=0.0 if math.isfinite(rms) else _share(~torch.isfinite(x)),
        grad_subnormal_share=_subnormal_share(grad, rms),
        grad_sample=_sample(x),
    )
