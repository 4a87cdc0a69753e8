"""Deep stacks: each function used where the network as a whole keeps inputs apart, by weights and biases alone."""

from __future__ import annotations

import math

from penstock.graph import Node
from penstock.planning.rules.gains import incoming_gain
from penstock.planning.site import Decision, Site
from penstock.planning.stacks import Use
from penstock.planning.structure import Structure
from penstock.recipes import BalancedOrthogonal, LooksLinear, Orthogonal
from penstock.recipes.recipe import Recipe
from penstock.recipes.structured import taps

ODD = 1e-4
"""Mean square of a function over its variance, below which it has no mean to speak of: tanh has none."""


def shaped(site: Site) -> Decision | None:
    """Use each function of a deep stack where it bends little, is centred, and its own mean is small.

    The layer's units get mean beta and standard deviation alpha on the data, by calibration; weights are orthogonal, in
    pairs of opposite sign where that lets more of the curve be used.
    Source: Martens et al. 2021, section 4, https://arxiv.org/abs/2110.01765; Balduzzi et al. 2017, section 4,
    https://arxiv.org/abs/1702.08591
    """
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction" or not site.geometry.is_weight:
        return None
    use = site.structure.uses.get(node.index)
    if use is None or node.parameters[0] != site.name:
        return None
    recipe = mirrored_or_orthogonal(site.structure, node, use.shape.alpha)
    return Decision(recipe, _reason(use, recipe), target=use.shape.alpha, centre=use.shape.beta if use.bias else None)


def mirrored_or_orthogonal(structure: Structure, node: Node, rms: float) -> Recipe:
    """Weights with outputs of this RMS: mirrored where the units in front or those that are made come in pairs."""
    before, mine = source_use(structure, node), structure.uses.get(node.index)
    gain = rms * (incoming_gain(structure, node)[0] if before is None else 1.0 / math.sqrt(before.shape.variance))
    reads, makes = before is not None and before.shape.mirrored, mine is not None and mine.shape.mirrored
    if reads:
        return LooksLinear("hidden" if makes else "last", gain)
    if makes:
        return LooksLinear("first", gain)
    # Only what reads a mean sees where the padding begins.
    padded = before is not None and before.shape.offset > ODD and _balances(node)
    return BalancedOrthogonal(gain) if padded else Orthogonal(gain)


def _balances(node: Node) -> bool:
    """Whether this is a convolution that can read a common mean of its inputs as zero."""
    geometry = node.geometry
    return geometry is not None and taps(geometry) > 1 and geometry.fans.fan_in > taps(geometry)


def source_use(structure: Structure, node: Node) -> Use | None:
    """The shaped function that a contraction reads, if it reads one."""
    if not node.inputs:
        return None
    source = structure.graph.nodes[node.inputs[0]]
    while source.kind in ("move", "mix") and len(source.inputs) == 1:
        source = structure.graph.nodes[source.inputs[0]]
    return structure.use_by_reader.get(source.index)


def _reason(use: Use, recipe: Recipe) -> str:
    place, name = use.shape, use.name
    pairs = ", in pairs of opposite sign" if isinstance(recipe, LooksLinear) else ""
    if isinstance(recipe, BalancedOrthogonal):
        pairs = ", outer taps balanced so that padding shows no border"
    text = (
        f"in a stack that counts for {use.depth:.3g} functions: orthogonal{pairs}, units at mean "
        f"{place.beta:.3g} and std {place.alpha:.3g}, where {name} stretches small differences by {place.slope:.4g}"
    )
    if not use.bias:
        text += "; with a bias that the batch can tell, each unit's mean would be taken away as well"
    return text
