"""Parameters that multiply a signal or are laid beside it: their values are the design's."""

from __future__ import annotations

from penstock.planning.rules.residual import multiplied_branch
from penstock.planning.site import Decision, Site


def multipliers(site: Site) -> Decision | None:
    """Kept: multipliers of residual branches (SkipInit, ReZero, layer scale), slopes, temperatures, learned tokens."""
    stats, node = site.stats, site.node
    if node is None:
        return None
    if stats.role == "gate":
        if multiplied_branch(site) is not None:
            value = f"its RMS is {stats.rms:.3g}"
            return Decision(None, f"kept: multiplier of a residual branch, {value}; the branch is sized with it")
        return Decision(None, "kept: multiplies a signal (a temperature, a gate): its value is a design choice")
    if stats.role == "other" and node.op == "prelu":
        return Decision(None, "kept: slopes of a PReLU")
    if stats.role == "other" and node.kind == "move":
        return Decision(None, "kept: laid beside the signal (a class token, a mask): its value is a design choice")
    return None
