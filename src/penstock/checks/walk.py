"""Walks along the trunk: how much of a signal, of its gradient and of the inputs' differences each node passes on.

Only nodes whose effect is the weights' doing are charged. What an average over pixels, a slice or a concatenation does
to an RMS is no fault of an initialization, so those steps count as if nothing had happened. Levels are decades.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from penstock.checks.thresholds import COSINE_NOISE, NORM_CHARGE, NORM_RESTORES
from penstock.graph import Graph
from penstock.signals import Measured, SignalStats

FORWARD_CHARGED = frozenset({"contraction", "pointwise", "sum", "gate", "norm"})
NOTHING = -math.inf


@dataclass(frozen=True, slots=True)
class Level:
    """Where one signal stands, in decades.

    Attributes:
        index: number of the signal.
        below: decades below the highest level so far; -inf where the signal is exactly 0.
        above: decades above the lowest level so far.
        stretch: number of the stretch between two norms that it lies in.
    """

    index: int
    below: float
    above: float
    stretch: int = 0


def tail_signals(graph: Graph) -> frozenset[int]:
    """The signals behind the last weights: the heads' outputs and what is made of them.

    Heads are often small on purpose, and what they put out has checks of its own.
    """
    tail: set[int] = set()
    for node in reversed(graph.nodes):
        readers = [graph.nodes[c] for c in graph.consumers[node.index]]
        ends = node.index in graph.outputs or bool(readers)
        if ends and all(r.index in tail and r.kind != "contraction" for r in readers):
            tail.add(node.index)
    return frozenset(tail & graph.live)


def forward_levels(measured: Measured) -> list[Level]:
    """RMS along the trunk, relative to the largest and the smallest RMS before it in the same stretch.

    A norm whose output has its size back opens a new stretch. Data come in units of their own (pixels of 0 to 255):
    what brings them down to a size of 1, up to the first weights, loses nothing.
    """
    levels: list[Level] = []
    level, stretch, previous = 0.0, 0, _input_rms(measured)
    data = True
    high = low = 0.0
    for index in measured.graph.trunk:
        signal, node = measured.signals[index], measured.graph.nodes[index]
        if signal is None or not math.isfinite(signal.rms) or signal.nonfinite_share > 0:
            previous = None
            continue
        if signal.rms == 0.0:
            levels.append(Level(index, NOTHING, 0.0, stretch))
            break
        if node.kind == "norm" and signal.rms >= NORM_RESTORES:
            stretch += 1
            level = high = low = 0.0
        elif previous is not None and node.kind in FORWARD_CHARGED:
            level += math.log10(signal.rms / (min(previous, max(1.0, signal.rms)) if data else previous))
        data = data and node.kind not in ("contraction", "norm")
        previous = signal.rms
        high, low = max(high, level), min(low, level)
        levels.append(Level(index, level - high, level - low, stretch))
    return levels


def backward_levels(measured: Measured) -> list[Level]:
    """Gradient norms along the trunk from the output to the input, relative to those nearer the output."""
    tail = tail_signals(measured.graph)
    levels: list[Level] = []
    level = high = low = 0.0
    previous: float | None = None
    maker = -1
    for index in reversed(measured.graph.trunk):
        signal = measured.signals[index]
        norm = gradient_norm(signal)
        if norm is None or not math.isfinite(norm):
            previous, maker = None, index
            continue
        if norm == 0.0:
            levels.append(Level(index, NOTHING, 0.0))
            break
        charged = maker >= 0 and maker not in tail and measured.graph.nodes[maker].kind in FORWARD_CHARGED
        if previous is not None and charged:
            step = math.log10(norm / previous)
            # A norm divides the gradient by the size of its input: that is one step, however large, and no growth
            # with depth. An embedding of N(0, 0.02), or a token of zeros, would else look like an explosion.
            level += min(step, NORM_CHARGE) if _feeds_norm(measured.graph, index) else step
        previous, maker = norm, index
        high, low = max(high, level), min(low, level)
        levels.append(Level(index, level - high, level - low))
    return levels


def _feeds_norm(graph: Graph, index: int) -> bool:
    return any(graph.nodes[c].kind == "norm" for c in graph.consumers[index])


def difference_levels(measured: Measured) -> list[Level]:
    """1 - cosine between inputs along the trunk, relative to where they differed most."""
    levels: list[Level] = []
    level = high = low = 0.0
    previous = _input_difference(measured)
    for index in measured.graph.trunk:
        now = difference(measured.signals[index])
        if now is None:
            continue
        if previous is not None and measured.graph.nodes[index].kind in FORWARD_CHARGED:
            level += math.log10(now / previous)
        previous = now
        high, low = max(high, level), min(low, level)
        levels.append(Level(index, level - high, level - low))
    return levels


def gradient_norm(signal: SignalStats | None) -> float | None:
    """Euclidean norm of the gradient with respect to a signal; None where no gradient came."""
    if signal is None or signal.grad_rms is None:
        return None
    return signal.grad_rms * math.sqrt(math.prod(signal.shape))


def difference(signal: SignalStats | None) -> float | None:
    """1 - mean cosine between the batch's inputs, no less than rounding; None where it was not measured."""
    if signal is None or signal.correlation is None or not math.isfinite(signal.correlation) or signal.rms == 0.0:
        return None
    return max(1.0 - signal.correlation, COSINE_NOISE)


def last_run(levels: list[Level], wrong: Callable[[Level], bool]) -> list[Level]:
    """The levels from the first one since which every one is wrong, to the end; empty where the end is right."""
    run: list[Level] = []
    for level in reversed(levels):
        if not wrong(level):
            break
        run.append(level)
    return run[::-1]


def inputs_differ(measured: Measured, least: float) -> bool:
    """Whether some signal that depends on the input tells the batch's inputs apart."""
    live = measured.graph.live
    found = (difference(s) for i, s in enumerate(measured.signals) if i in live)
    return any(d is not None and d > least for d in found)


def _input_rms(measured: Measured) -> float | None:
    sizes = [s.rms for n, s in zip(measured.graph.nodes, measured.signals, strict=True) if n.kind == "input" and s]
    sizes = [size for size in sizes if math.isfinite(size) and size > 0]
    return max(sizes) if sizes else None


def _input_difference(measured: Measured) -> float | None:
    found = [difference(s) for n, s in zip(measured.graph.nodes, measured.signals, strict=True) if n.kind == "input"]
    known = [d for d in found if d is not None]
    return max(known) if known else None
