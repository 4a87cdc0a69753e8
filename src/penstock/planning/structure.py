"""Facts of a graph that the rules ask for: what feeds a contraction, what it feeds, and how deep its stack is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from penstock.graph import Graph, Node
from penstock.signals import Measured

PLAIN: frozenset[str] = frozenset({"move", "pointwise", "mix"})
"""Kinds that neither renormalise nor bypass: a stack joined by these alone is plain."""


@dataclass(frozen=True)
class Structure:
    """What the rules know of a graph.

    Attributes:
        measured: the graph and its numbers.
    """

    measured: Measured

    @property
    def graph(self) -> Graph:
        """The graph itself."""
        return self.measured.graph

    def feed(self, node: Node) -> Node | None:
        """What makes a contraction's input: the first node behind it that is no mere move; None without a signal."""
        if not node.inputs:
            return None
        source = self.graph.nodes[node.inputs[0]]
        while source.kind == "move" and len(source.inputs) == 1:
            source = self.graph.nodes[source.inputs[0]]
        return source

    def readers(self, node: Node) -> tuple[Node, ...]:
        """The nodes that read a signal, moves looked through."""
        found: dict[int, Node] = {}
        waiting = list(self.graph.consumers[node.index])
        while waiting:
            reader = self.graph.nodes[waiting.pop(0)]
            if reader.kind == "move":
                waiting.extend(self.graph.consumers[reader.index])
            else:
                found[reader.index] = reader
        return tuple(found[i] for i in sorted(found))

    def is_head(self, node: Node) -> bool:
        """Whether only the model's output lies ahead: no further weights, sums, gates or norms."""
        seen: set[int] = set()
        waiting = [node.index]
        while waiting:
            index = waiting.pop()
            for reader in self.graph.consumers[index]:
                if self.graph.nodes[reader].kind not in PLAIN | {"other"}:
                    return False
                if reader not in seen:
                    seen.add(reader)
                    waiting.append(reader)
        return node.index in self.graph.live and bool(({node.index} | seen) & set(self.graph.outputs))

    def branch_end(self, node: Node) -> Node | None:
        """The residual sum that a contraction is the last of a branch of; None if it is not."""
        return self._branch_ends.get(node.index)

    def sums_on_stream(self, residual: Node) -> int:
        """How many residual sums add to the same stream, with no norm between them on the stream itself."""
        return self._streams.get(residual.index, 1)

    def depth(self, node: Node) -> int:
        """Number of contractions in the plain stack that this one belongs to."""
        return self._depths.get(node.index, 1)

    @cached_property
    def _ancestors(self) -> list[int]:
        masks: list[int] = []
        for node in self.graph.nodes:
            mask = 0
            for source in node.inputs:
                mask |= masks[source] | 1 << source
            masks.append(mask)
        return masks

    def _residual_parts(self) -> Iterator[tuple[Node, int, list[int]]]:
        """(sum, its stream operand, its branch operands) of each residual sum."""
        for node in self.graph.nodes:
            if node.residual:
                streams = [a for a in node.inputs if any(self._ancestors[b] >> a & 1 for b in node.inputs)]
                yield node, streams[0], [b for b in node.inputs if b != streams[0]]

    @cached_property
    def _branch_ends(self) -> dict[int, Node]:
        ends: dict[int, Node] = {}
        for total, _, branches in self._residual_parts():
            for branch in branches:
                node = self.graph.nodes[branch]
                while node.kind in ("move", "pointwise", "gate") and len(node.inputs) == 1:
                    node = self.graph.nodes[node.inputs[0]]
                if node.kind == "contraction":
                    ends[node.index] = total
        return ends

    @cached_property
    def _streams(self) -> dict[int, int]:
        stream_of: dict[int, int] = {}
        for total, stream, _ in self._residual_parts():
            node = self.graph.nodes[stream]
            while node.kind in ("move", "pointwise") and len(node.inputs) == 1:
                node = self.graph.nodes[node.inputs[0]]
            stream_of[total.index] = stream_of.get(node.index, total.index)
        sizes = [*stream_of.values()]
        return {total: sizes.count(first) for total, first in stream_of.items()}

    @cached_property
    def _depths(self) -> dict[int, int]:
        stack_of: dict[int, int] = {}
        for node in self.graph.nodes:
            if node.kind == "contraction":
                before = self._plain_predecessor(node)
                stack_of[node.index] = node.index if before is None else stack_of.get(before.index, before.index)
        members = [*stack_of.values()]
        return {index: members.count(first) for index, first in stack_of.items()}

    def _plain_predecessor(self, node: Node) -> Node | None:
        """The contraction before this one in a plain stack, None where the stack starts or is not plain."""
        if not node.inputs or (node.geometry is not None and node.geometry.lookup):
            return None
        source = self.graph.nodes[node.inputs[0]]
        while source.kind in PLAIN and len(source.inputs) == 1:
            source = self.graph.nodes[source.inputs[0]]
        lookup = source.geometry is not None and source.geometry.lookup
        return source if source.kind == "contraction" and source.inputs and not lookup else None
