"""New values for a model's parameters: drawn, corrected, laid on the devices where the old ones lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.jax.calibrate import Corrections
from penstock.jax.models import Target, target_of
from penstock.ledger.book import Ledger
from penstock.planning.plan import Entry, Plan
from penstock.planning.records import ledger_of
from penstock.randomness import key_for
from penstock.recipes.ordered import draw_ordered

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
    entries = matching(plan, target)
    _check_seed(seed)
    made: Arrays = {}
    for name, old in target.parameters.items():
        own = entries[name]
        if not any(_changes(entry, corrections) for entry, _ in own):
            made[name] = old
            continue
        values = np.array(old)
        for entry, part in own:
            values[part] = _values(entry, values[part], seed, corrections or Corrections())
        made[name] = placed(values, old)
    return made


def _changes(entry: Entry, corrections: Corrections | None) -> bool:
    return entry.recipe is not None or (corrections is not None and entry.name in corrections.biases)


def _values(entry: Entry, old: npt.NDArray[Any], seed: int, corrections: Corrections) -> npt.NDArray[Any]:
    values = old
    if entry.recipe is not None:
        is_complex = old.dtype.kind == "c"
        key = key_for(seed, entry.key_name)
        values = draw_ordered(entry.recipe, entry.geometry, key, is_complex=is_complex).astype(old.dtype)
    if entry.name in corrections.biases:
        values = corrections.biases[entry.name].reshape(old.shape).astype(old.dtype)
    knob = entry.calibration.knob if entry.calibration is not None else None
    if entry.name in corrections.ratios and knob == entry.name:
        axis = entry.geometry.out_axes[0]
        ratio = corrections.ratios[entry.name].reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        values = (values * ratio.astype(values.dtype)).astype(old.dtype)
    return scaled(values, corrections.scale_of(entry.name))


def scaled(values: npt.NDArray[Any], factor: float | None) -> npt.NDArray[Any]:
    """Multiplied; half types in float32, then rounded once."""
    if factor is None:
        return values
    if values.dtype.itemsize < 4:
        return (values.astype(np.float32) * np.float32(factor)).astype(values.dtype)
    return values * values.dtype.type(factor)


def placed(values: npt.NDArray[Any], old: Any) -> jax.Array:
    """An array like an old one: its type, its sharding."""
    sharding = getattr(old, "sharding", None)
    return jnp.asarray(values) if sharding is None else jax.device_put(values, sharding)


def pieces_of(plan: Plan, values: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The plan's parameters, of which a stack of layers holds one each."""
    found = {}
    for entry in plan.entries:
        name, layer = stacked(entry.name, values)
        array = np.asarray(values[name])
        found[entry.name] = array if layer is None else array[layer]
    return found


def stacked(name: str, values: Mapping[str, Any]) -> tuple[str, int | None]:
    """The array that a parameter lies in, and which layer of it; None for the whole array."""
    match = None if name in values else re.fullmatch(r"(.*)\[(\d+)\]", name, re.DOTALL)
    return (name, None) if match is None else (match[1], int(match[2]))


def matching(plan: Plan, target: Target) -> dict[str, list[tuple[Entry, Any]]]:
    """The model's arrays with the entries that lie in each, and where.

    Raises:
        ArgumentError: if one is missing, too many, or of another shape.
    """
    found: dict[str, list[tuple[Entry, Any]]] = {name: [] for name in target.parameters}
    problems = []
    for entry in plan.entries:
        name, layer = stacked(entry.name, target.parameters)
        shape = tuple(target.parameters[name].shape) if name in target.parameters else None
        own = shape if layer is None or shape is None else shape[1:]
        if shape is None or (layer is not None and not 0 <= layer < shape[0]):
            problems.append(f"the model has no {entry.name!r}")
        elif own != entry.shape:
            problems.append(f"{entry.name!r} is {own} in the model and {entry.shape} in the plan")
        else:
            found[name].append((entry, ... if layer is None else layer))
    problems += [f"the plan has no {name!r}" for name, entries in found.items() if not entries]
    if problems:
        raise ArgumentError(
            message(
                f"Plan.apply: model must have the parameters that were planned ({plan.model}, {len(plan.entries)} of "
                "them); " + "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if problems[3:] else "") + ".",
                hint="plan = penstock.plan(model, batch) for this model",
            )
        )
    return found


def _check_seed(seed: int) -> None:
    try:
        key_for(seed, "")
    except ArgumentError:
        fact = f"Plan.apply: seed must be an integer with 0 <= seed < 2**64; got {seed!r}."
        raise ArgumentError(message(fact, hint="plan.apply(model, seed=0)")) from None
