"""Which framework a function builds models of: told by its form, and else by what it makes."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from penstock.errors import UnsupportedError, message
from penstock.frameworks import ADAPTERS, Adapter, adapter_named, adapter_of_model, is_function


class AnotherFramework(UnsupportedError):
    """What a factory made is no model of the framework whose adapter called it.

    Attributes:
        owner: the adapter of its own framework; None for none.
    """

    def __init__(self, made: Any, owner: Adapter | None) -> None:
        self.owner = owner
        super().__init__(
            message(
                f"audit: the factory must return a model; it returned {type(made).__name__}.",
                hint="penstock.audit(lambda: Net(...))",
            )
        )


def adapter_to_build(thing: Any) -> Adapter:
    """The adapter for a model, or for a function that builds one: that of a framework that is loaded.

    Of what framework a function's model is shows when it is called: see `AnotherFramework`.

    Raises:
        UnsupportedError: if this can be neither, or no framework is loaded.
    """
    owner = adapter_of_model(thing)
    if owner is not None:
        return owner
    if not callable(thing):
        raise UnsupportedError(
            message(
                f"audit: model_or_factory must be a model, or a function that builds one; got {type(thing).__name__}.",
                hint="penstock.audit(lambda: Net(width=64))",
            )
        )
    loaded = [adapter_named(framework) for framework in ADAPTERS if framework in sys.modules]
    if not loaded:
        raise UnsupportedError(
            message(
                f"audit: a supported framework ({', '.join(ADAPTERS)}) must be loaded to build a model; none is.",
                hint="import torch",
            )
        )
    if takes_key(thing) and (keyed := next((a for a in loaded if a.builds_from_key), None)) is not None:
        return keyed
    return next((adapter for adapter in loaded if adapter.watches_building), loaded[0])


KEYS = ("key", "rng", "prng_key")
"""What the argument of a function is called that makes a model from a random key."""


def takes_key(thing: Any) -> bool:
    """Whether this is a function whose one required argument is a random key, by its name.

    Examples:
        >>> takes_key(lambda key: key), takes_key(lambda depth: depth)
        (True, False)
    """
    if not is_function(thing):
        return False
    try:
        given = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return False
    return [p.name in KEYS and p.kind is not p.KEYWORD_ONLY for p in given if p.default is p.empty] == [True]
