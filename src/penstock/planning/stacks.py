"""Which functions of a graph can be shaped, and how much each may bend: the network's maximal slope, from the graph.

Martens et al. 2021 (https://arxiv.org/abs/2110.01765, section 4.2 and appendix H): let every shaped function stretch
small differences by the same chi. What a signal has been stretched by then follows through the graph:

    contraction, move, pooling   as what they read        function        chi times what it reads
    sum, concatenation           mean of the operands     residual sum    (1 - s) stream + s branch, s its share
    product                      sum of the operands      norm            1: a new stack begins

chi is chosen so that nothing in the graph, and no residual branch for itself, is stretched by more than zeta. A plain
stack of n functions gets zeta^(1/n); 100 residual blocks of two get about what a single block does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penstock.geometry import Geometry
from penstock.graph import Graph, Node, streams
from penstock.planning.rounding import DIGITS_OF_FUNCTIONS, rounded_fields
from penstock.planning.shaping import Shape, shape
from penstock.signals import Measured

ZETA = 1.5
"""How much the whole network may stretch small differences at the start. Martens et al. 2021, section 5: 1.5."""

SHAPED_DEPTH = 8.0
"""Stacks that count for at least this many functions are shaped. Ten layers of GELU with exact gains already bring
unrelated inputs within an angle of 25 degrees; at four, a shaped start and exact gains train alike."""

MIN_BATCH = 8
"""Fewer inputs do not tell a unit's mean: centring on them would take the signal away with the mean."""

ALIKE = 1.0 - 1e-6
"""Inputs with at least this mean cosine are one input."""

KEEPS_UNITS = frozenset("native_dropout dropout mask constant_pad_nd pad reflection_pad2d".split())
"""Moves after which units are where they were."""

_PROBE = np.linspace(-6.0, 6.0, 97)


@dataclass(frozen=True, slots=True)
class Use:
    """How the function behind a contraction is used.

    Attributes:
        shape: where on its curve.
        name: the function's.
        depth: as how many functions in a plain stack its part of the graph counts.
        bias: whether the contraction has a bias that can be set.
        reader: the function's node.
    """

    shape: Shape
    name: str
    depth: float
    bias: bool
    reader: int


def uses(measured: Measured, zeta: float = ZETA, shaped_depth: float = SHAPED_DEPTH) -> dict[int, Use | None]:
    """How each function of a deep stack is used, by the contraction in front of it; None where it has no good place."""
    graph = measured.graph
    behind = {n.index: f for n in graph.nodes if _is_layer(n) and (f := function_behind(graph, n)) is not None}
    slopes = _chosen_slopes(graph, frozenset(f.index for f in behind.values()), zeta)
    can_centre = why_not_centred(measured) is None
    found: dict[int, Use | None] = {}
    for index, reader in behind.items():
        chi = slopes[reader.index]
        depth = math.log(zeta) / math.log(chi)
        if depth >= shaped_depth - 1e-6:
            node = graph.nodes[index]
            bias = can_centre and any(_is_free_bias(measured, p) for p in node.parameters[1:])
            place = _shape(reader, chi, mirror=_can_mirror(graph, node, reader), bias=bias)
            found[index] = None if place is None else Use(place, reader.op, depth, bias, reader.index)
    return found


def why_not_centred(measured: Measured) -> str | None:
    """What keeps this batch from telling the mean of each unit; None where it can."""
    if measured.batch_size is not None and measured.batch_size < MIN_BATCH:
        return f"the batch has {measured.batch_size} inputs, fewer than {MIN_BATCH}"
    inputs = [s for n in measured.graph.nodes if n.kind == "input" and (s := measured.signals[n.index]) is not None]
    if inputs and all(s.rms == 0.0 or (s.correlation is not None and s.correlation > ALIKE) for s in inputs):
        return "all inputs of the batch are the same"
    return None


def function_behind(graph: Graph, node: Node) -> Node | None:
    """The function that reads a contraction, and nothing else does; moves and pooling looked through."""
    found: list[Node] = []
    waiting = [node.index]
    while waiting:
        index = waiting.pop()
        if index in graph.outputs:
            return None
        for reader in (graph.nodes[i] for i in graph.consumers[index]):
            if reader.kind == "pointwise" and reader.function is not None:
                found.append(reader)
            elif _keeps_units(reader):
                waiting.append(reader.index)
            else:
                return None
    return found[0] if found and len({_key(f) for f in found}) == 1 else None


def _is_layer(node: Node) -> bool:
    geometry = node.geometry
    return (
        node.kind == "contraction"
        and bool(node.inputs)
        and geometry is not None
        and geometry.is_weight
        and not geometry.lookup
        and not geometry.blocks
    )


def _is_free_bias(measured: Measured, name: str) -> bool:
    stats = measured.parameters.get(name)
    return stats is not None and stats.role == "bias" and stats.trainable


def _keeps_units(node: Node) -> bool:
    pool = node.kind == "mix" and ("pool" in node.op or node.op == "mean")
    return len(node.inputs) == 1 and (pool or (node.kind == "move" and node.op in KEEPS_UNITS))


