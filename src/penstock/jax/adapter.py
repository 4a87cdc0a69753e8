"""What penstock's public doors ask of JAX; each name is explained in `penstock.frameworks.Adapter`."""

from __future__ import annotations

import functools
import types
from typing import Any, NoReturn

import jax
import numpy as np

from penstock.errors import UnsupportedError, message
from penstock.jax.audit import audit
from penstock.jax.check import check
from penstock.jax.fans import fans
from penstock.jax.files import save, tensor
from penstock.jax.initialize import initialize, plan
from penstock.jax.inputs import guess as guess_input
from penstock.jax.models import is_model as is_whole
from penstock.jax.parts import is_model, is_transformed, with_parameters
from penstock.jax.racing.survey import survey_race
from penstock.jax.racing.train import train_arms
from penstock.jax.scalar import activation_name, as_scalar_function
from penstock.jax.write import apply
from penstock.quadrature import Function

__all__ = [
    "apply",
    "audit",
    "check",
    "check_ranks",
    "check_weights",
    "fans",
    "guess_input",
    "initialize",
    "is_model",
    "materialize",
    "owns",
    "param_groups",
    "plan",
    "race_data",
    "save",
    "scalar_function",
    "survey_race",
    "tensor",
    "train_arms",
    "with_parameters",
]

builds_from_key = True
watches_building = False
races = True
file_reader = "safetensors.flax.load_file({path!r})"


def owns(thing: Any) -> bool:
    """Whether this is a model, with or without its parameters, an array, or a function of arrays."""
    return is_whole(thing) or is_transformed(thing) or isinstance(thing, jax.Array) or _wants_arrays(thing)


def _wants_arrays(thing: Any) -> bool:
    """Whether a plain function is one of JAX's, or makes an array of JAX out of one of NumPy."""
    inner = thing
    while isinstance(inner, functools.partial):
        inner = inner.func
    home = str(getattr(inner, "__module__", ""))
    if home.partition(".")[0] in ("jax", "flax", "equinox", "haiku") and callable(thing):
        return not isinstance(thing, type)
    if not isinstance(inner, types.FunctionType):
        return False
    try:
        return isinstance(thing(np.array([-0.75, 0.5, 1.25], np.float32)), jax.Array)
    except Exception:  # whatever it cannot do with arrays: then it is none of ours
        return False


def scalar_function(function: Any) -> tuple[Function, str]:
    """A function of JAX arrays as one of float64 arrays; and its name."""
    return as_scalar_function(function), activation_name(function)


def materialize(model: Any, **arguments: Any) -> NoReturn:
    """JAX makes parameters from their shapes."""
    _no("materialize", "JAX makes parameters from their shapes", "penstock.jax.materialize(shapes, sharding, plan, 0)")


def check_ranks(model: Any, **arguments: Any) -> NoReturn:
    """JAX arrays are one value over all processes."""
    _no("check_ranks", "an array of JAX is one value over all processes", "penstock.check(apply_fn, params, batch)")


def check_weights(path: Any, **arguments: Any) -> NoReturn:
    """Files are read by the adapter of PyTorch."""
    _no("check_weights", "checkpoint files are read with PyTorch", "import torch, then penstock.check_weights(path)")


def param_groups(plan: Any, model: Any, **arguments: Any) -> NoReturn:
    """Optax has no groups of parameters."""
    _no("Plan.param_groups", "groups of parameters are PyTorch's", "optax.masked or optax.multi_transform")


def race_data(given: Any, *, steps: int, batch_size: int | None, own_loss: bool) -> None:
    """JAX has no data sets of its own."""
    return


def _no(function: str, why: str, hint: str) -> NoReturn:
    raise UnsupportedError(message(f"{function}: a JAX model has none of this.", because=why, hint=hint))
