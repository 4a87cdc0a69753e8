"""What schemes ask of a network beside its fans: attention's parts, residual branches, layers and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from penstock.graph import Node, ancestors, carried, streams
from penstock.planning.structure import Structure


@dataclass(frozen=True, slots=True)
class Branch:
    """One residual branch.

    Attributes:
        total: number of the sum that adds it to its stream.
        weights: numbers of the contractions in it, in order.
        attends: whether there is attention in it.
        decoder: whether it is in the part of the network that reads another one by cross-attention.
        layer: number of its layer in its part, from 1.
        order: number of the branch in its part, from 1.
    """

    total: int
    weights: tuple[int, ...]
    attends: bool
    decoder: bool
    layer: int
    order: int


@dataclass(frozen=True)
class BlockFacts:
    """The residual branches and attention parts of a graph."""

    structure: Structure

    @cached_property
    def attention(self) -> dict[int, frozenset[str]]:
        """Contraction -> which of query "q", key "k" and value "v" its output becomes; several if packed."""
        found: dict[int, set[str]] = {}
        for operands in self._attentions:
            for label, origins in operands.items():
                for index in origins:
                    found.setdefault(index, set()).add(label)
        return {index: frozenset(labels) for index, labels in found.items()}

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """Every residual branch that has weights, in order."""
        raw = self._raw_branches
        crossing = self._crossing
        before = ancestors(self.structure.graph.nodes)
        encoder = {total for total, _ in raw for _, k in crossing if before[k] >> total & 1}
        crossed = {q for q, _ in crossing}
        attending = {bool(encoder) and t not in encoder for t, weights in raw if self._attends(weights)}
        counts = {False: [0, 0], True: [0, 0]}
        made: list[Branch] = []
        for total, weights in raw:
            decoder = bool(encoder) and total not in encoder
            attends = self._attends(weights)
            starts = decoder not in attending or (attends and not crossed.intersection(weights))
            counts[decoder][0] += starts
            counts[decoder][1] += 1
            layer, order = counts[decoder]
            made.append(Branch(total, weights, attends, decoder, max(layer, 1), order))
        return tuple(made)

    @cached_property
    def _branch_of(self) -> dict[int, Branch]:
        return {index: branch for branch in self.branches for index in branch.weights}

    def branch(self, node: Node) -> Branch | None:
        """The branch that a contraction is in."""
        return self._branch_of.get(node.index)

    def layers(self, *, decoder: bool) -> int:
        """Number of layers of a part: of attention branches where there is attention, of all branches elsewhere."""
        return max((b.layer for b in self.branches if b.decoder == decoder), default=0)

    def sums(self, *, decoder: bool) -> int:
        """Number of branches of a part."""
        return max((b.order for b in self.branches if b.decoder == decoder), default=0)

    def branch_layers(self, branch: Branch) -> int:
        """Number of weights in a branch; packed query, key and value count as three (Fixup, issue 8)."""
        return sum(max(len(self.attention.get(i, ())), 1) for i in branch.weights)

    @cached_property
    def _attentions(self) -> tuple[dict[str, list[int]], ...]:
        """Of each attention the contractions that its queries, keys and values come from."""
        nodes = self.structure.graph.nodes
        found = (dict(_operands(nodes, node)) for node in nodes)
        return tuple({label: _origins(nodes, operand) for label, operand in each.items()} for each in found if each)

    @cached_property
    def _crossing(self) -> tuple[tuple[int, int], ...]:
        """(query, key) contractions that read different signals."""
        pairs = ((q, k) for each in self._attentions for q in each["q"] for k in each["k"])
        return tuple((q, k) for q, k in pairs if self._source(q) != self._source(k))

    def _source(self, index: int) -> int | None:
        source = self.structure.feed(self.structure.graph.nodes[index])
        return None if source is None else source.index

    @cached_property
    def _raw_branches(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(sum, the contractions in its branch): behind the last signal that stream and branch share."""
        nodes = self.structure.graph.nodes
        before, held = ancestors(nodes), carried(nodes)
        made: list[tuple[int, tuple[int, ...]]] = []
        for total, operands in streams(nodes).items():
            inside = 0
            for b in nodes[total].inputs:
                inside |= 0 if b == operands[0] else before[b] | 1 << b
            since = (inside & held[operands[0]]).bit_length()
            members = (i for i in range(since, total) if inside >> i & 1 and not held[operands[0]] >> i & 1)
            weights = tuple(i for i in members if nodes[i].kind == "contraction")
            if weights:
                made.append((total, weights))
        return tuple(made)

    def _attends(self, weights: Sequence[int]) -> bool:
        return any(index in self.attention for index in weights)


def _operands(nodes: Sequence[Node], node: Node) -> list[tuple[str, int]]:
    """(label, operand) of an attention: of one operation, or of a product with a softmax."""
    if node.op == "attention" and node.kind == "mix":
        inputs = node.inputs if len(node.inputs) >= 3 else (node.inputs * 3)[:3]
        return list(zip("qkv", inputs, strict=False))
    if node.kind != "mix" or node.op != "matmul" or len(node.inputs) != 2:
        return []
    weights, value = node.inputs
    logits = _logits(nodes, weights)
    if logits is None:
        return []
    inputs = logits.inputs if len(logits.inputs) == 2 else logits.inputs * 2
    return [("q", inputs[0]), ("k", inputs[1]), ("v", value)]


def _logits(nodes: Sequence[Node], index: int) -> Node | None:
    """The product of queries and keys that a softmax is taken of."""
    waiting, seen = [index], set[int]()
    while waiting:
        node = nodes[waiting.pop()]
        if node.kind == "gate" and node.op == "matmul":
            return node
        if node.index not in seen and node.kind in ("move", "mix", "pointwise", "sum"):
            seen.add(node.index)
            waiting.extend(reversed(node.inputs))
    return None


def _origins(nodes: Sequence[Node], index: int) -> list[int]:
    """The contractions that an operand of attention is cut, turned, normalised and scaled from."""
    found, waiting, seen = list[int](), [index], set[int]()
    while waiting:
        node = nodes[waiting.pop()]
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.kind == "contraction":
            if node.geometry is None or not node.geometry.lookup:
                found.append(node.index)
        elif node.kind in ("move", "pointwise", "norm", "sum") and not (node.kind == "sum" and node.residual):
            waiting.extend(node.inputs)
    return found
