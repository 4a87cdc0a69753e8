"""Weight normalisation: the length of each unit's weights is a parameter of its own."""

from __future__ import annotations

import math

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.rules.heads import HEAD_RMS
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
    total = site.structure.branch_end(node)
    if site.structure.is_head(node):
        gain, why = HEAD_RMS * gain, f"output head, RMS {HEAD_RMS}; {why}"
    elif total is not None:
        sums = site.structure.sums_on_stream(total)
        gain, why = gain / math.sqrt(sums), f"residual branch, 1/sqrt({sums}); {why}"
    return Decision(Constant(gain), f"length of each unit's normalised weights: {why}")
