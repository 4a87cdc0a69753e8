"""A start that is one rule for every weight, as a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from penstock.fan_table import Declared
from penstock.planning.plan import Entry, Plan
from penstock.racing.propagation import incoming_seconds
from penstock.recipes import Blocks, Constant, Orthogonal, VarianceScaling, glorot_uniform, he_normal
from penstock.recipes.recipe import Recipe
from penstock.signals import Measured

Rule = Callable[[str, Declared], Recipe]
"""From a weight's name and axes to what is drawn into it."""


def rule_of(name: str, measure: Callable[[], Measured]) -> Rule:
    """The rule of one of the starts "he", "xavier", "orthogonal" and "mean_variance".

    Args:
        name: of the start.
        measure: gives the model's measured graph, for the last two: what feeds each weight decides its gain.
    """
    if name in {"he", "xavier"}:
        simple = he_normal() if name == "he" else glorot_uniform()
        return lambda weight, declared: simple
    seconds = incoming_seconds(measure())

    def rule(weight: str, declared: Declared) -> Recipe:
        gain = 1.0 / math.sqrt(seconds.get(weight, 1.0))
        return Orthogonal(gain) if name == "orthogonal" else VarianceScaling(gain, "fan_in", "normal")

    return rule


def plan_of_weights(model: str, roles: Mapping[str, Declared], recipe: Rule) -> Plan:
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
