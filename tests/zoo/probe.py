"""An independent, slow measurement with module hooks: it proves that a break does what it says, without penstock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.row import Batch, Loss, run, scalar_of, tensors_of


@dataclass(frozen=True)
class Probe:
    """What one forward and one backward pass showed.

    Attributes:
        rms: of each leaf module's output, in order.
        cosine: mean cosine between the batch's inputs at each of them; 0 for a batch of one.
        grad_rms: RMS of the gradient at each of them; 0 where none came.
        zeros: share of exact zeros of each.
        flat: share of elements within 0.01 of -1, 0 or 1 of outputs that lie in [-1, 1].
        loss: the scalar.
        output: the model's first output, flattened per input.
        grads: RMS of each trainable parameter's gradient, NaN where none came.
        ratio: gradient over weight RMS of each trainable parameter with more than one axis, where both are not 0.
    """

    rms: list[float]
    cosine: list[float]
    grad_rms: list[float]
    zeros: list[float]
    flat: list[float]
    loss: float
    output: Tensor
    grads: dict[str, float]
    ratio: dict[str, float]


def measure(model: nn.Module, batch: Batch, loss: Loss | None = None) -> Probe:
    """Run the model once forward and once backward, and measure the outputs of its leaf modules."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        for tensor in tensors_of(output)[:1]:
            tensor.retain_grad()
            seen.append(tensor)

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(keep) for leaf in leaves]
    try:
        output = run(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    value = scalar_of(output, loss)
    value.backward()
    first = tensors_of(output)[0].detach()
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    grads = {n: float("nan") if p.grad is None else _rms(p.grad) for n, p in parameters.items()}
    weights = {n: p for n, p in parameters.items() if p.ndim > 1}
    return Probe(
        rms=[_rms(t) for t in seen],
        cosine=[_cosine(t) for t in seen],
        grad_rms=[0.0 if t.grad is None else _rms(t.grad) for t in seen],
        zeros=[(t == 0).float().mean().item() for t in seen],
        flat=[_flat(t) for t in seen],
        loss=value.item(),
        output=first.flatten(1).double(),
        grads=grads,
        ratio={n: grads[n] / _rms(p) for n, p in weights.items() if grads[n] > 0 and _rms(p) > 0},
    )


def _rms(tensor: Tensor) -> float:
    return tensor.detach().double().pow(2).mean().sqrt().item()


def _cosine(tensor: Tensor) -> float:
    rows = tensor.detach().double().flatten(1)
    count = rows.shape[0]
    if count == 1:
        return 0.0
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-300)
    return ((unit @ unit.T).sum().item() - count) / (count * (count - 1))


def _flat(tensor: Tensor) -> float:
    values = tensor.detach()
    if values.abs().max() > 1:
        return 0.0
    near = [(values - end).abs() < 0.01 for end in (-1.0, 0.0, 1.0)]
    return torch.stack(near).any(0).float().mean().item()
