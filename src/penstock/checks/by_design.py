"""What is zero by design, and which signals are constant because of it.

A zero weight is right where its zero signal ends in something that is alive without it: a sum with another signal
(last layer of a residual branch, LoRA's B, a zero convolution, a position), a gate or an average with another signal
(adaptive norms, queries), or the model's output (a zero head). A zero scale is right where its product ends so. It is
wrong where the zeros meet a further weight: nothing comes out, and nothing tells the units apart.
"""

from __future__ import annotations

import math

from penstock.graph import Graph, Node
from penstock.signals import Measured, ParameterStats

_ALWAYS = frozenset({"bias", "offset", "position"})
_FOLLOWED = frozenset({"weight", "embedding", "scale", "gate"})


def zero_by_design(measured: Measured) -> frozenset[str]:
    """Names of the parameters that are all zeros, and rightly so.

    Args:
        measured: the model's graph and numbers.

    Returns:
        Names of biases, norm offsets and positions that are zero; of weights, embeddings and scales whose zeros end in
        a living sum, gate or average, or in the model's output. Parameters that nothing used are left out.
    """
    graph = measured.graph
    found: set[str] = set()
    for name, parameter in measured.parameters.items():
        users = graph.users(name)
        if parameter.rms != 0.0 or parameter.nonfinite_share > 0 or not users:
            continue
        followed = parameter.role in _FOLLOWED and all(_ends_well(measured, node, parameter) for node in users)
        if followed or parameter.role in _ALWAYS:
            found.add(name)
    return frozenset(found)


def constant_by_design(measured: Measured) -> frozenset[int]:
    """Numbers of the signals that cannot depend on the input, because a zero weight or scale that is right makes them.

    Args:
        measured: the model's graph and numbers.

    Returns:
        Numbers of such signals: what a zero head, a zero-gamma norm or a zero branch makes, until it joins another.
    """
    zeros = {n for n in zero_by_design(measured) if measured.parameters[n].role in _FOLLOWED}
    constant: set[int] = set()
    if not zeros:
        return frozenset()
    for node in measured.graph.nodes:
        alive = [i for i in node.inputs if i not in constant]
        if any(name in zeros for name in node.parameters):
            # A recurrent cell has several weights: it is constant only if all that multiply a signal are zero.
            weights = [n for n in node.parameters if _multiplies(measured, n)]
            if all(n in zeros for n in weights):
                constant.add(node.index)
            continue
        zeroed = node.kind == "gate" and any(_is_zero(measured, i) for i in node.inputs if i in constant)
        if zeroed or (node.inputs and not alive):
            constant.add(node.index)
    return frozenset(constant)


def _multiplies(measured: Measured, name: str) -> bool:
    parameter = measured.parameters.get(name)
    return parameter is not None and parameter.role in _FOLLOWED


def _is_zero(measured: Measured, index: int) -> bool:
    signal = measured.signals[index]
    return signal is not None and signal.rms == 0.0


def _is_alive(measured: Measured, index: int) -> bool:
    """Whether a signal holds numbers other than zero (integers count: they are indices)."""
    signal = measured.signals[index]
    return signal is None or (math.isfinite(signal.rms) and signal.rms > 0.0)


def _ends_well(measured: Measured, start: Node, parameter: ParameterStats) -> bool:
    """Follows the constant signal of one zero parameter to all of its ends."""
    graph = measured.graph
    if start.kind == "sum":
        return True  # added to a signal: a position, whatever its role is called
    if _multiplies_others(measured, start, parameter):
        # Other weights of the same node (input weights of a recurrent cell) keep its signal alive.
        return False
    constant: set[int] = {start.index}
    may_cross = _is_low_rank(graph, start, parameter)
    front = [start.index]
    while front:
        index = front.pop()
        if index in graph.outputs:
            continue
        for reader in (graph.nodes[c] for c in graph.consumers[index]):
            if reader.index in constant or _joins(measured, reader, constant):
                continue
            if reader.kind == "contraction":
                if may_cross and _joins_after(measured, reader):
                    continue
                return False
            constant.add(reader.index)
            front.append(reader.index)
    return True


def _multiplies_others(measured: Measured, node: Node, parameter: ParameterStats) -> bool:
    return node.kind == "contraction" and any(
        _multiplies(measured, n) and measured.parameters[n].rms > 0 for n in node.parameters if n != parameter.name
    )


def _joins(measured: Measured, node: Node, constant: set[int]) -> bool:
    """Whether a constant signal ends here: another operand is alive, and so is the result."""
    if node.kind not in ("sum", "gate", "mix"):
        return False
    others = [i for i in node.inputs if i not in constant]
    return any(_is_alive(measured, i) for i in others) and _is_alive(measured, node.index)


def _is_low_rank(graph: Graph, node: Node, parameter: ParameterStats) -> bool:
    """Whether a zero weight is the first of a low-rank pair (LoRA's A where B is drawn)."""
    geometry = parameter.geometry
    if geometry is None or not geometry.is_weight or node.kind != "contraction":
        return False
    rank = math.prod(geometry.shape[a] for a in geometry.out_axes)
    wide = math.prod(geometry.shape[a] for a in geometry.in_axes)
    return 2 * rank <= wide


def _joins_after(measured: Measured, node: Node) -> bool:
    """Whether a weight on zeros, drawn and without a function behind it, ends in a living sum."""
    graph = measured.graph
    if not any(_multiplies(measured, n) and measured.parameters[n].rms > 0 for n in node.parameters):
        return False
    index = node.index
    while len(graph.consumers[index]) == 1:
        reader = graph.nodes[graph.consumers[index][0]]
        if reader.kind == "sum":
            return _joins(measured, reader, {index})
        if reader.kind not in ("move", "gate", "pointwise"):
            return False
        index = reader.index
    return False
