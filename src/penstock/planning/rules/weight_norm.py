"""Weight normalisation: the length of each unit's weights is a parameter of its own."""

from __future__ import annotations

import math

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.rules.heads import HEAD_RMS
from penstock.planning.rules.residual import branch_share
from penstock.planning.site import Decision, Rule, Site
from penstock.recipes import Constant


def weight_norm(site: Site) -> Decision | None:
    """The length g of W = g v / |v|: rows of length gain have std gain / sqrt(fan_in) whatever v's scale.

    Source: Salimans & Kingma 2016, eq. 2, https://arxiv.org/abs/1602.07868
    """
    node = next((n for n in site.nodes if n.kind == "contraction"), None)
    if site.stats.role != "scale" or node is None or node.parameters[0] == site.name:
        return None
    gain, why = incoming_gain(site.structure, node)
    total = site.structure.branch_end(node)
    if site.structure.is_head(node):
        gain, why = HEAD_RMS * gain, f"output head, RMS {HEAD_RMS:g}; {why}"
    elif total is not None:
        share, told = branch_share(site.structure, node, total)
        gain, why = gain * share, f"residual branch, {told}; {why}"
    return Decision(Constant(gain), f"length of each unit's normalised weights: {why}")


def length_of(site: Site, rule: Rule) -> Decision | None:
    """The same length for another rule: that of the weights that the rule would draw."""
    node = next((n for n in site.nodes if n.kind == "contraction"), None)
    if site.stats.role != "scale" or node is None or node.parameters[0] == site.name:
        return None
    direction = site.structure.measured.parameters[node.parameters[0]]
    weight = Site(direction, site.structure.graph.users(direction.name), site.structure)
    decision = rule(weight)
    if decision is None or decision.recipe is None:
        return None
    terms = math.prod(direction.shape) / max(math.prod(site.stats.shape), 1)
    length = decision.recipe.rms(decision.geometry or weight.geometry) * math.sqrt(terms)
    return Decision(Constant(length), f"length of each unit's normalised weights; {decision.reason}")
