"""Models of JAX as factories return them: a module that has no parameters yet, or a function beside its parameters."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from penstock.errors import ArgumentError, ModelError, message
from penstock.frameworks import Applied, is_function
from penstock.jax.measure.batch import arguments
from penstock.jax.models import is_linen, is_parameter
from penstock.jax.models import is_model as is_whole


def is_model(thing: Any) -> bool:
    """Whether this is a module, a pair of functions of Haiku, or either of them or a function beside its parameters.

    Examples:
        >>> is_model((lambda params, x: x @ params["w"], {"w": jax.numpy.ones((3, 2))}))
        True
    """
    if is_whole(thing) or is_transformed(thing):
        return True
    return isinstance(thing, tuple) and len(thing) == 2 and _belong_together(*thing)


def lacks_parameters(model: Any) -> bool:
    """Whether this is a module or a pair of functions that makes its parameters from a key and a batch."""
    return is_transformed(model) or (is_linen(model) and getattr(model, "scope", None) is None)


def with_parameters(model: Any, batch: Any, *, seed: int) -> Any:
    """The model with its parameters, which a module that has none yet makes from the batch by its own `init`.

    Args:
        model: what `is_model` knows.
        batch: for `init`; may be None where the parameters are there.
        seed: of the key that `init` gets.

    Raises:
        ArgumentError: if the batch is needed and there is none.
        ModelError: if `init` raises.
    """
    if is_linen(model) and lacks_parameters(model):
        return Applied(model.apply, _made(type(model).__name__, model.init, batch, seed))
    if is_transformed(model):
        return _haiku(model, _made("the transformed function", model.init, batch, seed))
    if is_whole(model):
        return model
    function, params = model
    if is_transformed(function):
        return _haiku(function, params)
    return Applied(function.apply if is_linen(function) else function, params)


def _belong_together(first: Any, params: Any) -> bool:
    """Whether the second is the parameters of the first, and not a batch for it."""
    if is_linen(first):
        return isinstance(params, Mapping) and "params" in params
    if is_transformed(first):
        trees = params if isinstance(params, tuple) else (params,)
        return all(isinstance(t, Mapping) and all(isinstance(v, Mapping) for v in t.values()) for t in trees)
    return is_function(first) and any(is_parameter(leaf) for leaf in jax.tree_util.tree_leaves(params))


def is_transformed(thing: Any) -> bool:
    """Whether this is a pair of functions of Haiku."""
    module = sys.modules.get("haiku")
    return module is not None and isinstance(thing, module.Transformed | module.TransformedWithState)


def _haiku(model: Any, params: Any) -> Applied:
    """The function of Haiku's parameters; of those with state, of both, of which only the first are parameters."""
    if not hasattr(model, "_fields") or "State" not in type(model).__name__:
        return Applied(model.apply, params)
    own, state = params
    wants_key = "rng" in inspect.signature(model.apply).parameters
    return Applied(WithState(model.apply, wants_key), {"params": own, "state": state})


@dataclass(frozen=True)
class WithState:
    """A function of parameters and state, of which only its output is wanted.

    Attributes:
        function: (params, state, key, *inputs) -> output, new state.
        wants_key: whether there is that key.
    """

    function: Callable[..., Any]
    wants_key: bool

    def __call__(self, both: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The output, with the same noise at each call."""
        return self.advance(both["params"], both["state"], jax.random.PRNGKey(0), *args, **kwargs)[0]

    def advance(self, params: Any, state: Any, key: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The output and the new state."""
        return self.function(params, state, *((key,) if self.wants_key else ()), *args, **kwargs)


def _made(name: str, init: Callable[..., Any], batch: Any, seed: int) -> Any:
    if batch is None:
        raise ArgumentError(
            message(
                f"batch must be given: {name} makes its parameters from one.",
                hint="penstock.audit(module, batch); on the command line --input 32,784 or --batch module:function, or "
                "a factory that returns (module, batch)",
            )
        )
    given = arguments(batch)
    args, kwargs = given.call(list(given.arrays.values()))
    try:
        return init(jax.random.PRNGKey(seed), *args, **kwargs)
    except Exception as error:
        raise ModelError(
            message(
                f"init of {name} must run on the batch; it raised {type(error).__name__}: {error}",
                at=f"batch {given}",
                hint="call its init on the batch alone first.",
            )
        ) from error
