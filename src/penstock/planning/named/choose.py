"""What `recipe=` may be, and the rules that follow from it."""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import ArgumentError, closest, message
from penstock.planning.named.single import single_rule
from penstock.planning.named.table import NAMED, NamedPlan, of_scheme
from penstock.planning.rules import RULES
from penstock.planning.rules.kept import kept, left_over
from penstock.planning.rules.special import special
from penstock.planning.rules.weight_norm import length_of
from penstock.planning.site import Decision, Rule, Site
from penstock.planning.structure import Structure
from penstock.planning.target import Shaped
from penstock.recipes.recipe import Recipe
from penstock.recipes.schemes import Scheme

RecipeChoice = str | Recipe | Scheme | Shaped | Callable[[Site], Decision | Recipe | None]
"""A name of `NAMED` or "auto", a recipe for all weights, a scheme, numbers for shaping, or a function of a site."""

Rules = tuple[tuple[str, Rule], ...]


def rules_of(recipe: RecipeChoice, structure: Structure) -> tuple[Rules, tuple[str, ...]]:
    """The rules to ask, in order, and notes for the plan.

    Args:
        recipe: "auto", a name, a recipe, a scheme, or a function that gives a decision or a recipe for a site and None
            where the auto plan shall decide.
        structure: the model's graph.

    Raises:
        ArgumentError: if there is no such name, or `recipe` is none of these.
    """
    check_recipe(recipe)
    if isinstance(recipe, str):
        return (RULES, ()) if recipe == "auto" else _named(NAMED[_key(recipe)], structure)
    if isinstance(recipe, Shaped):
        return RULES, ()
    if isinstance(recipe, Scheme):
        return _named(of_scheme(recipe), structure)
    if isinstance(recipe, Recipe):
        return _whole("user", single_rule(recipe, f"{recipe.describe()}, given for all weights")), ()
    return (RULES[0], ("user", _checked(recipe)), *RULES[1:]), ()


def check_recipe(recipe: RecipeChoice) -> None:
    """Find out whether there is such a recipe, before a model is run.

    Raises:
        ArgumentError: if there is no such name, or `recipe` is none of what it may be.
    """
    if isinstance(recipe, str):
        if recipe != "auto" and _key(recipe) not in NAMED:
            raise ArgumentError(message(f"plan: unknown recipe {recipe!r}.", hint=closest(recipe, ["auto", *NAMED])))
    elif not isinstance(recipe, Scheme | Recipe | Shaped) and not callable(recipe):
        raise ArgumentError(
            message(
                "plan: recipe must be a name, a recipe, a scheme or a function of a site; got "
                f"{type(recipe).__name__} {recipe!r}.",
                hint="penstock.plan(model, batch, recipe='gpt2')",
            )
        )


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


def _named(named: NamedPlan, structure: Structure) -> tuple[Rules, tuple[str, ...]]:
    notes = (f"{named.name}, not in the weights: {named.needs}.",) if named.needs else ()
    return _whole(named.name, named.rule(structure)), notes


def _whole(name: str, rule: Rule) -> Rules:
    """A rule for the whole model, between what is kept whatever it says and what it says nothing about."""

    def ask(site: Site) -> Decision | None:
        return length_of(site, rule) or rule(site)

    first = () if name == "mamba" else (("special", special),)
    return (("kept", kept), *first, (name, ask), ("left over", left_over))


def _checked(function: Callable[[Site], Decision | Recipe | None]) -> Rule:
    name = getattr(function, "__name__", type(function).__name__)

    def ask(site: Site) -> Decision | None:
        decided = function(site)
        if isinstance(decided, Recipe):
            return Decision(decided, f"chosen by {name}")
        if decided is None or isinstance(decided, Decision):
            return decided
        raise ArgumentError(
            message(
                f"plan: recipe={name} must return a Recipe, a Decision or None; got {type(decided).__name__}.",
                at=f"{site.name} {site.stats.shape}",
                hint="return penstock.recipes.Orthogonal(1.0)",
            )
        )

    return ask
