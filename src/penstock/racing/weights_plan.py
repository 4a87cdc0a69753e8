"""A start that is one rule for every weight, as a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.fan_table import Declared
from penstock.planning.plan import Entry, Plan
from penstock.recipes import Blocks, Constant
from penstock.recipes.recipe import Recipe


def plan_of_weights(model: str, roles: Mapping[str, Declared], recipe: Callable[[str, Declared], Recipe]) -> Plan:
    """Weights by a rule, zeros in biases; embeddings, norms and everything else stay as the model made them.

    Args:
        model: name of the model's class.
        roles: of every parameter.
        recipe: from a weight's name and axes to what is drawn into it.
    """
    entries = []
    for name, declared in roles.items():
        chosen: Recipe | None = None
        if declared.role == "weight" and declared.geometry.is_weight:
            chosen = recipe(name, declared)
            if declared.geometry.blocks:
                chosen = Blocks((chosen,) * len(declared.geometry.blocks))
        elif declared.role == "bias":
            chosen = Constant(0.0)
        entries.append(Entry(name, declared.geometry.shape, chosen, "drawn for a race", "race", declared.geometry))
    return Plan(model, tuple(entries))
