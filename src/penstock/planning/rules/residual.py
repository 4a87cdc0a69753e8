"""The last weight of each residual branch: smaller, the more branches share a stream."""

from __future__ import annotations

import math

from penstock.graph import Node
from penstock.planning.rules.gains import incoming_gain
from penstock.planning.rules.shaped import mirrored_or_orthogonal, source_use
from penstock.planning.site import Decision, Site
from penstock.planning.structure import Structure
from penstock.recipes import VarianceScaling


def residual(site: Site) -> Decision | None:
    """Scale by 1/sqrt(number of branches on the stream), of what the stream has where it begins.

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
    gain, why = incoming_gain(site.structure, node)
    share, told = branch_share(site.structure, node, total)
    before = source_use(site.structure, node)
    if before is not None and not site.geometry.blocks:
        # Behind a shaped function the weights take its mean away, in the way that its units are arranged for.
        reason = f"last weight of a residual branch, {told}; it reads {before.name}, shaped"
        recipe = mirrored_or_orthogonal(site.structure, node, share)
        return Decision(recipe, reason, target=share, centre=0.0 if before.bias else None)
    reason = f"last weight of a residual branch, {told}; {why}"
    return Decision(VarianceScaling(gain * share, "fan_in", "normal"), reason, target=share)


def branch_share(structure: Structure, node: Node, total: Node) -> tuple[float, str]:
    """RMS that the end of a branch shall have, before a multiplier that the model has there, and why."""
    sums, begins = structure.sums_on_stream(total), structure.stream_rms(total)
    share = begins / math.sqrt(sums)
    told = f"{sums} sums on its stream: 1/sqrt({sums}) = {1.0 / math.sqrt(sums):.3g}"
    if begins != 1.0:
        told += f", of the {begins:.3g} that the stream begins with"
    factor = _multiplier(structure, node, total)
    if factor is None:
        return share, told
    told = f"{sums} sums on its stream, behind a multiplier of {factor:.3g} that learns"
    return (begins if factor * begins <= share else share / factor), told


def multiplied_branch(site: Site) -> Node | None:
    """The residual sum whose branch a parameter multiplies."""
    graph = site.structure.graph
    for first in site.nodes:
        node = first
        while node.kind in ("gate", "move", "pointwise") and len(graph.consumers[node.index]) == 1:
            node = graph.nodes[graph.consumers[node.index][0]]
        if node.kind == "sum" and node.residual:
            return node
    return None


def _multiplier(structure: Structure, node: Node, total: Node) -> float | None:
    """Product of the RMS of the parameters that multiply a branch behind its end; None where there are none."""
    found: float | None = None
    while node.index != total.index:
        readers = structure.graph.consumers[node.index]
        if len(readers) != 1:
            return found
        node = structure.graph.nodes[readers[0]]
        gates = [p for p in node.parameters if structure.measured.parameters[p].role == "gate"]
        if node.kind == "gate" and gates:
            found = math.prod([structure.measured.parameters[p].rms for p in gates], start=found or 1.0)
    return found
