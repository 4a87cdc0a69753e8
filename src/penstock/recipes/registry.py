"""The recipes by name: read them back from plain data, and list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from penstock.errors import ArgumentError, closest, message
from penstock.recipes.blocks import Blocks
from penstock.recipes.constant import Constant
from penstock.recipes.identity import Identity
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.recipe import Recipe
from penstock.recipes.scaling import VarianceScaling
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Constant,
        Normal,
        TruncatedNormal,
        Uniform,
        VarianceScaling,
        Orthogonal,
        Identity,
        Blocks,
        PerBlock,
    )
}
"""Every recipe by its name."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One line of the catalogue.

    Attributes:
        name: as in plans and JSON.
        formula: the law of one element.
        when: what the rule is for.
        source: where it was published.
    """

    name: str
    formula: str
    when: str
    source: str


def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every recipe with its formula, its use and its source.

    Examples:
        >>> catalogue()[0].name
        'constant'
    """
    return tuple(CatalogueEntry(r.name, r.formula, r.when, r.source) for r in RECIPES.values())


def recipe_from_dict(data: Mapping[str, Any]) -> Recipe:
    """The recipe that `Recipe.to_dict` wrote.

    Args:
        data: "recipe" is the name, the other entries are the recipe's fields.

    Returns:
        A recipe equal to the one that was written.

    Raises:
        ArgumentError: if the name is unknown, or a field is missing, unknown or out of range.

    Examples:
        >>> recipe_from_dict({"recipe": "normal", "sigma": 0.02, "mean": 0.0})
        Normal(sigma=0.02, mean=0.0)
    """
    name = data.get("recipe")
    kind = RECIPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ArgumentError(
            message(f"recipe_from_dict: unknown recipe {name!r}.", hint=closest(str(name), RECIPES)),
        )
    values = {key: _value(value) for key, value in data.items() if key != "recipe"}
    known = [field.name for field in fields(kind)]
    if set(values) != set(known):
        raise ArgumentError(
            message(f"recipe_from_dict: the fields of {name!r} must be {known}; got {sorted(values)}."),
        )
    return kind(**values)


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return recipe_from_dict(value)
    return tuple(_value(item) for item in value) if isinstance(value, list | tuple) else value
