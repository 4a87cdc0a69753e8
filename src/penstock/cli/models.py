"""The model that a TARGET names, of whatever framework, and its batch where one comes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.cli.targets import call, describe, load, parse_target
from penstock.cli.usercode import seed_everything
from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.frameworks import Adapter, adapter_of_model


class Found(NamedTuple):
    """What a TARGET gave.

    Attributes:
        model: as it came: of JAX it may be a module without parameters, or a function beside its parameters.
        adapter: of its framework.
        batch: that the factory returned with it; None for none.
    """

    model: Any
    adapter: Adapter
    batch: Any = None


def find(text: str, *, seed: int = 0) -> Found:
    """The model that a TARGET names: classes and factories called, models as they are.

    Args:
        text: the target. It may give the model alone, or (model, batch).
        seed: one seed gives one model, whatever the class or factory draws its weights from.

    Raises:
        ArgumentError: if the target cannot be found or its arguments do not fit.
        ModelError: if the user's own code fails.
        UnsupportedError: if what comes out is no model.
    """
    target = parse_target(text)
    if target.kind == "hf":
        from penstock.cli.huggingface import build

        value = build(target, seed=seed)
    else:
        value = load(target)
        if (ready := found_in(value)) is not None:
            if target.arguments:
                raise ArgumentError(f"TARGET: {target.name} is a model already and takes no arguments; got {text!r}.")
            return ready
        if callable(value):
            seed_everything(seed)
            value = call(target, value)
    found = found_in(value)
    if found is None:
        raise UnsupportedError(
            message(
                f"TARGET: {text} must be a model, or a class or function that makes one; got {describe(value)}.",
                hint="def build(): return Net()",
            )
        )
    return found


def resolve(text: str, *, seed: int = 0) -> Any:
    """The model alone; see `find`."""
    return find(text, seed=seed).model


def is_model(value: Any) -> bool:
    """Whether this is a model (which may itself be callable), or a model and its batch."""
    return found_in(value) is not None


def found_in(value: Any) -> Found | None:
    """A model, or one with its batch behind it; None for anything else."""
    adapter = adapter_of_model(value)
    if adapter is not None:
        return Found(value, adapter)
    if not isinstance(value, tuple) or len(value) not in (2, 3) or not _is_batch(value[-1]):
        return None
    # (model, batch), or (apply_fn, params, batch).
    model = value[0] if len(value) == 2 else value[:2]
    adapter = adapter_of_model(model)
    return None if adapter is None else Found(model, adapter, value[-1])


def _is_batch(value: Any) -> bool:
    return hasattr(value, "shape") or (isinstance(value, Mapping | tuple | list) and len(value) > 0)
