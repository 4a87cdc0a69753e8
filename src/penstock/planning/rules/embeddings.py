"""Embeddings: rows of RMS 1, small where the same table is also the output head."""

from __future__ import annotations

import math

from penstock.planning.site import Decision, Site
from penstock.recipes import Normal

POSITION_SHARE = 0.5
"""Positions against tokens: to be seen beside the tokens and not to drown them. Half is 1/5 of the sum's variance."""


def embeddings(site: Site) -> Decision | None:
    """Tables that integers look up, and parameters that are added to a signal as positions are."""
    role = site.stats.role
    if role == "position":
        return Decision(Normal(0.02), "added to a signal (a position, a learned token): small")
    if role != "embedding":
        return None
    width = site.stats.shape[-1]
    tied = any(n.kind == "contraction" and n.geometry is not None and not n.geometry.lookup for n in site.nodes)
    std = 1.0 / math.sqrt(width) if tied else 1.0
    node = site.node
    from_data = node is not None and bool(node.inputs)
    if not from_data:
        std *= POSITION_SHARE
        return Decision(Normal(std), f"table of positions: std {std:.3g}, half of what tokens have")
    if tied:
        return Decision(Normal(std), f"embedding tied to the output head: std 1/sqrt({width}) makes the logits RMS 1")
    return Decision(Normal(std), "embedding: rows of RMS 1, the scale that the layers behind it expect")
