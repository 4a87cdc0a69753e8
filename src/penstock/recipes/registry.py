"""The recipes by name: read them back from plain data, and list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from penstock.errors import ArgumentError, closest, message
from penstock.recipes import named, poincare, random_walk, starts
from penstock.recipes.balanced_orthogonal import BalancedOrthogonal
from penstock.recipes.bilinear import Bilinear
from penstock.recipes.blocks import Blocks
from penstock.recipes.bounded_normal import BoundedNormal
from penstock.recipes.chrono import Chrono
from penstock.recipes.constant import Constant
from penstock.recipes.convolution_orthogonal import ConvolutionOrthogonal
from penstock.recipes.cyclic_identity import CyclicIdentity
from penstock.recipes.delta_orthogonal import DeltaOrthogonal
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.families import adapters, implicit, recurrent, reinforcement, state_space, transformers, vision
from penstock.recipes.from_values import mimetic
from penstock.recipes.from_values import state_space as from_state_space
from penstock.recipes.from_values.admin import ENTRIES as ADMIN
from penstock.recipes.from_values.eva import ENTRIES as EVA
from penstock.recipes.from_values.loftq import ENTRIES as LOFTQ
from penstock.recipes.from_values.lora_ga import ENTRIES as LORA_GA
from penstock.recipes.from_values.low_rank import ENTRIES as LOW_RANK
from penstock.recipes.from_values.olora import ENTRIES as OLORA
from penstock.recipes.from_values.pissa import ENTRIES as PISSA
from penstock.recipes.from_values.weight_selection import ENTRIES as WEIGHT_SELECTION
from penstock.recipes.hippo import Hippo
from penstock.recipes.icnr import Icnr
from penstock.recipes.identity import Identity
from penstock.recipes.joined import Joined
from penstock.recipes.log_index import LogIndex
from penstock.recipes.log_of_uniform import LogOfUniform
from penstock.recipes.logit_of_uniform import LogitOfUniform
from penstock.recipes.looks_linear import LooksLinear
from penstock.recipes.modular import Modular
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.recipe import Recipe
from penstock.recipes.ring import Ring
from penstock.recipes.s4d import S4D
from penstock.recipes.scaling import VarianceScaling
from penstock.recipes.schemes.registry import SCHEMES
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.siren import Siren
from penstock.recipes.skew_rotations import SkewRotations
from penstock.recipes.sparse import Sparse
from penstock.recipes.spectral import Spectral
from penstock.recipes.step_size import StepSize
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform
from penstock.recipes.uniform_between import UniformBetween
from penstock.recipes.uniform_gate import UniformGate
from penstock.recipes.zero_hadamard import ZerO
from penstock.recipes.zero_rows import ZeroRows

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Constant,
        Normal,
        TruncatedNormal,
        BoundedNormal,
        Uniform,
        UniformBetween,
        VarianceScaling,
        Spectral,
        Siren,
        Sparse,
        Orthogonal,
        SemiOrthogonal,
        Modular,
        DeltaOrthogonal,
        ConvolutionOrthogonal,
        BalancedOrthogonal,
        LooksLinear,
        Identity,
        CyclicIdentity,
        ZerO,
        SkewRotations,
        Bilinear,
        Icnr,
        Blocks,
        Joined,
        PerBlock,
        ZeroRows,
        Chrono,
        UniformGate,
        LogitOfUniform,
        LogOfUniform,
        LogIndex,
        StepSize,
        Ring,
        Hippo,
        S4D,
    )
}
"""Every recipe by its name."""

_FUNCTIONS = (
    *named.ENTRIES,
    *starts.ENTRIES,
    *random_walk.ENTRIES,
    *poincare.ENTRIES,
    *recurrent.ENTRIES,
    *state_space.ENTRIES,
    *transformers.ENTRIES,
    *vision.ENTRIES,
    *implicit.ENTRIES,
    *reinforcement.ENTRIES,
    *adapters.ENTRIES,
    *LOW_RANK,
    *PISSA,
    *OLORA,
    *LOFTQ,
    *EVA,
    *LORA_GA,
    *mimetic.ENTRIES,
    *from_state_space.ENTRIES,
    *WEIGHT_SELECTION,
    *ADMIN,
)
"""What the catalogue says about the rules that are functions."""


def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every recipe, scheme and rule with its formula, its use and its source.

    Examples:
        >>> catalogue()[0].name
        'constant'
        >>> sorted({entry.kind for entry in catalogue()})
        ['family', 'from values', 'named rule', 'recipe', 'scheme']
    """
    recipes = [CatalogueEntry(r.name, r.formula, r.when, r.source) for r in RECIPES.values()]
    schemes = [CatalogueEntry(s.name, s.formula, s.when, s.source, "scheme") for s in SCHEMES.values()]
    return (*recipes, *_FUNCTIONS, *schemes)


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
