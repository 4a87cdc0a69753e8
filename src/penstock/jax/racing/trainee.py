"""A JAX model as a race trains it: what moves by gradients, what moves by itself, and how it runs in evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from penstock.frameworks import Applied
from penstock.jax.models import Target, is_linen, is_nnx, is_parameter, target_of
from penstock.jax.parts import WithState
from penstock.racing.data import call_arguments

Run = Callable[[Sequence[Any], Sequence[Any], Any], tuple[Any, Sequence[Any]]]
"""(trained arrays, other arrays, inputs) -> output, the other arrays after it."""

MODES = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""Arguments by which modules are told that they are trained, and what they are told then."""

STANDS_STILL = (
    "What {name} holds beside its parameters (running statistics, say) stays as it was: the function gives its output "
    "and no new values of them."
)
AS_TRAINED = (
    "{name} has running statistics and no argument that says whether it is trained ({modes}): "
    "held-out data is looked at in the mode in which it trains."
)


@dataclass(frozen=True)
class Trainee:
    """A model as a race trains it.

    Attributes:
        values: what gradients move, by name.
        rest: all other arrays, of which each arm has its own: running statistics, keys, frozen parameters.
        train: runs it as it is trained.
        evaluate: runs it on held-out data; what it gives for the other arrays is not kept.
        note: what a reader should know, if anything.
    """

    values: Mapping[str, Any]
    rest: Sequence[Any]
    train: Run
    evaluate: Run
    note: str = ""


def trainee_of(model: Any, *, key: int) -> Trainee:
    """The model as a race trains it.

    Args:
        model: at its start.
        key: of the noise of a linen module, the same for every start of a seed.
    """
    if isinstance(model, Applied):
        owner = getattr(model.function, "__self__", None)
        if is_linen(owner) and isinstance(model.params, Mapping) and "params" in model.params:
            return _linen(model, owner, key)
        if isinstance(model.function, WithState):
            function = model.function
            return _moving(model, model.params["state"], function.advance, _mode(function.function), key)
    return _nnx(model) if is_nnx(model) else _plain(target_of(model, "race"))


def _plain(target: Target) -> Trainee:
    """A function of arrays that gives nothing but its output."""

    def run(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        args, kwargs = call_arguments(inputs)
        return target.call(values, rest, args, kwargs), rest

    note = STANDS_STILL.format(name=target.name) if target.state else ""
    return Trainee(target.parameters, list(target.state.values()), run, run, note)


def _linen(model: Applied, module: Any, key: int) -> Trainee:
    """A linen module: its collections move, dropout draws from a key that moves."""
    own = {name: tree for name, tree in model.params.items() if name != "params"}

    def advance(params: Any, state: Any, noise: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        variables = {"params": params, **state}
        output, moved = model.function(variables, *args, rngs={"dropout": noise}, mutable=list(own), **kwargs)
        return output, {**state, **moved}

    return _moving(model, own, advance, _mode(type(module).__call__), key)


def _moving(
    model: Applied, state: Any, advance: Callable[..., tuple[Any, Any]], mode: Mapping[str, bool], key: int
) -> Trainee:
    """A function that gives its new state beside its output.

    Args:
        model: with its parameters under "params".
        state: what it has beside these.
        advance: (params, state, key, *inputs) -> output, new state.
        mode: arguments that say that it is trained.
        key: of the noise.
    """
    target = target_of(model, "race")
    leaves, structure = jax.tree_util.tree_flatten(state)

    def run(values: Sequence[Any], rest: Sequence[Any], inputs: Any, told: Mapping[str, bool]) -> tuple[Any, Any]:
        noise, following = jax.random.split(rest[0])
        args, kwargs = call_arguments(inputs)
        held = target.rebuild(values).params["params"], jax.tree_util.tree_unflatten(structure, rest[1:])
        output, moved = advance(*held, noise, *args, **{**told, **kwargs})
        return output, [following, *jax.tree_util.tree_leaves(moved)]

    def train(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        return run(values, rest, inputs, mode)

    def evaluate(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        return run(values, rest, inputs, {name: not told for name, told in mode.items()})[0], rest

    note = AS_TRAINED.format(name=target.name, modes=", ".join(MODES)) if leaves and not mode else ""
    return Trainee(target.parameters, [jax.random.PRNGKey(key), *leaves], train, evaluate, note)


def _mode(function: Callable[..., Any]) -> dict[str, bool]:
    """Which argument tells a model that it is trained, and what."""
    known = inspect.signature(function).parameters
    return {name: told for name, told in MODES.items() if name in known}


def _nnx(model: Any) -> Trainee:
    """An nnx module: it says itself what is a parameter, and has a mode for training and one for evaluation."""
    from flax import nnx

    names = list(target_of(model, "race").parameters)
    definition, parameters, others = nnx.split(model, nnx.Param, ...)
    own, shape = jax.tree_util.tree_flatten(parameters)
    rest, structure = jax.tree_util.tree_flatten(others)
    places = [i for i, leaf in enumerate(own) if is_parameter(leaf)]

    def merged(values: Sequence[Any], rest: Sequence[Any]) -> Any:
        leaves = list(own)
        for place, value in zip(places, values, strict=True):
            leaves[place] = value
        unflatten = jax.tree_util.tree_unflatten
        return nnx.merge(definition, unflatten(shape, leaves), unflatten(structure, list(rest)))

    def train(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        args, kwargs = call_arguments(inputs)
        made = merged(values, rest)
        output = made(*args, **kwargs)
        moved = jax.tree_util.tree_leaves(nnx.split(made, nnx.Param, ...)[2])
        return output, moved

    def evaluate(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        args, kwargs = call_arguments(inputs)
        made = merged(values, rest)
        made.eval()
        return made(*args, **kwargs), rest

    held = {name: jnp.asarray(own[place]) for name, place in zip(names, places, strict=True)}
    return Trainee(held, rest, train, evaluate)
