"""Every other weight: fan-in with the exact gain, orthogonal where the stack is deep and plain."""

from __future__ import annotations

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.site import Decision, Site
from penstock.recipes import Blocks, Orthogonal, VarianceScaling
from penstock.recipes.recipe import Recipe

DEEP = 8
"""Plain stacks of at least this many weights are drawn orthogonal: the spread of a product of n Gaussian matrices'
singular values grows with n, that of orthogonal ones does not (Saxe et al. 2014; Pennington et al. 2017)."""

DIVIDED = (".parametrizations.weight.original", ".weight_orig")
"""Ends of the names under which PyTorch stores weights that are divided by their largest singular value (Miyato et al.
2018, section 2.1, https://arxiv.org/abs/1802.05957)."""


def contractions(site: Site) -> Decision | None:
    """Fan-in scaling that gives the output RMS 1."""
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction" or not site.geometry.is_weight:
        return None
    structure = site.structure
    gain, why = incoming_gain(structure, node)
    depth = structure.depth(node)
    readers = structure.readers(node)
    normed = bool(readers) and all(r.kind == "norm" for r in readers)
    recipe: Recipe = VarianceScaling(gain, "fan_in", "normal")
    reason = why
    if depth >= DEEP and not normed:
        recipe = Orthogonal(gain)
        reason = f"one of {depth} weights in a plain stack: orthogonal, so that no direction is lost with depth; {why}"
    elif site.name.endswith(DIVIDED):
        recipe = Orthogonal(gain)
        reason = f"divided by its largest singular value: orthogonal, so that all the others are as large; {why}"
    elif normed and gain < 1.0:
        recipe = VarianceScaling(1.0, "fan_in", "normal")
        reason = f"{why}; but 1, because a norm takes the size away, and smaller weights would only take larger steps"
    elif normed:
        reason = f"{why}; a norm follows, so its scale does not matter"
    terms = structure.terms(node)
    if terms > 1:
        recipe, reason = recipe.scaled(terms**-0.5), f"one of {terms} that are added up: 1/sqrt({terms}); {reason}"
    if site.geometry.blocks:
        recipe = Blocks((recipe,) * len(site.geometry.blocks))
    target = None if normed else terms**-0.5
    return Decision(recipe, reason, target=target)
