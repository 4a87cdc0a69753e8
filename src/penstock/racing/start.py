"""The starts of a race: by name, recipe, plan or function, each with a name of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from penstock import recipes
from penstock.errors import ArgumentError, closest, message
from penstock.planning.named.table import NAMED
from penstock.planning.plan import Plan
from penstock.recipes.recipe import Recipe

PEERS = {
    "default": "as the factory makes it",
    "penstock": "penstock.initialize on the first batch",
    "he": "He normal: std sqrt(2 / fan_in) (He et al. 2015)",
    "xavier": "Glorot uniform: bound sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)",
    "orthogonal": "orthogonal, with the exact gain of what feeds each weight (Saxe et al. 2014)",
    "lsuv": "orthogonal, then each layer's output scaled to variance 1 on the first batch (Mishkin & Matas 2016)",
    "krahenbuhl": "normal, then each unit's output to mean 0 and variance 1 on the first batch "
    "(Krähenbühl et al. 2016, within-layer)",
    "mean_variance": "normal, scaled by means and variances that are propagated through the graph "
    "(Bingham & Miikkulainen 2021)",
}
"""Starts with a name of their own, and what each does."""

PLANNED = {"penstock": "auto", "lsuv": "lsuv", "krahenbuhl": "krahenbuhl"}
"""Those of them that are plans of `penstock.initialize`, and by which recipe it knows them. PyTorch has the last two
as their papers write them; the plans scale to RMS 1 where LSUV says variance 1."""

SPELLINGS = {"mean_variance_propagation": "mean_variance", "auto": "penstock", "framework": "default"}

_RULES = """
    he_normal he_uniform glorot_normal glorot_uniform lecun_normal lecun_uniform kaiming_normal kaiming_uniform
    xavier_normal xavier_uniform small_init
""".split()

Kind = Literal["peer", "recipe", "named", "plan", "function"]

Given: TypeAlias = "str | Recipe | Plan | Callable[[Any], object]"


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes:
        name: for tables; each start of a race has another.
        kind: "peer" one of `PEERS` · "recipe" drawn into every weight · "named" what
            `penstock.initialize(recipe=name)` makes · "plan" applied and calibrated · "function"
            called with the model.
        value: the recipe, plan, function or name.
    """

    name: str
    kind: Kind
    value: Any = None

    def fingerprint(self) -> str:
        """A text that changes when the start does, as far as can be told: a function by its name."""
        if self.kind == "recipe":
            return f"{self.name}={self.value.to_dict()}"
        if self.kind == "plan":
            return f"{self.name}={hash_of(self.value.to_json())}"
        if self.kind == "function":
            return f"{self.name}={getattr(self.value, '__module__', '')}.{_own_name(self.value)}"
        return f"{self.name}={self.value}"


def hash_of(text: str) -> str:
    """A short hash of a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def parse_starts(starts: Iterable[Given] | Mapping[str, Given] | str) -> tuple[Start, ...]:
    """The starts of a race.

    Args:
        starts: names ("default", "he", "lsuv", "penstock", any recipe's), recipes, plans or functions of a model; or a
            mapping from names of your own to these; or one text with commas.

    Raises:
        ArgumentError: if one is unknown, or two have one name.

    Examples:
        >>> [s.name for s in parse_starts("default, he_normal")]
        ['default', 'he_normal']
    """
    if isinstance(starts, str):
        starts = [part.strip() for part in starts.split(",") if part.strip()]
    if isinstance(starts, Mapping):
        made = [Start(str(name), *_meant(value)) for name, value in starts.items()]
    elif isinstance(starts, Iterable):
        made = [Start(_own_name(value), *_meant(value)) for value in starts]
    else:
        raise ArgumentError(f"race: starts must be a list or a mapping of starts; got {type(starts).__name__}.")
    names = [start.name for start in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        fact = f"{twice[0]!r} is there twice" if twice else "there is none"
        raise ArgumentError(
            message(
                f"race: starts must have one name each; {fact}.",
                hint='penstock.race(factory, {"mine": first, "other": second}, data, steps=300)',
            )
        )
    return tuple(made)


def _meant(value: Any) -> tuple[Kind, Any]:
    """Kind and value of what stands for a start."""
    if isinstance(value, str):
        return _by_name(value)
    if isinstance(value, Recipe):
        return "recipe", value
    if isinstance(value, Plan):
        return "plan", value
    if callable(value) and not isinstance(value, type):
        return "function", value
    raise ArgumentError(
        message(
            "race: starts must be names, recipes, plans or functions that change a model; "
            f"got {'the class ' + value.__name__ if isinstance(value, type) else type(value).__name__}.",
            hint='penstock.race(factory, ["default", penstock.recipes.he_normal(), mine], data, steps=300)',
        )
    )


def _by_name(text: str) -> tuple[Kind, Any]:
    plain = re.sub(r"[\s-]+", "_", text.strip().lower())
    plain = SPELLINGS.get(plain, plain)
    if plain in PEERS:
        return "peer", plain
    if plain in _RULES:
        return "recipe", getattr(recipes, plain)()
    if plain in NAMED:
        return "named", plain
    if plain in recipes.RECIPES:
        try:
            return "recipe", recipes.RECIPES[plain]()
        except TypeError:
            hint = f"penstock.race(factory, [penstock.recipes.{recipes.RECIPES[plain].__name__}(...)], data, steps=300)"
            raise ArgumentError(message(f"race: starts: the recipe {text!r} needs arguments.", hint=hint)) from None
    known = [*PEERS, *_RULES, *NAMED, *recipes.RECIPES]
    raise ArgumentError(f"race: starts must be known names; got {text!r}. {closest(text, known)}")


def _own_name(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Recipe):
        return value.name
    if isinstance(value, Plan):
        return f"plan of {value.model}"
    return getattr(value, "__name__", None) or type(value).__name__
