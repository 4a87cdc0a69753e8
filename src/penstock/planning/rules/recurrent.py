"""Recurrent layers and cells, gate by gate."""

from __future__ import annotations

from penstock.planning.site import Decision, Site
from penstock.recipes import Blocks, Joined, Orthogonal, VarianceScaling
from penstock.recipes.recipe import Recipe

INPUT, STATE = VarianceScaling(1.0, "fan_in", "normal"), Orthogonal(1.0)


def recurrent(site: Site) -> Decision | None:
    """State-to-state weights orthogonal, input weights by fan-in, each gate for itself.

    An orthogonal state matrix neither shrinks nor grows what is carried through time (Saxe et al. 2014); drawn as one
    fused matrix, the gates would be orthogonal to each other instead of each for itself.
    """
    if site.node is None or site.stats.role != "weight" or not site.cell:
        return None
    part, gates = site.cell.rsplit(".", 1)[-1], len(site.geometry.blocks)
    each = f"each of {gates} gates" if gates > 1 else "its gate" if gates else "the layer"
    if part == "joined":
        recipe = Joined((_each(INPUT, gates), _each(STATE, gates)), sides(site))
        return Decision(recipe, f"weights on input and state: fan-in and orthogonal, for {each}")
    why = {
        "input": f"input weights: fan-in for {each}",
        "hidden": f"state-to-state weights: orthogonal for {each}, carries the state through time without loss",
        "projection": "projection of the state: orthogonal",
    }[part]
    return Decision(_each(INPUT if part == "input" else STATE, gates), why)


def sides(site: Site) -> tuple[int, int]:
    """Features of the input and of the state that one weight reads side by side; a gate's units are the state's."""
    geometry = site.geometry
    units = geometry.shape[geometry.out_axes[0]] // max(1, len(geometry.blocks))
    return geometry.shape[geometry.in_axes[0]] - units, units


def _each(recipe: Recipe, gates: int) -> Recipe:
    return Blocks((recipe,) * gates) if gates else recipe
