"""New values for a model's parameters: drawn, corrected, laid on the devices where the old ones lie."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy.typing as npt

from penstock.errors import UnsupportedError, message
from penstock.jax.models import Target, target_of
from penstock.ledger.book import Ledger
from penstock.planning.drawing import Corrections, drawn_arrays, pieces_of
from penstock.planning.plan import Plan
from penstock.planning.records import ledger_of

Arrays = dict[str, jax.Array]


def apply(plan: Plan, model: Any, *, seed: int = 0) -> Ledger:
    """See `penstock.Plan.apply`: for Flax nnx, whose modules are changed in place."""
    target = target_of(model, "Plan.apply")
    if not target.in_place:
        raise UnsupportedError(
            message(
                f"Plan.apply: a model that is changed in place is needed; {target.name} is none.",
                hint="model, ledger = penstock.jax.apply(plan, model, seed=0)",
            )
        )
    return applied(plan, model, seed=seed)[1]


def applied(plan: Plan, model: Any, *, seed: int = 0) -> tuple[Any, Ledger]:
    """Draw every planned parameter of a JAX model.

    The values depend on the seed and the parameter's name alone, so the same plan gives the same bits each time.

    Args:
        plan: of this model.
        model: a `penstock.jax.Model(apply_fn, params)`, an Equinox module, or an nnx module, which is changed.
        seed: 0 <= seed < 2**64.

    Returns:
        The model with its new parameters, laid out on devices like the old ones; and the ledger.

    Raises:
        ArgumentError: if the model's parameters do not match the plan.

    Examples:
        >>> import penstock
        >>> from penstock.jax import Model
        >>> params = {"w": jnp.ones((8, 2))}
        >>> model = Model(lambda p, x: x @ p["w"], params)
        >>> plan = penstock.plan(model, jnp.ones((4, 8)))
        >>> new, ledger = applied(plan, model, seed=0)
        >>> new.params["w"].shape, ledger["w"].recipe == plan["w"].recipe
        ((8, 2), True)
    """
    target = target_of(model, "apply")
    values = drawn(plan, target, seed=seed)
    ledger = ledger_of(plan, pieces_of(plan, values), seed=seed)
    return target.rebuild(list(values.values())), ledger


def drawn(plan: Plan, target: Target, *, seed: int, corrections: Corrections | None = None) -> Arrays:
    """The parameters with what a plan draws, and with what calibration corrects.

    Raises:
        ArgumentError: if the model's parameters do not match the plan, or the seed is none.
    """
    made = drawn_arrays(plan, target.parameters, seed=seed, corrections=corrections)
    return {name: placed(made[name], old) if name in made else old for name, old in target.parameters.items()}


def placed(values: npt.NDArray[Any], old: Any) -> jax.Array:
    """An array like an old one: its type, its sharding."""
    sharding = getattr(old, "sharding", None)
    return jnp.asarray(values) if sharding is None else jax.device_put(values, sharding)
