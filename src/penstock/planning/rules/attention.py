"""Projections into attention: queries and keys, packed or not."""

from __future__ import annotations

import math

import numpy as np

from penstock.graph import Node
from penstock.planning.rounding import DIGITS_OF_FUNCTIONS, rounded
from penstock.planning.rules.gains import incoming_gain
from penstock.planning.site import Decision, Site
from penstock.planning.structure import Structure
from penstock.recipes import Blocks, VarianceScaling
from penstock.recipes.recipe import Recipe

TOO_LARGE = 1.5
"""Logits of unit queries and keys above this RMS were meant to be made smaller by the weights (T5 has no 1/sqrt(d))."""


def attention_logits(site: Site) -> Decision | None:
    """Weights whose output goes into a product of signals or into attention: unit signals, block by block.

    With queries and keys of RMS 1 and the usual 1/sqrt(d) the logits have RMS 1: attention starts soft, but not flat.
    Where the model has no such factor, the queries' weights take it over.
    """
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction":
        return None
    readers = _readers(site.structure, node)
    reached = [r for reader in readers for r in (reader, *site.structure.readers(reader))]
    if not any(r.op in ("matmul", "attention") for r in reached) or any(r.kind in ("norm", "sum") for r in readers):
        return None
    gain, why = incoming_gain(site.structure, node)
    blocks = len(site.geometry.blocks)
    size = 1.0 if blocks else _query_size(site.structure, node)
    if size != 1.0:
        why += f"; this model has no 1/sqrt(d) in its attention, so the queries have RMS {size:.3g}"
    recipe: Recipe = VarianceScaling(gain * size, "fan_in", "normal")
    if blocks:
        return Decision(Blocks((recipe,) * blocks), f"packed attention projections, each with its own fans: {why}")
    reason = f"attention projection: unit queries and keys give logits of RMS 1; {why}"
    return Decision(recipe, reason, target=None if size == 1.0 else size)


def _readers(structure: Structure, node: Node) -> tuple[Node, ...]:
    """What reads a signal, behind its bias where that is added by an operation of its own."""
    found = structure.readers(node)
    if len(found) == 1 and found[0].kind == "sum" and len(found[0].inputs) == 1:
        return structure.readers(found[0])
    return found


def _query_size(structure: Structure, node: Node) -> float:
    """1, or 1/sqrt(d) for the queries of an attention without that factor."""
    graph, scale = structure.graph, 1.0
    while True:
        ahead = [graph.nodes[c] for c in graph.consumers[node.index]]
        if len(ahead) != 1 or ahead[0].kind not in ("pointwise", "move", "gate"):
            return 1.0
        if ahead[0].kind == "gate":
            break
        node = ahead[0]
        scale *= _factor(node)
    logits = ahead[0]
    if logits.op != "matmul" or logits.inputs[0] != node.index or len(logits.inputs) != 2:
        return 1.0
    size = _summed(structure, logits)
    if size is None:
        return 1.0
    behind = logits
    while len(graph.consumers[behind.index]) == 1 and behind.op != "softmax":
        behind = graph.nodes[graph.consumers[behind.index][0]]
        scale *= _factor(behind)
    scale *= _factor(graph.nodes[logits.inputs[1]]) * math.sqrt(size)
    return rounded(1.0 / scale, DIGITS_OF_FUNCTIONS) if behind.op == "softmax" and scale > TOO_LARGE else 1.0


def _summed(structure: Structure, logits: Node) -> float | None:
    """Terms of each product of a query and a key: the head size, which a view of all heads' queries does not show.

    Logits (heads, queries, keys) of signals (heads, queries, d) and (heads, keys, d), the heads of all inputs counted;
    keys may be shared by several heads.
    """
    query, key, made = (structure.measured.signals[i] for i in (*logits.inputs, logits.index))
    if query is None or key is None or made is None or len(made.shape) < 2:
        return None
    heads, (queries, keys) = math.prod(made.shape[:-2]), made.shape[-2:]
    size, rest = divmod(math.prod(query.shape), max(1, heads * queries))
    held = math.prod(key.shape)
    return float(size) if size and not rest and held and heads * keys * size % held == 0 else None


def _factor(node: Node) -> float:
    return abs(float(node.function(np.ones(1))[0])) if node.op == "scale" and node.function is not None else 1.0
