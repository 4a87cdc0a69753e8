"""Embeddings: rows of RMS 1, small where the same table is also the output head."""

from __future__ import annotations

import math

from penstock.planning.site import Decision, Site
from penstock.recipes import Constant, Normal


def embeddings(site: Site) -> Decision | None:
    """Tables that integers look up, and parameters that are added to a signal as positions are."""
    role = site.stats.role
    if role == "position" and math.prod(site.stats.shape) == 1:
        return Decision(Constant(0.0), "one number added to a signal, a scalar bias: zero")
    if role == "position":
        return Decision(Normal(0.02), "added to a signal (a position, a learned token): small")
    if role != "embedding":
        return None
    std = site.structure.table_std(site.name)
    if site.node is None or not site.node.inputs:
        return Decision(Normal(std), f"table of positions: std {std:.3g}, half of what tokens have")
    if std < 1.0:
        width = site.stats.shape[-1]
        return Decision(Normal(std), f"embedding tied to the output head: std 1/sqrt({width}) makes the logits RMS 1")
    return Decision(Normal(std), "embedding: rows of RMS 1, the scale that the layers behind it expect")
