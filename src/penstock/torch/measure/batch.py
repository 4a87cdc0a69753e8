"""Calling the user's model with the user's batch, and what comes out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from penstock.errors import ArgumentError, ModelError, UnsupportedError, message
from penstock.tracing.batch import not_finite

Loss = Callable[[Any], torch.Tensor]


def arguments(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a batch: a tensor, a tuple or list of inputs, or a mapping of inputs.

    Raises:
        ArgumentError: if the batch holds no tensor, or numbers that are not finite.
    """
    if isinstance(batch, torch.Tensor):
        args, kwargs = (batch,), {}
    elif isinstance(batch, Mapping):
        args, kwargs = (), dict(batch)
    elif isinstance(batch, (tuple, list)):
        args, kwargs = tuple(batch), {}
    else:
        raise ArgumentError(
            message(
                "check: batch must be a tensor, a tuple of positional inputs or a dict of keyword inputs; "
                f"got {type(batch).__name__}.",
                hint="penstock.check(model, torch.randn(32, 784))",
            )
        )
    named = dict(named_tensors(args, kwargs))
    if not named:
        raise ArgumentError(message(f"check: batch must hold at least one tensor; got {batch!r:.80}."))
    if not any(tensor.numel() for tensor in named.values()):
        shapes = ", ".join(f"{n}: {tuple(t.shape)}" for n, t in named.items())
        raise ArgumentError(message(f"check: batch must hold at least one element; got {shapes}."))
    for name, tensor in named.items():
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise not_finite(bad, tensor.numel(), name, hint="penstock.check(model, torch.nan_to_num(batch))")
    return args, kwargs


def named_tensors(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a call with a name each: "0", "input_ids", "states.1"."""
    for prefix, item in (*((str(i), a) for i, a in enumerate(args)), *kwargs.items()):
        for suffix, tensor in _walk(item):
            yield (f"{prefix}.{suffix}" if suffix else prefix), tensor


def _walk(item: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(item, torch.Tensor):
        yield "", item
    elif isinstance(item, Mapping):
        for key, value in item.items():
            for suffix, tensor in _walk(value):
                yield f"{key}.{suffix}".rstrip("."), tensor
    elif isinstance(item, (tuple, list)):
        for i, value in enumerate(item):
            for suffix, tensor in _walk(value):
                yield f"{i}.{suffix}".rstrip("."), tensor
    elif is_dataclass(item) and not isinstance(item, type):
        for f in fields(item):
            for suffix, tensor in _walk(getattr(item, f.name)):
                yield f"{f.name}.{suffix}".rstrip("."), tensor


def output_tensors(output: Any) -> list[torch.Tensor]:
    """The floating-point tensors of a model's output, in order; each once."""
    found: dict[int, torch.Tensor] = {}
    for _, tensor in _walk(output):
        if tensor.is_floating_point() or tensor.is_complex():
            found.setdefault(id(tensor), tensor)
    return list(found.values())


def batch_size(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int | None:
    """Number of inputs: the first dimension of most tensors of the batch; None where there is none."""
    sizes = [t.shape[0] for _, t in named_tensors(args, kwargs) if t.dim() > 0]
    return max(set(sizes), key=lambda s: (sizes.count(s), -sizes.index(s))) if sizes else None


def call(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run the model.

    Raises:
        ModelError: if the model raises, with its own error as the cause.
    """
    try:
        return model(*args, **kwargs)
    except Exception as error:
        shapes = ", ".join(f"{n}: {tuple(t.shape)} {str(t.dtype)[6:]}" for n, t in named_tensors(args, kwargs))
        raise ModelError(
            message(
                f"check: {type(model).__name__} must run on the batch; it raised {type(error).__name__}: {error}",
                at=f"batch {shapes}",
                hint="call model(batch) alone first; "
                "the batch is a tensor, a tuple of positional or a dict of keyword inputs.",
            )
        ) from error


def check_model(model: Any, function: str) -> nn.Module:
    """The model, if it is one that can be run and differentiated.

    Raises:
        UnsupportedError: for anything that is no module, or that has no memory (meta device, lazy layers).
    """
    if not isinstance(model, nn.Module):
        raise UnsupportedError(
            message(
                f"{function}: model must be a torch.nn.Module; got {type(model).__name__}.",
                hint=f"penstock.{function}(model, batch) with an instance, not a class"
                if isinstance(model, type)
                else f"penstock.{function}(model, batch)",
            )
        )
    for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(parameter):
            raise UnsupportedError(
                message(
                    f"{function}: every parameter must have a shape; "
                    f"{name!r} belongs to a lazy layer that has not run yet.",
                    hint="model(batch)  # once, then penstock." + f"{function}(model, batch)",
                )
            )
        if parameter.is_inference():
            raise UnsupportedError(
                message(
                    f"{function}: every parameter must be differentiable; {name!r} was made in inference mode.",
                    because="PyTorch saves no such tensor for a backward pass",
                    hint="build the model outside torch.inference_mode(), or copy.deepcopy(model) outside it",
                )
            )
        if parameter.is_meta:
            raise UnsupportedError(
                message(
                    f"{function}: every parameter must have memory; {name!r} is on the meta device.",
                    because="a model without values cannot be run",
                    hint=f"model.to_empty(device='cpu'), then penstock.{function}(model, batch)"
                    if function == "initialize"
                    else "build the model on 'cpu', or model.to_empty(device='cpu') and initialize it",
                )
            )
    return model


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside DataParallel and torch.compile's wrapper: wrappers run their own copies or compiled code."""
    if isinstance(model, nn.DataParallel):
        return unwrapped(model.module)
    inner = getattr(model, "_orig_mod", None)
    return unwrapped(inner) if isinstance(inner, nn.Module) else model


def eager() -> AbstractContextManager[None]:
    """Within it, compiled code is run as the Python it was made from.

    A model that was compiled proves that the compiler is loaded; loading it for any other would take seconds.
    """
    if "torch._dynamo" in sys.modules:
        return torch.compiler.set_stance("force_eager")
    return nullcontext()
