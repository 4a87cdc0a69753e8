"""The models that people write for JAX, as functions of their parameters: plain functions, Flax, Haiku, Equinox."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.fan_table import Declared
from penstock.frameworks import Applied
from penstock.signals import CALL


@dataclass(frozen=True)
class Target:
    """A model as a function of its arrays.

    Attributes:
        name: what reports call it.
        parameters: its parameters by name, in the order of its tree.
        state: other arrays of floating-point numbers that it holds: running statistics.
        call: (parameters, state, args, kwargs) -> output, both as lists of arrays.
        rebuild: parameters -> a model of the same kind with these; of one that is changed in place, the same.
        in_place: whether it is changed in place.
        declared: what its layers say of parameters, where they say it.
        frozen: parameters that are not trained.
        handed: the model and its batch as the arguments of the user's call.
    """

    name: str
    parameters: Mapping[str, jax.Array]
    state: Mapping[str, jax.Array]
    call: Callable[[Sequence[Any], Sequence[Any], Sequence[Any], Mapping[str, Any]], Any]
    rebuild: Callable[[Sequence[Any]], Any]
    in_place: bool = False
    declared: Mapping[str, Declared] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()
    handed: str = CALL


def is_model(thing: Any) -> bool:
    """Whether this is a model that can be checked: without importing any library that is not loaded."""
    return isinstance(thing, Applied) or is_nnx(thing) or is_equinox(thing) or is_linen(thing)


def target_of(model: Any, function: str) -> Target:
    """The model as a function of its arrays.

    Raises:
        UnsupportedError: if it is a class, or a module without its parameters.
        ArgumentError: if it holds no parameter.
    """
    if isinstance(model, Target):
        return model
    if isinstance(model, Applied):
        target = _applied(model, function)
    elif is_nnx(model):
        target = _nnx(model)
    elif is_equinox(model):
        target = _equinox(model)
    elif is_linen(model) and getattr(model, "scope", None) is not None:
        unbound, variables = model.unbind()
        target = _applied(Applied(unbound.apply, variables), function)
    else:
        name = type(model).__name__
        raise UnsupportedError(
            message(
                f"{function}: a JAX model must come with its parameters; got {name} alone.",
                hint=f"penstock.{function}(model.apply, {'variables' if is_linen(model) else 'params'}, batch)",
            )
        )
    for each, value in target.parameters.items():
        if isinstance(value, Tracer):
            fact = f"{function}: parameters must hold numbers; {each!r} is traced."
            raise UnsupportedError(message(fact, hint=f"call penstock.{function} outside jax.jit"))
        if isinstance(value, jax.ShapeDtypeStruct):
            fact = f"{function}: parameters must hold numbers; {each!r} is a shape."
            raise UnsupportedError(message(fact, hint="penstock.jax.materialize(shapes, None, plan, seed=0)"))
    return target


def name_of(path: Sequence[Any]) -> str:
    """A leaf's name: the keys on the way to it, joined by dots."""
    return ".".join(str(getattr(part, "key", getattr(part, "name", getattr(part, "idx", part)))) for part in path)


def is_parameter(leaf: Any) -> bool:
    """Whether a leaf is an array of floating-point or complex numbers; keys, integers and functions are none."""
    kinds = jax.Array | np.ndarray | jax.ShapeDtypeStruct
    return isinstance(leaf, kinds) and jnp.issubdtype(leaf.dtype, jnp.inexact)


class _Tree:
    """A tree cut into its parameters, its state and everything else."""

    def __init__(self, tree: Any, *, is_state: Callable[[str], bool] = lambda name: False, ending: str = "") -> None:
        leaves, self.structure = jax.tree_util.tree_flatten_with_path(tree)
        self.leaves = [leaf for _, leaf in leaves]
        names = [name_of(path).removesuffix(ending) or "params" for path, _ in leaves]
        self.state = [i for i, n in enumerate(names) if is_parameter(self.leaves[i]) and is_state(n)]
        self.own = [i for i, n in enumerate(names) if is_parameter(self.leaves[i]) and not is_state(n)]
        self.names = names

    def parameters(self) -> dict[str, jax.Array]:
        return {self.names[i]: cast("jax.Array", self.leaves[i]) for i in self.own}

    def states(self) -> dict[str, jax.Array]:
        return {self.names[i]: cast("jax.Array", self.leaves[i]) for i in self.state}

    def joined(self, parameters: Sequence[Any], state: Sequence[Any] | None = None) -> Any:
        """The tree with other parameters."""
        leaves = list(self.leaves)
        for places, values in ((self.own, parameters), (self.state, state or ())):
            for place, value in zip(places, values, strict=False):
                leaves[place] = value
        return jax.tree_util.tree_unflatten(self.structure, leaves)


