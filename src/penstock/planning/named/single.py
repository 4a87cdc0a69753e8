"""One recipe for every weight: He, Xavier, LeCun, orthogonal, or a recipe that the user gives."""

from __future__ import annotations

from penstock.errors import ArgumentError, ShapeError, message
from penstock.planning.rules.biases import biases
from penstock.planning.rules.embeddings import embeddings
from penstock.planning.rules.norms import norms
from penstock.planning.site import Decision, Rule, Site
from penstock.recipes import Blocks
from penstock.recipes.recipe import Recipe


def single_rule(recipe: Recipe, why: str, *, target: float | None = None, **calibration: float | bool) -> Rule:
    """The recipe for each weight, fused blocks one by one; biases zero, norms one, embeddings as in the auto plan.

    Args:
        recipe: for weights.
        why: the reason to show.
        target: RMS that each output shall have on data, for rules that have it; None for the others.
        **calibration: further fields of the decision.
    """

    def rule(site: Site) -> Decision | None:
        if site.stats.role == "weight" and site.geometry.is_weight:
            blocks = len(site.geometry.blocks)
            drawn = Blocks((recipe,) * blocks) if blocks and not isinstance(recipe, Blocks) else recipe
            _check(drawn, site)
            return Decision(drawn, why, target=target, **calibration)  # type: ignore[arg-type]
        return biases(site) or norms(site) or embeddings(site)

    return rule


def _check(recipe: Recipe, site: Site) -> None:
    """Find out before anything is written whether a recipe can draw this weight.

    Raises:
        ArgumentError: if it cannot.
    """
    try:
        recipe.moments(site.geometry)
    except ShapeError as error:
        raise ArgumentError(
            message(
                f"plan: recipe must be able to draw every weight; {recipe.describe()} cannot draw this one.",
                at=f"{site.name} {site.stats.shape}",
                because=str(error).splitlines()[0],
                hint=f"keep=[{site.name!r}], or recipe=a function of a site that returns None for it",
            )
        ) from None
