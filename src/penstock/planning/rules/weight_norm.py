"""Weight normalisation: the length of each unit's weights is a parameter of its own."""

from __future__ import annotations

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.site import Decision, Site
from penstock.recipes import Constant


def weight_norm(site: Site) -> Decision | None:
    """The length g of W = g v / |v|: rows of length gain have std gain / sqrt(fan_in) whatever v's scale.

    Source: Salimans & Kingma 2016, eq. 2, https://arxiv.org/abs/1602.07868
    """
    node = next((n for n in site.nodes if n.kind == "contraction"), None)
    if site.stats.role != "scale" or node is None or node.parameters[0] == site.name:
        return None
    gain, why = incoming_gain(site.structure, node)
    return Decision(Constant(gain), f"length of each unit's normalised weights: {why}")