def _applied(model: Applied, function: str) -> Target:
    """A function of (params, inputs); of Flax's collections only "params" holds parameters."""
    collections = isinstance(model.params, Mapping) and "params" in model.params
    tree = _Tree(model.params, is_state=lambda n: collections and not n.startswith("params."))
    if not callable(model.function):
        fact = f"{function}: apply_fn must be a function of (params, inputs); got {type(model.function).__name__}."
        raise ArgumentError(message(fact, hint=f"penstock.{function}(module.apply, variables, batch)"))
    if not tree.own:
        kinds = sorted({type(leaf).__name__ for leaf in tree.leaves})
        fact = f"{function}: params must hold at least one array of floating-point numbers; got {', '.join(kinds)}."
        raise ArgumentError(message(fact, hint=f"penstock.{function}(apply_fn, params, batch)"))
    wants_key = _wants_key(model.function)

    def call(parameters: Any, state: Any, args: Any, kwargs: Any) -> Any:
        key = (jax.random.PRNGKey(0),) if wants_key else ()
        return model.function(tree.joined(parameters, state), *key, *args, **kwargs)

    def rebuild(parameters: Sequence[Any]) -> Applied:
        return Applied(model.function, tree.joined(parameters))

    name, handed = _function_name(model.function), f"{call_of(model.function)}, batch"
    return Target(name, tree.parameters(), tree.states(), call, rebuild, handed=handed)


def _wants_key(function: Any) -> bool:
    """Whether this is Haiku's `apply(params, rng, ...)`."""
    if "haiku" not in sys.modules:
        return False
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return str(getattr(function, "__module__", "")).startswith("haiku") and names[1:2] == ["rng"]


def call_of(function: Any) -> str:
    """A function and its parameters as the first arguments of a call, in the words of its library."""
    if is_linen(getattr(function, "__self__", None)):
        return "model.apply, variables"
    if str(getattr(function, "__module__", "")).startswith("haiku"):
        return "model.apply, params"
    name = str(getattr(function, "__name__", "apply_fn"))
    return f"{name if name.isidentifier() and inspect.isfunction(function) else 'apply_fn'}, params"


def _function_name(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    name = type(owner).__name__ if owner is not None else getattr(function, "__name__", type(function).__name__)
    return "function" if name in ("<lambda>", "apply_fn") else str(name)


def is_nnx(thing: Any) -> bool:
    """Whether this is a module of Flax nnx."""
    module = sys.modules.get("flax.nnx")
    return module is not None and isinstance(thing, module.Module)


def is_equinox(thing: Any) -> bool:
    """Whether this is a module of Equinox."""
    module = sys.modules.get("equinox")
    return module is not None and isinstance(thing, module.Module)


def is_linen(thing: Any) -> bool:
    """Whether this is a module of Flax linen, which holds no parameters unless it is bound to them."""
    module = sys.modules.get("flax.linen")
    return module is not None and isinstance(thing, module.Module)


def _nnx(model: Any) -> Target:
    """An nnx module: mutable, so it is changed in place; a call works on a copy."""
    from flax import nnx

    definition, parameters, rest = nnx.split(model, nnx.Param, ...)
    own, other = _Tree(parameters, ending=".value"), _Tree(rest, is_state=lambda n: True, ending=".value")

    def call(values: Any, state: Any, args: Any, kwargs: Any) -> Any:
        return nnx.merge(definition, own.joined(values), other.joined((), state))(*args, **kwargs)

    def rebuild(values: Sequence[Any]) -> Any:
        nnx.update(model, own.joined(values))
        return model

    return Target(type(model).__name__, own.parameters(), other.states(), call, rebuild, in_place=True)


def _equinox(model: Any) -> Target:
    """An Equinox module, which takes one input: it is mapped over the batch."""
    tree = _Tree(model)

    def call(values: Any, state: Any, args: Any, kwargs: Any) -> Any:
        return jax.vmap(lambda a, k: tree.joined(values)(*a, **k))(args, kwargs)

    return Target(type(model).__name__, tree.parameters(), {}, call, tree.joined)
