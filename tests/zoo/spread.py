"""How far the sizes of signals and gradients spread with depth, after `penstock.initialize`.

A point is a place in depth: a residual sum, or the output of a weight that every path passes; of a weight in front
of a steep sine, the sine. Heads, which are small on purpose, and look-ups are none. What every path passes is one
group, each other stream (an encoder beside a decoder) another. A gradient's RMS is taken times the root of its size:
that is what a layer keeps that changes the number of units or places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from penstock.planning.initialization import Initialization
from penstock.planning.structure import Structure


@dataclass(frozen=True)
class Spread:
    """Largest over smallest RMS of signals and of gradients in the worst group, and the number of points."""

    forward: float
    backward: float
    points: int


def spread(done: Initialization) -> Spread:
    """Measure it on the report after."""
    measured = done.after.measured
    forward, backward, count = 1.0, 1.0, 0
    for group in points(done).values():
        signals = [s for i in group if (s := measured.signals[i]) is not None]
        count += len(signals)
        forward = max(forward, _ratio([s.rms for s in signals]))
        sizes = [s.grad_rms * math.sqrt(math.prod(s.shape)) for s in signals if s.grad_rms is not None]
        backward = max(backward, _ratio(sizes))
    return Spread(forward, backward, count)


def points(done: Initialization) -> dict[int, list[int]]:
    """Group -> numbers of the signals to compare; group -1 is what every path passes."""
    measured = done.after.measured
    structure, graph = Structure(measured), measured.graph
    ends = [structure.branch_end(n) for n in graph.nodes if n.kind in ("contraction", "norm")]
    sums = {total.index: structure.stream(total) for total in ends if total is not None}
    # Of what the model returns besides (a layer's features), paths end early: they go around nothing.
    trunk = set(replace(graph, outputs=(max(graph.outputs),)).trunk)
    groups = dict[int, list[int]]()
    for node in graph.nodes:
        lookup = node.geometry is not None and node.geometry.lookup
        weight = node.kind == "contraction" and node.index in trunk and not lookup and not structure.is_head(node)
        if not weight and not (node.index in sums and node.index in graph.live):
            continue
        readers = structure.readers(node)
        steep = weight and (
            done.plan[node.parameters[0]].rule == "sines" or [r.op for r in readers[:2]] == ["cos", "sin"]
        )
        number = readers[0].index if steep else node.index
        groups.setdefault(-1 if node.index in trunk else sums[node.index], []).append(number)
    return groups


def _ratio(values: list[float]) -> float:
    if not any(values):
        return 1.0  # no points; or no gradient anywhere, behind a head that is zero by design
    return max(values) / min(values) if min(values) > 0.0 else math.inf
