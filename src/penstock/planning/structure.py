"""Facts of a graph that the rules ask for: what feeds a contraction, what it feeds, and how deep its stack is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from penstock.checks.by_design import zero_by_design
from penstock.graph import Graph, Node, ancestors, streams
from penstock.planning.rounding import DIGITS_OF_FUNCTIONS, rounded
from penstock.planning.stacks import SHAPED_DEPTH, ZETA, Use, function_behind, uses, why_not_centred
from penstock.signals import Measured

PLAIN: frozenset[str] = frozenset({"move", "pointwise", "mix"})
"""Kinds that neither renormalise nor bypass: a stack joined by these alone is plain."""

REWRITES: frozenset[str] = frozenset({"move", "pointwise", "mix", "sum", "gate"})
"""Kinds that make data of data: what a model does to a batch before its first weights."""

ALIKE: frozenset[str] = frozenset({"pointwise", "gate", "norm"})
"""Kinds whose output has a size that follows from what they are: side by side, several have that of one."""

POSITION_SHARE = 0.5
"""Positions against tokens: to be seen beside the tokens and not to drown them. Half is 1/5 of the sum's variance."""

_NORMAL = np.linspace(-6.0, 6.0, 241)
_PROBABILITY = np.exp(-0.5 * _NORMAL**2) / np.exp(-0.5 * _NORMAL**2).sum()


