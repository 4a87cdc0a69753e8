"""A model's own initialization: what it has, and how it is run."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from penstock.errors import ModelError, message

# PyTorch's contract: writes the module's own parameters. Transformer and MultiheadAttention spell it the second way.
LAYER_METHODS = ("reset_parameters", "_reset_parameters")
# Conventions of libraries: writes a whole model, or (with one argument) the module that it is given.
MODEL_METHODS = ("init_weights", "initialize_weights", "_init_weights", "_initialize_weights")


def is_transformers(thing: Any) -> bool:
    """Whether this is a model, or a class of models, of the transformers package: built from a configuration."""
    kind = thing if isinstance(thing, type) else type(thing)
    return any(c.__name__ == "PreTrainedModel" and c.__module__.startswith("transformers.") for c in kind.__mro__)


def run_own_init(model: nn.Module) -> tuple[str, ...]:
    """Run the initialization that a model has, in the order in which its library does.

    A model of the transformers package: `initialize_weights`, then ties. Any other: each module's `reset_parameters`,
    children first; then the outermost methods that initialize whole models.

    Returns:
        What was run, each once: ("Linear.reset_parameters", "Net.init_weights"). Empty if the model has none.

    Raises:
        ModelError: if the model's own code fails.
    """
    if is_transformers(model):
        name = "initialize_weights" if hasattr(model, "initialize_weights") else "init_weights"
        _call(model, name)
        if hasattr(model, "tie_weights"):
            _call(model, "tie_weights")
        return (f"{type(model).__name__}._init_weights",)
    ran = [_call(module, name) for module, name in _layers(model)]
    for module, name in _outermost(model):
        if _required(getattr(module, name)) == 0:
            ran.append(_call(module, name))
        else:
            ran.append(f"{type(module).__name__}.{name}")
            for part in _children_first(module):
                _call(module, name, part)
    return tuple(dict.fromkeys(ran))


@contextmanager
def as_loaded() -> Iterator[None]:
    """Within this block models are built on the meta device as the transformers package builds them to load weights.

    Their ties are open: else a tied weight would be initialized twice, as two layers.
    """
    library = sys.modules.get("transformers.initialization")
    with ExitStack() as stack:
        stack.enter_context(torch.device("meta"))
        for name in ("no_tie_weights", "meta_device_safe_creation_ops"):
            if hasattr(library, name):
                stack.enter_context(getattr(library, name)())
        yield


def _layers(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in _children_first(model):
        for name in LAYER_METHODS:
            method = getattr(module, name, None)
            if callable(method) and _required(method) == 0:
                yield module, name
                break


def _outermost(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for name in MODEL_METHODS:
        method = getattr(module, name, None)
        if callable(method) and _required(method) in (0, 1):
            yield module, name
            return
    for child in module.children():
        yield from _outermost(child)


def _children_first(module: nn.Module) -> list[nn.Module]:
    order: list[nn.Module] = []
    module.apply(order.append)
    return list({id(m): m for m in order}.values())


def _required(method: Any) -> int | None:
    """How many arguments a method cannot do without; None where that cannot be told."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return None
    return sum(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _call(module: nn.Module, name: str, *arguments: Any) -> str:
    label = f"{_owner(type(module), name)}.{name}"
    try:
        getattr(module, name)(*arguments)
    except Exception as error:
        raise ModelError(
            message(
                f"audit: {label} raised {type(error).__name__}: {error}",
                because="the model's own initialization is run on fresh memory",
            )
        ) from error
    return label


def _owner(kind: type, name: str) -> str:
    """The class that defines a method: Linear for a subclass that does not."""
    return next((c.__name__ for c in kind.__mro__ if name in vars(c)), kind.__name__)
