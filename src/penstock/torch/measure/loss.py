"""The scalar that is differentiated: the user's loss, or a random inner product of known scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from penstock.errors import ArgumentError, ModelError, message
from penstock.signals import LossStats
from penstock.torch.measure.batch import Loss, output_tensors
from penstock.tracing import loss as loss_core

_EXAMPLE = "penstock.check(model, batch, loss=lambda output: torch.nn.functional.mse_loss(output, target))"


def check_loss(loss: Any) -> None:
    """See that the loss is none, or can be called.

    Raises:
        ArgumentError: otherwise.
    """
    loss_core.check_loss(loss, example=_EXAMPLE)


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
    generator = torch.Generator().manual_seed(loss_core.RANDOM_LOSS_SEED)
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
    value = loss_core.called(loss, output, shown=_describe(output), example=_EXAMPLE)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.is_floating_point():
        raise loss_core.no_scalar("tensor", _describe(value))
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
    """The loss of the best output that ignores the input; None where the output has no single tensor to search."""
    tensors = output_tensors(output)
    if len(tensors) != 1:
        return None
    (tensor,) = tensors

    def of(values: npt.NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        guess = torch.tensor(values, dtype=tensor.dtype, device=tensor.device, requires_grad=True)
        return guess, loss(_replace(output, tensor, guess.expand(tensor.shape))).sum()

    def slope(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        guess, value = of(values)
        (gradient,) = torch.autograd.grad(value, guess)
        return float(value.detach()), gradient.real.double().cpu().numpy()

    def value(values: npt.NDArray[np.float64]) -> float:
        with torch.no_grad():
            return float(of(values)[1])

    return loss_core.best_constant(tuple(tensor.shape), value, slope)


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
