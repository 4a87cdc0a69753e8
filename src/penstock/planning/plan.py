"""A plan: for each parameter a recipe and the reason for it. Data: it prints, goes to JSON and back, and is applied."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, message
from penstock.frameworks import adapter_of
from penstock.geometry import Geometry
from penstock.recipes import recipe_from_dict
from penstock.recipes.recipe import Recipe

if TYPE_CHECKING:
    from penstock.report.report import Report

VERSION = 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one forward pass corrects a weight on real data.

    Attributes:
        target: RMS that the layer's output shall have (around `centre`, where that is given).
        knob: the parameter that is scaled: the weight, or the length of a weight-normalised one.
        centre: mean that each unit's output shall have, by way of `bias`; None leaves means alone.
        bias: the bias that centres; None where there is none.
        factor: by which the weight was scaled, once it was; None before.
    """

    target: float
    knob: str
    centre: float | None = None
    bias: str | None = None
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is done with one parameter.

    Attributes:
        name: its first name.
        shape: its logical shape.
        recipe: what is drawn; None keeps the values that are there.
        reason: one sentence: why.
        rule: name of the rule that decided.
        geometry: axis roles that the recipe is drawn with.
        calibration: how it is corrected on data, if it is.
        ties: its other names.
    """

    name: str
    shape: tuple[int, ...]
    recipe: Recipe | None
    reason: str
    rule: str
    geometry: Geometry
    calibration: Calibration | None = None
    ties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Parameter -> recipe, with reasons, for one model.

    Attributes:
        model: name of the model's class.
        entries: one a parameter, in the model's order.
        notes: what the planner could not place, and what it chose instead.
    """

    model: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if name == entry.name or name in entry.ties:
                return entry
        raise KeyError(name)

    def apply(self, model: Any, seed: int = 0) -> None:
        """Draw every planned parameter and write it into the model, in place.

        The values depend on the seed and the parameter's name alone: applying a plan twice gives the same bits, and
        adding, removing or reordering layers leaves the others as they were. Calibration needs data and is the work
        of `penstock.initialize`.

        Args:
            model: a model with the parameters that the plan names.
            seed: 0 <= seed < 2**64.

        Raises:
            ArgumentError: if the model's parameters do not match the plan; then nothing is written.

        Examples:
            >>> import torch
            >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
            >>> plan = penstock.plan(model, torch.ones(2, 8))
            >>> plan.apply(model, seed=7)
            >>> first = model[0].weight.clone()
            >>> plan.apply(model, seed=7)
            >>> bool((model[0].weight == first).all())
            True
        """
        adapter_of(model, "plan").apply(self, model, seed=seed)

    def replace(self, name: str, recipe: Recipe | None, reason: str = "chosen by the user") -> Plan:
        """The same plan with another recipe for one parameter (None keeps its values).

        Raises:
            ArgumentError: if the plan has no such parameter.
        """
        if all(e.name != name for e in self.entries):
            raise ArgumentError(message(f"Plan.replace: name must be one of the plan's parameters; got {name!r}."))
        changed = tuple(
            replace(e, recipe=recipe, reason=reason, rule="user", calibration=None) if e.name == name else e
            for e in self.entries
        )
        return replace(self, entries=changed)

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, with a version."""
        entries = []
        for e in self.entries:
            data = asdict(replace(e, recipe=None))
            data["recipe"] = None if e.recipe is None else e.recipe.to_dict()
            entries.append(data)
        return {"version": VERSION, "model": self.model, "entries": entries, "notes": list(self.notes)}

    def to_json(self) -> str:
        """The plan as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Plan:
        """The plan that `to_dict` wrote.

        Raises:
            ArgumentError: if the data is no plan, or one of a later version.
        """
        if not isinstance(data, dict) or data.get("version") != VERSION:
            found = data.get("version") if isinstance(data, dict) else type(data).__name__
            raise ArgumentError(message(f"Plan.from_dict: data must be a plan of version {VERSION}; got {found!r}."))
        try:
            entries = tuple(_entry(e) for e in data["entries"])
            return Plan(data["model"], entries, tuple(data["notes"]))
        except (KeyError, TypeError) as error:
            raise ArgumentError(
                message(f"Plan.from_dict: data must be a whole plan; {error!r} is wrong or missing.")
            ) from None

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan that `to_json` wrote.

        Raises:
            ArgumentError: if the text is no JSON, or no plan.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ArgumentError(message(f"Plan.from_json: text must be JSON; {error}.")) from None
        return Plan.from_dict(data)

    def __str__(self) -> str:
        # The table is a text of the report layer, above this one; it is asked for only when somebody prints.
        from penstock.planning.show import plan_text

        return plan_text(self)

    def __repr__(self) -> str:
        drawn = sum(e.recipe is not None for e in self.entries)
        return f"<Plan for {self.model}: {drawn} of {len(self.entries)} parameters drawn>"


def _entry(data: dict[str, Any]) -> Entry:
    geometry: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["geometry"].items()}
    calibration = data["calibration"]
    return Entry(
        name=data["name"],
        shape=tuple(data["shape"]),
        recipe=None if data["recipe"] is None else recipe_from_dict(data["recipe"]),
        reason=data["reason"],
        rule=data["rule"],
        geometry=Geometry(**geometry),
        calibration=None if calibration is None else Calibration(**calibration),
        ties=tuple(data["ties"]),
    )


@dataclass(frozen=True)
class Initialization:
    """What `penstock.initialize` did.

    Attributes:
        plan: the plan that was applied and calibrated.
        before: the report of the model as it came.
        after: the report of the model as it is now.
    """

    plan: Plan
    before: Report
    after: Report

    def __str__(self) -> str:
        from penstock.planning.show import initialization_text

        return initialization_text(self)

    def __repr__(self) -> str:
        return f"<Initialization of {self.plan.model}: before {self.before!r}, after {self.after!r}>"
