"""What is not touched: frozen parameters, those the user names, and those that no other rule understands."""

from __future__ import annotations

from penstock.planning.site import Decision, Site


def kept(site: Site) -> Decision | None:
    """Frozen parameters and those in `keep`; and LoRA's pair, whose zero half is the point."""
    if site.keep:
        return Decision(None, "kept: you named it")
    if not site.stats.trainable:
        return Decision(None, "kept: frozen (requires no gradient)")
    leaf = site.name.lower()
    if "lora_" in leaf:
        return Decision(
            None, "kept: one factor of a LoRA pair, one of which is zero so that training starts at the base model"
        )
    return None


def left_over(site: Site) -> Decision | None:
    """Everything that no rule placed keeps its values, and says so."""
    if not site.nodes:
        return Decision(None, "kept: this batch never used it")
    return Decision(None, f"kept: no rule knows what it does in {site.nodes[0].op!r}")
