"""The moments of what was written, and which tensors hold the same values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from penstock.provenance import Form, FormMeasured
from penstock.torch.audit import sentinel
from penstock.torch.measure.blocks import BLOCK

GRAM = 1024
"""Rows of a Gram matrix: 0.1 s for rows of 4096."""
TWIN_MIN_SIZE = 16
"""Two small tensors may be equal by chance."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of a tensor's written, finite elements.

    Attributes:
        unwritten: number of elements that nobody wrote.
        nonfinite: number of written elements that are NaN or infinite.
        mean, std: of the others; 0 where there are none.
    """

    unwritten: int
    nonfinite: int
    mean: float
    std: float


def moments(tensor: torch.Tensor) -> Moments:
    """Measure a tensor, in float64, block by block."""
    values = tensor.detach()
    if values.layout != torch.strided or values.is_meta or values.numel() == 0 or values.is_quantized:
        return Moments(0, 0, 0.0, 0.0)
    unwritten = nonfinite = count = 0
    mean = square = 0.0
    for piece in values.reshape(-1).split(BLOCK):
        holes = sentinel.unwritten_count(piece) or 0
        written = piece[~sentinel.is_unwritten(piece)] if holes else piece
        wide = torch.view_as_real(written).double() if written.is_complex() else written.double()
        if not wide.numel() or not bool(torch.isfinite(wide.sum())):
            finite = torch.isfinite(wide)
            nonfinite += wide.numel() - int(finite.sum())
            wide = wide[finite]
        unwritten += holes
        if wide.numel():
            # Chan's update: the pieces' moments joined, without the cancellation of a sum of squares.
            variance, average = (float(v) for v in torch.var_mean(wide, correction=0))
            step, total = average - mean, count + wide.numel()
            square += variance * wide.numel() + step * step * count * wide.numel() / total
            mean += step * wide.numel() / total
            count = total
    return Moments(unwritten, nonfinite, mean, math.sqrt(square / count) if count else 0.0)


def form_of(tensor: torch.Tensor, form: Form) -> FormMeasured:
    """What a matrix shows of the form that it was asked for, in float64.

    Of more than `GRAM` rows (columns, where they are fewer) the inner products of the first so many are taken.
    """
    values = tensor.detach()
    if form.gain is not None:
        matrix = values.reshape(values.shape[0], -1)
        short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        some = short[:GRAM].to(torch.complex128 if short.is_complex() else torch.float64) / form.gain
        gram = some @ some.mH - torch.eye(some.shape[0], dtype=some.dtype, device=some.device)
        return FormMeasured(gram=float(gram.abs().max()))
    rest = values[values != 0].double()
    if not rest.numel():
        return FormMeasured(zeros=1.0)
    variance, mean = (float(v) for v in torch.var_mean(rest, correction=0))
    return FormMeasured(zeros=1.0 - rest.numel() / values.numel(), mean=mean, std=math.sqrt(variance))


def twins(tensors: Mapping[str, torch.Tensor], found: Mapping[str, Moments]) -> dict[str, str]:
    """Tensor -> an earlier one with the same values; equal moments point at candidates, the bits decide."""
    seen: dict[tuple[object, ...], list[str]] = {}
    twin: dict[str, str] = {}
    for name, tensor in tensors.items():
        known = found[name]
        if tensor.numel() < TWIN_MIN_SIZE or known.std == 0.0 or known.unwritten or not tensor.is_floating_point():
            continue
        candidates = seen.setdefault((tuple(tensor.shape), tensor.dtype, known.mean, known.std), [])
        same = next((c for c in candidates if torch.equal(tensors[c], tensor)), None)
        if same is not None:
            twin[name] = same
        candidates.append(name)
    return twin
