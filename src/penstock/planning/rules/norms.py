"""Norms: scales one, offsets zero."""

from __future__ import annotations

from penstock.planning.site import Decision, Site
from penstock.recipes import Constant

ONE_PLUS = 0.5
"""A norm whose scale is stored as 0 and whose output still has at least this RMS multiplies by 1 + scale (Gemma)."""


def norms(site: Site) -> Decision | None:
    """Scale and offset of a normalisation layer: it starts as the identity behind the normalisation."""
    if site.stats.role == "offset":
        return Decision(Constant(0.0), "norm offset: starts at zero")
    if site.stats.role != "scale":
        return None
    if stored_from_one(site):
        return Decision(Constant(0.0), "norm scale stored as an offset from one: starts at zero")
    return Decision(Constant(1.0), "norm scale: starts at one")


def stored_from_one(site: Site) -> bool:
    """Whether the norm multiplies by 1 + scale."""
    node = site.node
    if site.stats.rms != 0.0 or node is None:
        return False
    signal = site.structure.measured.signals[node.index]
    return signal is not None and signal.rms > ONE_PLUS
