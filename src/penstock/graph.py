"""What a network computes, in a vocabulary that no framework owns.

An adapter traces a model once and yields a `Graph`: nodes in the order in which they ran, each of a small
set of kinds. Node i makes signal i. Parameters are not nodes; a node lists those that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry

Kind = Literal["input", "contraction", "pointwise", "gate", "sum", "norm", "mix", "move", "other"]

ScalarFunction = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, or one region of operations that means one thing.

    Attributes:
        index: position in execution order; also the number of the signal that it makes.
        kind: "contraction" weights times signal (linear, convolution, look-up, recurrent cell) ·
            "pointwise" one scalar function of one signal · "gate" product of two signals, or of a signal and a
            parameter · "sum" addition of signals, or of a signal and a parameter · "norm" · "mix" convex average
            (softmax, attention average, pooling) · "move" reshape, slice, concatenate, pad, dropout ·
            "input" what the user gave · "other" anything else.
        op: the operation's own name, for people ("linear", "gelu", "layer_norm").
        inputs: numbers of the signals that it reads; a look-up reads its indices.
        path: where in the model it ran ("encoder.layers.3.mlp"); "" at the top.
        parameters: names of the parameters that it uses, the weight first.
        geometry: axis roles of the first parameter, for contractions.
        unit_axis: axis of the made signal that indexes units (channels), None where unknown.
        function: the scalar function of a pointwise node, float64 in and out, elementwise.
        residual: a sum one of whose operands, or what that one carries on (see `carried`), is an ancestor of another.
    """

    index: int
    kind: Kind
    op: str
    inputs: tuple[int, ...] = ()
    path: str = ""
    parameters: tuple[str, ...] = ()
    geometry: Geometry | None = None
    unit_axis: int | None = None
    function: ScalarFunction | None = field(default=None, compare=False)
    residual: bool = False


@dataclass(frozen=True)
class Graph:
    """The nodes in execution order, and which of them are the model's outputs."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    unknown_ops: tuple[str, ...] = ()

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each signal the nodes that read it, in order."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                readers[source].append(node.index)
        return tuple(tuple(r) for r in readers)

    @cached_property
    def live(self) -> frozenset[int]:
        """Signals that depend on an input and that an output depends on."""
        forward: set[int] = set()
        for node in self.nodes:
            if node.kind == "input" or any(i in forward for i in node.inputs):
                forward.add(node.index)
        backward: set[int] = set(self.outputs)
        for node in reversed(self.nodes):
            if node.index in backward:
                backward.update(node.inputs)
        return frozenset(forward & backward)

    @cached_property
    def trunk(self) -> tuple[int, ...]:
        """Live signals that everything passes through: no path from an input to an output goes around them.

        In a plain network every signal, in a residual network the sums: where the signal dies here, it is dead.
        """
        reach = -1
        trunk: list[int] = []
        for node in self.nodes:
            if node.index not in self.live:
                continue
            if node.kind != "input" and reach <= node.index:
                trunk.append(node.index)
            ahead = [c for c in self.consumers[node.index] if c in self.live]
            if node.index in self.outputs:
                ahead.append(len(self.nodes))
            reach = max(reach, max(ahead, default=-1))
        return tuple(trunk)

    def users(self, parameter: str) -> tuple[Node, ...]:
        """The nodes that use a parameter, in order."""
        return self._users.get(parameter, ())

    @cached_property
    def _users(self) -> dict[str, tuple[Node, ...]]:
        table: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.parameters:
                table.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in table.items()}


def ancestors(nodes: Sequence[Node]) -> list[int]:
    """For each signal the set of signals that it depends on, as bits."""
    masks: list[int] = []
    for node in nodes:
        mask = 0
        for source in node.inputs:
            mask |= masks[source] | 1 << source
        masks.append(mask)
    return masks


def carried(nodes: Sequence[Node]) -> list[int]:
    """For each signal the set of signals that it holds unchanged but for their size, as bits.

    Itself, the operands of its sum, what it is a multiple of: alpha x + f(x) carries x on, as (x + f(x)) + g(x) does.
    """
    masks: list[int] = []
    for node in nodes:
        mask = 1 << node.index
        if node.kind == "sum" or (node.kind == "pointwise" and node.op in ("scale", "identity")):
            for source in node.inputs:
                mask |= masks[source]
        masks.append(mask)
    return masks


def streams(nodes: Sequence[Node]) -> dict[int, tuple[int, ...]]:
    """Of each residual sum the operands that are its stream: another operand is made from what they carry."""
    before, held = ancestors(nodes), carried(nodes)

    def feeds(a: int, b: int) -> bool:
        # What b itself carries is no reason: x + 2 x has no branch.
        return a != b and bool(before[b] >> a & 1 or before[b] & held[a] & ~held[b])

    found = (
        (n.index, tuple(a for a in n.inputs if any(feeds(a, b) for b in n.inputs))) for n in nodes if n.kind == "sum"
    )
    return {index: operands for index, operands in found if operands}


def with_residuals(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes with their residual sums marked."""
    residual = streams(nodes)
    return tuple(replace(node, residual=True) if node.index in residual else node for node in nodes)