@dataclass(frozen=True)
class Structure:
    """What the rules know of a graph.

    Attributes:
        measured: the graph and its numbers.
        zeta: how much shaped functions may stretch small differences, from the first to the last together.
        shaped_depth: of how many functions on a stack is shaped.
    """

    measured: Measured
    zeta: float = ZETA
    shaped_depth: float = SHAPED_DEPTH

    @property
    def graph(self) -> Graph:
        """The graph itself."""
        return self.measured.graph

    def feed(self, node: Node) -> Node | None:
        """What makes a contraction's input: the first node behind it that is no mere move; None without a signal.

        Of signals that are put side by side (the states of a recurrent loop, branches) it is the last one where all of
        them are made alike.
        """
        if not node.inputs:
            return None
        source = self.graph.nodes[node.inputs[0]]
        while source.kind == "move" and source.inputs:
            made = [self._made(i) for i in dict.fromkeys(source.inputs)]
            if len({(m.kind, m.op) for m in made}) > 1 or (len(made) > 1 and made[-1].kind not in ALIKE):
                return source
            source = made[-1]
        return source

    def _made(self, index: int) -> Node:
        """The first node that is no move of one signal, from a node on."""
        source = self.graph.nodes[index]
        while source.kind == "move" and len(source.inputs) == 1:
            source = self.graph.nodes[source.inputs[0]]
        return source

    def is_data(self, node: Node) -> bool:
        """Whether a signal is the user's data, or made of them without weights and norms: rescaled, shifted, cut."""
        waiting, seen = [node.index], {node.index}
        while waiting:
            made = self.graph.nodes[waiting.pop()]
            if made.parameters or not (made.kind == "input" or (made.kind in REWRITES and made.inputs)):
                return False
            waiting += [i for i in made.inputs if i not in seen]
            seen.update(made.inputs)
        return True

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
        """The residual sum that a contraction or a norm is the last of a branch of; None if it is not."""
        return self._branch_ends.get(node.index)

    def sums_on_stream(self, residual: Node) -> int:
        """How many branches are added to the same stream, with no norm between the sums on the stream itself."""
        return self._streams.get(residual.index, (residual.index, 1))[1]

    def stream_rms(self, residual: Node) -> float:
        """RMS of a stream where it begins, before its first branch: branches are sized against it."""
        first = self.stream(residual)
        stream = next((s for total, s, _ in self._residual_parts if total.index == first), None)
        return 1.0 if stream is None else self._expected_rms(self.graph.nodes[stream])

    @cached_property
    def zeros(self) -> frozenset[str]:
        """Parameters that are all zeros and do no harm so."""
        return zero_by_design(self.measured)

    @cached_property
    def means_its_zeros(self) -> bool:
        """Whether the model has no weights of zeros but harmless ones."""
        parameters = self.measured.parameters.values()
        return all(p.rms != 0.0 or p.name in self.zeros for p in parameters if p.role == "weight" and p.uses)

    def depth(self, node: Node) -> int:
        """Number of contractions in the plain stack that this one belongs to."""
        return self._depths.get(node.index, 1)

    @cached_property
    def uses(self) -> dict[int, Use]:
        """How the function behind a contraction is used, of those that are shaped."""
        return {index: use for index, use in self._uses.items() if use is not None}

    @cached_property
    def _uses(self) -> dict[int, Use | None]:
        return uses(self.measured, self.zeta, self.shaped_depth)

    def shaping_notes(self) -> tuple[str, ...]:
        """What kept functions of deep stacks from being shaped, or from being shaped well."""
        notes: list[str] = []
        left = [self.graph.nodes[index] for index, use in self._uses.items() if use is None]
        if left:
            reader = function_behind(self.graph, left[0])
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            notes.append(
                f"{left[0].parameters[0]}{more}: the stack is deep, but "
                f"{reader.op if reader else 'its function'} has no place, with the biases that there are, that is "
                "straight enough to be shaped: exact gains instead."
            )
        why = why_not_centred(self.measured)
        if why is not None and self.uses:
            notes.append(f"No unit's mean is set, because {why}: deep stacks are shaped around zero, without biases.")
        return tuple(notes)

    @cached_property
    def use_by_reader(self) -> dict[int, Use]:
        """The same by the function's node."""
        return {use.reader: use for use in self.uses.values()}

    @cached_property
    def _residual_parts(self) -> tuple[tuple[Node, int, list[int]], ...]:
        """(sum, its stream operand, its branch operands) of each residual sum."""
        parts = []
        for index, operands in streams(self.graph.nodes).items():
            node = self.graph.nodes[index]
            parts.append((node, operands[0], [b for b in node.inputs if b != operands[0]]))
        return tuple(parts)

    @cached_property
    def _branch_ends(self) -> dict[int, Node]:
        return {end: total for total, _, branches in self._residual_parts for b in branches for end in self._ends(b)}

    def _ends(self, index: int, *, straight: bool = True) -> list[int]:
        """The last contractions or norms of what is added to a stream: several where it is a sum itself."""
        node = self.graph.nodes[index]
        if node.kind in ("contraction", "norm"):
            return [index]
        if node.kind in ("move", "pointwise", "gate") and len(node.inputs) == 1:
            return self._ends(node.inputs[0], straight=straight and node.kind == "move")
        if node.kind == "sum" and straight and not node.residual:
            return [end for i in node.inputs for end in self._ends(i)]
        return []

    def terms(self, node: Node) -> int:
        """How many weights or norms are added up with this one, side by side and not on a stream."""
        readers = self.readers(node)
        if len(readers) != 1 or readers[0].kind != "sum" or readers[0].residual:
            return 1
        ends = [self._ends(i) for i in readers[0].inputs]
        return sum(map(len, ends)) if all(ends) else 1

    def stream(self, residual: Node) -> int:
        """Number of the first sum on the same stream."""
        return self._streams.get(residual.index, (residual.index, 1))[0]

    @cached_property
    def _streams(self) -> dict[int, tuple[int, int]]:
        """Of each residual sum: the first one on its stream, and the number of branches on it."""
        stream_of: dict[int, int] = {}
        branches_on: dict[int, int] = {}
        for total, stream, branches in self._residual_parts:
            node = self.graph.nodes[stream]
            while node.kind in ("move", "pointwise") and len(node.inputs) == 1:
                node = self.graph.nodes[node.inputs[0]]
            first = stream_of[total.index] = stream_of.get(node.index, total.index)
            branches_on[first] = branches_on.get(first, 0) + max(1, sum(len(self._ends(b)) for b in branches))
        return {total: (first, branches_on[first]) for total, first in stream_of.items()}

    def _expected_rms(self, node: Node) -> float:
        """RMS that the plan gives a signal made of look-ups, data, norms, weights and functions of them; else 1."""
        if node.kind in ("move", "pointwise") and len(node.inputs) == 1:
            behind = self.graph.nodes[node.inputs[0]]
            return self._rms_behind(node, behind, self._expected_rms(behind))
        if node.kind == "sum" and not node.residual and len(node.inputs) > 1:
            return math.sqrt(sum(self._expected_rms(self.graph.nodes[i]) ** 2 for i in node.inputs))
        if node.kind == "sum" and len(node.inputs) == 1:
            return self._expected_rms(self.graph.nodes[node.inputs[0]])
        signal = self.measured.signals[node.index]
        if node.kind == "input" and signal is not None and math.isfinite(signal.rms) and signal.rms > 0.0:
            return rounded(signal.rms)
        if node.kind == "contraction" and node.geometry is not None and node.geometry.lookup:
            return self.table_std(node.parameters[0])
        shared = node.kind in ("contraction", "norm") and node.parameters  # a norm without a scale keeps its 1
        return self.terms(node) ** -0.5 if shared else 1.0

    def _rms_behind(self, node: Node, behind: Node, rms: float) -> float:
        """RMS behind a move or a function of a signal with this one. alpha x of a DeepNorm is no size of the stream."""
        if node.function is None or node.kind == "move":
            return rms
        if node.op == "scale":  # what multiplies an embedding (sqrt(width) in Gemma)
            table = behind.geometry is not None and behind.geometry.lookup
            return rms * abs(float(node.function(np.ones(1))[0])) if table else rms
        with np.errstate(all="ignore"):
            second = float(_PROBABILITY @ node.function(rms * _NORMAL) ** 2)
        return rounded(math.sqrt(second), DIGITS_OF_FUNCTIONS) if math.isfinite(second) and second > 0.0 else rms

    def table_std(self, name: str) -> float:
        """Std that a table of embeddings gets: 1, or 1/sqrt(width) where it is the head too; positions half of it."""
        nodes = self.graph.users(name)
        if any(n.inputs for n in nodes):
            tied = any(n.kind == "contraction" and n.geometry is not None and not n.geometry.lookup for n in nodes)
            return 1.0 / math.sqrt(self.measured.parameters[name].shape[-1]) if tied else 1.0
        beside = {i for n in nodes for r in self.readers(n) if r.kind == "sum" for i in r.inputs if i != n.index}
        tokens = [self._expected_rms(self.graph.nodes[i]) for i in beside if self._depends_on_data(i)]
        return POSITION_SHARE * max(tokens, default=1.0)

    def _depends_on_data(self, index: int) -> bool:
        return bool(self._ancestors[index])

    @cached_property
    def _ancestors(self) -> list[int]:
        return ancestors(self.graph.nodes)

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
