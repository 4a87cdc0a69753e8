"""Recurrent layers and cells, gate by gate."""

from __future__ import annotations

from penstock.planning.site import Decision, Site
from penstock.recipes import Blocks, Orthogonal, VarianceScaling
from penstock.recipes.recipe import Recipe


def recurrent(site: Site) -> Decision | None:
    """State-to-state weights orthogonal, input weights by fan-in, each gate for itself.

    An orthogonal state matrix neither shrinks nor grows what is carried through time (Saxe et al. 2014); drawn as one
    fused matrix, the gates would be orthogonal to each other instead of each for itself.
    """
    if site.node is None or site.stats.role != "weight" or not site.cell:
        return None
    part = site.cell.rsplit(".", 1)[-1]
    recipe: Recipe = Orthogonal(1.0) if part != "input" else VarianceScaling(1.0, "fan_in", "normal")
    gates = len(site.geometry.blocks)
    each = f"each of {gates} gates" if gates else "the layer"
    why = {
        "input": f"input weights: fan-in for {each}",
        "hidden": f"state-to-state weights: orthogonal for {each}, carries the state through time without loss",
        "projection": "projection of the state: orthogonal",
    }[part]
    return Decision(Blocks((recipe,) * gates) if gates else recipe, why)
