"""New values for a model's parameters, as arrays of NumPy: drawn by a plan, and corrected by its calibration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.planning.plan import Entry, Plan
from penstock.randomness import key_for
from penstock.recipes.ordered import draw_ordered


@dataclass
class Corrections:
    """What calibration found, as numbers of NumPy.

    Attributes:
        factors: weight -> what it is multiplied by.
        ratios: weight -> what each of its units is multiplied by before that, where each is scaled for itself.
        biases: bias -> its new values.
        notes: sentences about layers that could not be corrected.
        knobs: parameter -> the same factors, by what is multiplied: the weight, or the length of a normalised one.
    """

    factors: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    biases: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    knobs: dict[str, float] = field(default_factory=dict)

    def scale_of(self, name: str) -> float | None:
        """What a parameter is multiplied by, if it is the knob of a correction."""
        return self.knobs.get(name)


def drawn_arrays(
    plan: Plan, parameters: Mapping[str, Any], *, seed: int, corrections: Corrections | None = None
) -> dict[str, npt.NDArray[Any]]:
    """What a plan draws for the parameters that it changes, with what calibration corrects; the others are left out.

    Args:
        plan: of these parameters.
        parameters: name -> what `numpy.array` makes an array of; a stack of layers is one, whose layers have entries.
        seed: 0 <= seed < 2**64.
        corrections: what calibration found.

    Raises:
        ArgumentError: if the parameters do not match the plan, or the seed is none.
    """
    entries = _matching(plan, parameters)
    _check_seed(seed)
    made: dict[str, npt.NDArray[Any]] = {}
    for name, old in parameters.items():
        own = entries[name]
        if any(_changes(entry, corrections) for entry, _ in own):
            values = np.array(old)
            for entry, part in own:
                values[part] = _values(entry, values[part], seed, corrections or Corrections())
            made[name] = values
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


def _matching(plan: Plan, parameters: Mapping[str, Any]) -> dict[str, list[tuple[Entry, Any]]]:
    """The model's arrays with the entries that lie in each, and where.

    Raises:
        ArgumentError: if one is missing, too many, or of another shape.
    """
    found: dict[str, list[tuple[Entry, Any]]] = {name: [] for name in parameters}
    problems = []
    for entry in plan.entries:
        name, layer = stacked(entry.name, parameters)
        shape = tuple(parameters[name].shape) if name in parameters else None
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
