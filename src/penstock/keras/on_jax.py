"""A Keras model on the JAX backend, as the pure function of its variables that `stateless_call` is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from penstock.jax.adapter import apply, check, initialize, plan, save, scalar_function
from penstock.jax.models import Target
from penstock.keras.models import Call, parameters_of, stateless

__all__ = ["apply", "batch_of", "check", "initialize", "plan", "save", "scalar_function", "target_of"]


def target_of(model: keras.layers.Layer, function: str) -> Target:
    """The model as a function of its arrays; a model with other arrays is the same model, which is changed."""
    known = parameters_of(model)
    own = [k.variable for k in known.values()]
    others = [v for v in model.variables if all(v is not variable for variable in own)]
    state = [v for v in others if keras.backend.is_float_dtype(v.dtype)]

    def call(parameters: Sequence[Any], values: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        given = [*zip(own, parameters, strict=True), *zip(state, values, strict=True)]
        with stateless(model, given):
            return model(*args, **kwargs, training=True)

    def rebuild(parameters: Sequence[Any]) -> keras.layers.Layer:
        before = [v.value for v in own]
        try:
            for variable, value in zip(own, parameters, strict=True):
                variable.assign(value)
        except BaseException:
            for variable, value in zip(own, before, strict=True):
                variable.assign(value)
            raise
        return model

    return Target(
        type(model).__name__,
        {name: k.variable.value for name, k in known.items()},
        {f"state {i}": v.value for i, v in enumerate(state)},
        call,
        rebuild,
        in_place=True,
        declared={name: k.declared for name, k in known.items()},
        frozen=frozenset(name for name, k in known.items() if k.frozen),
    )


def batch_of(call: Call) -> Any:
    """The call as JAX's adapter takes it."""
    return dict(call.kwargs) if call.kwargs else call.args
