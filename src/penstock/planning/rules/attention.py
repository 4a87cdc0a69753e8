"""Projections into attention: queries and keys, packed or not."""

from __future__ import annotations

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.site import Decision, Site
from penstock.recipes import Blocks, VarianceScaling
from penstock.recipes.recipe import Recipe


def attention_logits(site: Site) -> Decision | None:
    """Weights whose output goes into a product of signals or into attention: unit signals, block by block.

    With queries and keys of RMS 1 and the usual 1/sqrt(d) the logits have RMS 1: attention starts soft, but not flat.
    """
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction":
        return None
    readers = site.structure.readers(node)
    reached = [r for reader in readers for r in (reader, *site.structure.readers(reader))]
    if not any(r.op in ("matmul", "attention") for r in reached) or any(r.kind in ("norm", "sum") for r in readers):
        return None
    gain, why = incoming_gain(site.structure, node)
    recipe: Recipe = VarianceScaling(gain, "fan_in", "normal")
    blocks = len(site.geometry.blocks)
    if blocks:
        return Decision(Blocks((recipe,) * blocks), f"packed attention projections, each with its own fans: {why}")
    return Decision(recipe, f"attention projection: unit queries and keys give logits of RMS 1; {why}")
