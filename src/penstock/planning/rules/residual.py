"""The last weight of each residual branch: smaller, the more branches share a stream."""

from __future__ import annotations

import math

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.site import Decision, Site
from penstock.recipes import VarianceScaling


def residual(site: Site) -> Decision | None:
    """Scale by 1/sqrt(number of residual sums on the stream).

    n independent branches of variance 1/n add variance 1 to the stream, at any depth. Without it the stream's
    variance grows like n and what comes early is drowned (GPT-2, section 2.3; Hayou et al. 2021,
    https://arxiv.org/abs/2010.12859).
    """
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction":
        return None
    total = site.structure.branch_end(node)
    if total is None:
        return None
    sums = site.structure.sums_on_stream(total)
    gain, why = incoming_gain(site.structure, node)
    share = 1.0 / math.sqrt(sums)
    reason = f"last weight of a residual branch, {sums} sums on its stream: 1/sqrt({sums}) = {share:.3g}; {why}"
    return Decision(VarianceScaling(gain * share, "fan_in", "normal"), reason, target=share)