def _can_mirror(graph: Graph, node: Node, function: Node) -> bool:
    """Whether units may come in pairs of opposite sign: all readers are contractions that see them in this order."""
    units = _units(node.geometry, outputs=True)
    if units is None or units % 2 or len(graph.users(node.parameters[0])) > 1:
        return False
    if function_count(graph, node) > 1 or function.index in graph.outputs:
        return False
    readers = 0
    waiting = [function.index]
    while waiting:
        for reader in (graph.nodes[i] for i in graph.consumers[waiting.pop()]):
            if _keeps_units(reader):
                waiting.append(reader.index)
            elif _is_layer(reader) and (_units(reader.geometry, outputs=False) or 1) % units == 0:
                readers += 1
            else:
                return False
    return readers > 0


def function_count(graph: Graph, node: Node) -> int:
    """How many functions read a contraction."""
    return sum(1 for i in graph.consumers[node.index] if graph.nodes[i].kind == "pointwise")


def _units(geometry: Geometry | None, *, outputs: bool) -> int | None:
    """Units that a weight makes or reads; None where groups keep some apart."""
    if geometry is None or geometry.groups > 1 or geometry.batch_axes:
        return None
    return math.prod(geometry.shape[a] for a in (geometry.out_axes if outputs else geometry.in_axes))


def _chosen_slopes(graph: Graph, counted: frozenset[int], zeta: float) -> dict[int, float]:
    """Slope chi of each counted function: the same within what no norm cuts apart."""
    part = _parts(graph)
    sums = streams(graph.nodes)
    chosen: dict[int, float] = {}
    for root in {part[i] for i in counted}:
        members = [n for n in graph.nodes if part[n.index] == root]
        mine = counted & {n.index for n in members}
        residual = {i: operands[0] for i, operands in sums.items() if part[i] == root}
        inside = _inside(graph, residual)
        low, high = 0.0, math.log(zeta)  # of log chi: one function alone may bend by zeta
        for _ in range(30):
            middle = 0.5 * (low + high)
            fits = _largest(members, mine, residual, inside, math.exp(middle)) <= zeta * (1.0 + 1e-9)
            low, high = (middle, high) if fits else (low, middle)
        chosen |= dict.fromkeys(mine, math.exp(max(low, 1e-9)))
    return chosen


def _largest(
    members: Sequence[Node], counted: frozenset[int], residual: dict[int, int], inside: frozenset[int], chi: float
) -> float:
    """What anything in a part of the graph is stretched by at most; a branch's inside from the branch's beginning."""
    stretched: defaultdict[int, float] = defaultdict(lambda: 1.0)  # what begins outside has not been stretched
    sums_on: dict[int, int] = {}
    largest = 1.0
    for node in members:
        read = [stretched[i] for i in node.inputs]
        if node.kind == "norm" or not read:
            value = 1.0
        elif node.index in residual and len(read) > 1:
            stream = residual[node.index]
            branch = max(stretched[i] for i in node.inputs if i != stream)
            # Each branch has 1/n of the variance with which the stream begins: number k finds 1 + (k - 1)/n there.
            sums_on[node.index] = sums_on.get(stream, 0) + 1
            share = 1.0 / (len(residual) + sums_on[node.index])
            value = (1.0 - share) * stretched[stream] + share * branch
            largest = max(largest, branch / stretched[stream])
        else:
            value = math.fsum(read) / (1 if node.kind == "gate" else len(read))
            value *= chi if node.index in counted else 1.0
        stretched[node.index] = value
        largest = max(largest, 1.0 if node.index in inside else value)
    return largest


def _inside(graph: Graph, residual: dict[int, int]) -> frozenset[int]:
    """Nodes between a stream and the sum that its branch comes back to."""
    inside: set[int] = set()
    for index, stream in residual.items():
        waiting = [i for i in graph.nodes[index].inputs if i != stream]
        while waiting:
            i = waiting.pop()
            if i not in inside and i > stream:
                inside.add(i)
                waiting.extend(graph.nodes[i].inputs)
    return frozenset(inside)


def _parts(graph: Graph) -> list[int]:
    """For each node the first node of its part of the graph; norms and look-ups begin a new one."""
    parent = list(range(len(graph.nodes)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for node in graph.nodes:
        if node.kind != "norm" and not (node.geometry is not None and node.geometry.lookup):
            for source in node.inputs:
                if graph.nodes[source].kind != "input":
                    a, b = sorted((root(source), root(node.index)))
                    parent[b] = a
    return [root(i) for i in range(len(parent))]


def _key(reader: Node) -> bytes:
    with np.errstate(all="ignore"):
        return b"" if reader.function is None else reader.function(_PROBE).tobytes()


def _shape(reader: Node, slope: float, *, mirror: bool, bias: bool) -> Shape | None:
    if reader.function is None:
        return None
    key = (_key(reader), round(slope, 9), mirror, bias)
    if key not in _CACHE:
        found = shape(reader.function, slope, mirror=mirror, bias=bias)
        _CACHE[key] = None if found is None else rounded_fields(found, DIGITS_OF_FUNCTIONS)
    return _CACHE[key]


_CACHE: dict[tuple[bytes, float, bool, bool], Shape | None] = {}
"""A stack has one function and many layers; functions that agree on 97 points have one shape."""
