"""What an independent measurement shows on a model that is broken in a certain way."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from zoo.probe import Probe

Symptom = Callable[[Probe], bool]


def forward_below(bound: float) -> Symptom:
    """Some signal's RMS is below the bound."""
    return lambda p: min(p.rms) < bound


def forward_above(bound: float) -> Symptom:
    """Some signal's RMS is above the bound, or not finite."""
    return lambda p: not max(p.rms) <= bound


def alike(bound: float) -> Symptom:
    """At the end the cosine between inputs is within the bound of 1."""
    return lambda p: 1 - p.cosine[-2] < bound


def backward_span(bound: float) -> Symptom:
    """The first signal's gradient over the last hidden one's is this factor off (below 1: it vanishes)."""
    return lambda p: (p.grad_rms[0] / p.grad_rms[-2] < bound) if bound < 1 else (p.grad_rms[0] / p.grad_rms[-2] > bound)


def no_gradient(p: Probe) -> bool:
    """Some trainable parameter got no gradient; masks that are switched off do not count."""
    return any(math.isnan(g) and not name.endswith(("mask_emb", "mask_token")) for name, g in p.grads.items())


def ratio_span(bound: float) -> Symptom:
    """The largest gradient-to-weight ratio over the smallest one."""
    return lambda p: max(p.ratio.values()) / min(p.ratio.values()) > bound


def zeros_above(bound: float) -> Symptom:
    """Some signal is mostly zeros."""
    return lambda p: max(p.zeros) > bound


def flat_above(bound: float) -> Symptom:
    """Some bounded signal is mostly at its flat ends."""
    return lambda p: max(p.flat) > bound


def loss_above(bound: float) -> Symptom:
    """The loss itself."""
    return lambda p: p.loss > bound


def output_above(bound: float) -> Symptom:
    """RMS of the output."""
    return lambda p: p.output.pow(2).mean().sqrt().item() > bound


def output_constant(p: Probe) -> bool:
    """The output differs between inputs by less than a millionth."""
    return (p.output - p.output.mean(0)).abs().max().item() < 1e-6


def not_finite(p: Probe) -> bool:
    """Some signal is infinite or NaN."""
    return not all(math.isfinite(r) for r in p.rms)


def last_scale_changed(factor: float) -> Symptom:
    """The last hidden signal is this factor away from 1, on either side."""
    return lambda p: abs(math.log(p.rms[-2])) > math.log(factor)


def tiny_gradients(p: Probe) -> bool:
    """Gradients below the smallest normal number of float16."""
    return 0 < max(p.grad_rms) < torch.finfo(torch.float16).tiny
