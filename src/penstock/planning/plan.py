"""A plan: for each parameter a recipe and the reason for it. Data: it prints, goes to JSON and back, and is applied."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from penstock.errors import ArgumentError, message
from penstock.frameworks import adapter_of
from penstock.geometry import Geometry
from penstock.ledger.book import Ledger
from penstock.planning.learning_rate import NOT_MEASURED, LearningRate
from penstock.recipes import recipe_from_dict
from penstock.recipes.recipe import Recipe

VERSION = 1


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one forward pass corrects a weight on real data.

    Attributes:
        target: RMS that the layer's output shall have (around `centre`, where that is given).
        knob: the parameter that is scaled: the weight, or the length of a weight-normalised one.
        centre: mean that each unit's output shall have, by way of `bias`; None leaves means alone.
        bias: the bias that centres; None where there is none.
        factor: by which the weight was scaled, once it was; None before. Of units scaled one by one, the mean.
        per_unit: whether each unit is scaled for itself (Krähenbühl et al. 2016) instead of the whole layer.
    """

    target: float
    knob: str
    centre: float | None = None
    bias: str | None = None
    factor: float | None = None
    per_unit: bool = False


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
        lr_sgd, lr_adam: factors of the learning rate that it wants, where that is not 1.
        weight_decay, epsilon: the same of Adam's weight decay (multiplied by the learning rate) and epsilon.
        drawn_as: the name that its key is made from; "" for its own.
    """

    name: str
    shape: tuple[int, ...]
    recipe: Recipe | None
    reason: str
    rule: str
    geometry: Geometry
    calibration: Calibration | None = None
    ties: tuple[str, ...] = ()
    lr_sgd: float = 1.0
    lr_adam: float = 1.0
    weight_decay: float = 1.0
    epsilon: float = 1.0
    drawn_as: str = ""

    @property
    def key_name(self) -> str:
        """The name that its key is made from."""
        return self.drawn_as or self.name


@dataclass(frozen=True)
class Plan:
    """Parameter -> recipe, with reasons, for one model.

    Attributes:
        model: name of the model's class.
        entries: one a parameter, in the model's order.
        notes: what the planner could not place, and what it chose instead.
        learning_rate: rates to start with, where `penstock.initialize` was asked to measure them.
    """

    model: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    learning_rate: LearningRate = NOT_MEASURED

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if name == entry.name or name in entry.ties:
                return entry
        raise KeyError(name)

    def apply(self, model: Any, seed: int = 0) -> Ledger:
        """Draw every planned parameter and write it into the model, in place.

        JAX models whose parameters are values are left to `penstock.jax.apply(plan, model, seed=0)`.

        The values depend on the seed and the parameter's name alone: applying a plan twice gives the same bits, and
        adding, removing or reordering layers leaves the others as they were. Calibration needs data and is the work
        of `penstock.initialize`.

        Args:
            model: a model with the parameters that the plan names.
            seed: 0 <= seed < 2**64.

        Returns:
            The ledger: what was written to each parameter, with its hash.

        Raises:
            ArgumentError: if the model's parameters do not match the plan; then nothing is written.
            UnsupportedError: if the model is on the meta device: `penstock.materialize` gives it memory.

        Examples:
            >>> import torch
            >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
            >>> plan = penstock.plan(model, torch.ones(2, 8))
            >>> first = plan.apply(model, seed=7)
            >>> again = plan.apply(model, seed=7)
            >>> again["0.weight"].digest == first["0.weight"].digest
            True
        """
        return adapter_of(model, "plan").apply(self, model, seed=seed)

    def param_groups(
        self,
        model: Any,
        optimizer: str = "adam",
        *,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
    ) -> list[dict[str, Any]]:
        """Groups of parameters with their learning rates, ready for the framework's optimizer.

        Each parameter that is trained is in one group; frozen ones are in none. Biases and the vectors of norms get
        no weight decay, as is usual. A parameter whose entry has a factor `lr_sgd` or `lr_adam` gets that much more;
        with Adam, factors of weight decay and epsilon count too: a rate that is m times smaller takes m times the
        decay, so that weights shrink at one pace at every width (Dey et al. 2025, table 1,
        https://arxiv.org/abs/2505.01618; as `MuAdamW` of Microsoft's mup).

        Args:
            model: the one that was planned.
            optimizer: "sgd" (with momentum 0.9), "adam" or "adamw".
            learning_rate: one of your own; default the one that was measured.
            weight_decay: before its factors. Default: what the optimizer is given, or, where the plan has factors,
                the optimizer's own default (0.01 for AdamW, 0 for Adam).

        Returns:
            Dicts with "params", "lr" and "name"; "weight_decay" where none is wanted or it is known; "eps" where the
            plan has a factor of it.

        Raises:
            ArgumentError: if no rate is known for the optimizer, or the model is not the one that was planned.

        Examples:
            >>> import torch
            >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
            >>> plan = penstock.plan(model, torch.ones(2, 8))
            >>> [(g["name"], len(g["params"])) for g in plan.param_groups(model, "adamw", learning_rate=1e-3)]
            [('weights', 2), ('biases, norms and other vectors', 2)]
        """
        adapter = adapter_of(model, "plan")
        return adapter.param_groups(
            self, model, optimizer=optimizer, learning_rate=learning_rate, weight_decay=weight_decay
        )

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
        return {
            "version": VERSION,
            "model": self.model,
            "entries": entries,
            "notes": list(self.notes),
            "learning_rate": self.learning_rate.to_dict(),
        }

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
            rate = data.get("learning_rate")
            found = NOT_MEASURED if rate is None else LearningRate.from_dict(rate)
            return Plan(data["model"], entries, tuple(data["notes"]), found)
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
        lr_sgd=data.get("lr_sgd", 1.0),
        lr_adam=data.get("lr_adam", 1.0),
        weight_decay=data.get("weight_decay", 1.0),
        epsilon=data.get("epsilon", 1.0),
        drawn_as=data.get("drawn_as", ""),
    )
