"""Guess an input that a model of Flax nnx or Equinox takes from the first layer that holds weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from penstock.inputs import InputSpec
from penstock.jax.models import is_equinox, is_nnx, is_parameter

BATCH, TOKENS, IMAGE = 8, 32, 32
"""Sizes where the layer leaves them open, as for PyTorch."""


def guess(model: Any) -> InputSpec | None:
    """The input of the first layer in the order of definition, if its class says what it takes.

    Args:
        model: any model; it is not run.

    Returns:
        A description, or None where no layer can be seen (in a function, and a linen module) or the first one with
        weights is of no known class.
    """
    if is_nnx(model):
        found = _first(model, _nnx_layers())
    elif is_equinox(model):
        found = _first(model, _equinox_layers())
    else:
        return None
    if found is None:
        return None
    layer, rule = found
    spec = rule(layer)
    if is_equinox(layer) and layer is model and spec.high is not None:
        return InputSpec((BATCH,), spec.dtype, spec.high)  # Equinox's look-up takes one number; models map it
    return spec


Rule = Callable[[Any], InputSpec]


def _first(model: Any, rules: dict[type, Rule]) -> tuple[Any, Rule] | None:
    for module in _modules(model):
        for kind in type(module).__mro__:
            if kind in rules:
                return module, rules[kind]
        if any(_holds(value) for value in _children(module)):
            return None
    return None


def _modules(thing: Any) -> Iterator[Any]:
    """The modules inside, the outer one first, in the order of definition."""
    if is_nnx(thing) or is_equinox(thing):
        yield thing
    if is_nnx(thing) or is_equinox(thing) or isinstance(thing, list | tuple | dict):
        for value in _children(thing):
            yield from _modules(value)


def _children(thing: Any) -> list[Any]:
    if isinstance(thing, list | tuple):
        return list(thing)
    if is_nnx(thing) and isinstance(thing, sys.modules["flax.nnx"].List):
        return list(thing)
    return list(thing.values() if isinstance(thing, dict) else vars(thing).values())


def _holds(value: Any) -> bool:
    return is_parameter(value) or (hasattr(value, "get_value") and is_parameter(value.get_value()))


def _nnx_layers() -> dict[type, Rule]:
    from flax import nnx

    return {
        nnx.Linear: lambda m: InputSpec((BATCH, m.in_features)),
        nnx.LinearGeneral: lambda m: InputSpec((BATCH, *np.atleast_1d(m.in_features).tolist())),
        nnx.Conv: lambda m: _channels_last(m.in_features, m.kernel_size),
        nnx.ConvTranspose: lambda m: _channels_last(m.in_features, m.kernel_size),
        nnx.Embed: lambda m: InputSpec((BATCH, TOKENS), "int64", m.num_embeddings),
        nnx.MultiHeadAttention: lambda m: InputSpec((BATCH, TOKENS, m.in_features)),
        nnx.LayerNorm: lambda m: InputSpec((BATCH, m.num_features)),
        nnx.RMSNorm: lambda m: InputSpec((BATCH, m.num_features)),
        nnx.BatchNorm: lambda m: InputSpec((BATCH, m.num_features)),
    }


def _channels_last(channels: int, kernel: Any) -> InputSpec:
    return InputSpec((BATCH, *(IMAGE,) * len(np.atleast_1d(kernel)), channels))


def _equinox_layers() -> dict[type, Rule]:
    from equinox import nn

    return {
        nn.Linear: lambda m: InputSpec((BATCH,) if m.in_features == "scalar" else (BATCH, m.in_features)),
        nn.Conv: lambda m: InputSpec((BATCH, m.in_channels, *(IMAGE,) * m.num_spatial_dims)),
        nn.ConvTranspose: lambda m: InputSpec((BATCH, m.in_channels, *(IMAGE,) * m.num_spatial_dims)),
        nn.Embedding: lambda m: InputSpec((BATCH, TOKENS), "int64", m.num_embeddings),
        nn.LayerNorm: lambda m: InputSpec((BATCH, *m.shape)),
        nn.RMSNorm: lambda m: InputSpec((BATCH, *m.shape)),
    }


def example(spec: InputSpec) -> jax.Array:
    """An array of that shape and type, to trace with."""
    dtype = jax.dtypes.canonicalize_dtype(spec.dtype)
    return jax.numpy.zeros(spec.shape, dtype)
