"""The scalar that is differentiated: the user's loss, or a random inner product of known scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from penstock.errors import ArgumentError, ModelError, message
from penstock.signals import LossStats
from penstock.torch.measure.batch import Loss, output_tensors

RANDOM_LOSS_SEED = 0
"""The random inner product is the same in every call, so that two checks of one model give the same numbers."""

CONSTANT_STEPS = 20
"""L-BFGS steps for the best constant guess: these problems are convex and of one row, and settle in about ten."""

CONSTANT_ELEMENTS = 4_000_000
"""Outputs larger than this are not searched for the best constant guess: it would cost more than the check."""


def check_loss(loss: Any) -> None:
    """See that the loss is none, or can be called.

    Raises:
        ArgumentError: otherwise.
    """
    if loss is not None and not callable(loss):
        raise ArgumentError(
            message(
                f"check: loss must be a function of the model's output; got {type(loss).__name__}.",
                hint="penstock.check(model, batch, loss=lambda output: torch.nn.functional.mse_loss(output, target))",
            )
        )


def backward(output: Any, loss: Loss | None) -> LossStats:
    """Differentiate the output.

    Without a loss, each output tensor's gradient is a fixed tensor of independent unit-variance normal numbers: the
    backward signal starts at RMS 1.

    Raises:
        ArgumentError: if the loss is not a differentiable scalar.
        ModelError: if the loss raises, or no output depends on a parameter that requires a gradient.
    """
    if loss is None:
        return _random_backward(output)
    value = _evaluate(loss, output)
    _differentiate([value])
    return LossStats(float(value.detach()), given=True, constant=best_constant(loss, output))


def _random_backward(output: Any) -> LossStats:
    tensors = [t for t in output_tensors(output) if t.requires_grad]
    if not tensors:
        return LossStats(math.nan, given=False)
    generator = torch.Generator().manual_seed(RANDOM_LOSS_SEED)
    gradients = [torch.randn(t.shape, generator=generator, dtype=_real(t)).to(t) for t in tensors]
    _differentiate(tensors, gradients)
    with torch.no_grad():
        value = sum(float((t.detach() * g).real.sum()) for t, g in zip(tensors, gradients, strict=True))
    return LossStats(value, given=False)


def _differentiate(tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor] | None = None) -> None:
    try:
        torch.autograd.backward(tensors, gradients)
    except Exception as error:
        raise ModelError(
            message(
                f"check: the model must be differentiable; its backward pass raised {type(error).__name__}: {error}",
                hint="call loss.backward() alone first; a signal that was changed in place is the usual cause.",
            )
        ) from error


def _real(tensor: torch.Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype in (torch.float64, torch.complex128) else torch.float32


def _evaluate(loss: Loss, output: Any) -> torch.Tensor:
    try:
        value = loss(output)
    except Exception as error:
        raise ModelError(
            message(
                f"check: loss must take the model's output; it raised {type(error).__name__}: {error}",
                at=f"output {_describe(output)}",
                hint="penstock.check(model, batch, loss=lambda output: torch.nn.functional.mse_loss(output, target))",
            )
        ) from error
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.is_floating_point():
        raise ArgumentError(
            message(
                f"check: loss must return a scalar tensor; got {_describe(value)}.",
                hint="reduce it: loss=lambda output: criterion(output, target).mean()",
            )
        )
    if not value.requires_grad:
        raise ArgumentError(
            message(
                "check: loss must depend on the model's parameters; the value it returned requires no gradient.",
                because="it was detached, computed under no_grad, or all parameters are frozen",
            )
        )
    return value.reshape(())


def _describe(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype)[6:]}"
    return type(value).__name__


def best_constant(loss: Loss, output: Any) -> float | None:
    """The loss of the best output that ignores the input: one number for each output unit, the same for every input.

    That is all zeros, or better where the units are fewer than the inputs: fitted to a batch that is smaller than the
    number of classes, a constant would know the batch's labels by heart.

    None where the output has no single tensor that the loss reads, is too large to search, or the search fails.
    """
    tensors = output_tensors(output)
    if len(tensors) != 1 or tensors[0].dim() == 0 or tensors[0].numel() > CONSTANT_ELEMENTS:
        return None
    shape = tensors[0].shape
    # Units lie on the last axis, or on the second one of images and sequences of channels.
    axes = {len(shape) - 1, 1} if len(shape) > 1 else {0}
    fitted = [axis for axis in axes if len(shape) > 1 and tensors[0].numel() >= shape[axis] ** 2]
    try:
        values = [float(loss(_replace(output, tensors[0], torch.zeros_like(tensors[0]))).sum())]
        values += [_fit_constant(loss, output, tensors[0], axis) for axis in fitted]
    except Exception:  # the user's loss may want more of the output than its tensor
        return None
    found = [value for value in values if math.isfinite(value)]
    return min(found) if found else None


def _fit_constant(loss: Loss, output: Any, tensor: torch.Tensor, axis: int) -> float:
    """The loss of the best constant along one axis."""
    size = [1] * tensor.dim()
    size[axis] = tensor.shape[axis]
    guess = torch.zeros(size, dtype=tensor.dtype, device=tensor.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([guess], max_iter=CONSTANT_STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(_replace(output, tensor, guess.expand(tensor.shape))).sum()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        return float(loss(_replace(output, tensor, guess.expand(tensor.shape))).sum())


def _replace(output: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """The same output structure with another tensor in it."""
    if output is old:
        return new
    if isinstance(output, Mapping):
        made = {k: _replace(v, old, new) for k, v in output.items()}
        return type(output)(**made) if is_dataclass(output) else made
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*(_replace(v, old, new) for v in output))
    if isinstance(output, (tuple, list)):
        return type(output)(_replace(v, old, new) for v in output)
    if is_dataclass(output) and not isinstance(output, type):
        return type(output)(**{f.name: _replace(getattr(output, f.name), old, new) for f in fields(output)})
    return output
