"""Biases: zero, but those of gates, which decide how long a memory lasts."""

from __future__ import annotations

from penstock.geometry import GRU_GATES, LSTM_GATES, Geometry
from penstock.graph import Node
from penstock.planning.site import Decision, Site
from penstock.recipes import Chrono, Constant, PerBlock
from penstock.signals import Measured

FORGET_BIAS = 1.0
"""Jozefowicz et al. 2015, section 3: the forget gate must start open, or the gradient halves at every step."""

OPEN = "lstm_open"
"""Kind of an LSTM that adds one to its forget gate in its own code: Haiku's, and convolutional ones of Flax."""

LONG = 32
"""A forget bias of one keeps a memory for exp(1) + 1 = 4 steps: sequences of at least this length get biases for
memories of all lengths up to theirs."""


def biases(site: Site) -> Decision | None:
    """Zero; in an LSTM 1 for the forget gate, in one of PyTorch's two biases only, since they are added."""
    if site.stats.role != "bias":
        return None
    node = site.node
    if node is None:
        return Decision(None, "kept: this batch never used it")
    geometry = _gates(site, node)
    if geometry is not None and geometry.block_names and set(geometry.block_names) <= set(LSTM_GATES):
        return _of_lstm(site, geometry)
    return Decision(Constant(0.0), "bias: zero")


def _of_lstm(site: Site, geometry: Geometry) -> Decision:
    names = geometry.block_names
    if not site.cell.endswith(".input"):
        return Decision(Constant(0.0), "second bias of the LSTM, added to the first: zero")
    if site.cell.startswith(OPEN):
        return Decision(Constant(0.0), "LSTM bias: zero, for the cell adds one to its forget gate itself")
    if "f" not in names:
        return Decision(Constant(0.0), "bias: zero")
    recipe = forget_open(geometry)
    if len(names) == 1:
        return Decision(recipe, "bias: forget gate open at one")
    return Decision(recipe, "LSTM bias: forget gate open at one, other gates zero")


def forget_open(geometry: Geometry) -> PerBlock:
    """One for the forget gate, zero for the others."""
    return PerBlock(tuple(FORGET_BIAS if gate == "f" else 0.0 for gate in geometry.block_names), geometry.blocks)


def long_memory(site: Site) -> Decision | None:
    """Gates of LSTMs and GRUs on long sequences: memories of all lengths up to that of the sequence.

    Source: Tallec & Ollivier 2018, section 2, https://arxiv.org/abs/1804.11188
    """
    node = site.node
    if site.stats.role != "bias" or node is None or not site.cell.endswith(".input"):
        return None
    geometry = _gates(site, node)
    steps = _steps(site, node)
    if geometry is None or steps is None or steps < LONG:
        return None
    names = geometry.block_names
    if sorted(names) == sorted(LSTM_GATES) and not site.cell.startswith(OPEN):
        recipe = Chrono(float(steps), remember=names.index("f"), write=names.index("i"))
        return Decision(recipe, f"LSTM bias: memories of all lengths up to {steps} steps (chrono)")
    if sorted(names) == sorted(GRU_GATES):
        recipe = Chrono(float(steps), gates=3, remember=names.index("z"), write=None)
        return Decision(recipe, f"GRU bias: memories of all lengths up to {steps} steps (chrono)")
    if names == ("z",):
        recipe = Chrono(float(steps), gates=1, remember=0, write=None)
        return Decision(recipe, f"GRU bias: memories of all lengths up to {steps} steps (chrono)")
    return None


def _gates(site: Site, node: Node) -> Geometry | None:
    """The geometry that shows the gates: the bias's own, or that of the weight beside it."""
    own = site.stats.geometry
    return own if own is not None and own.block_names else node.geometry


def _steps(site: Site, node: Node) -> int | None:
    """How many steps the layer runs: those of the sequence that it reads; a single cell's number of uses."""
    if "_cell" in node.op:
        return len(site.nodes)
    return _length(site.structure.measured, node.inputs[0]) if node.inputs else None


def _length(measured: Measured, index: int) -> int | None:
    """How many steps the sequence has that a signal is, or was cut from, or was made from step by step."""
    waiting, seen = [index], {index}
    while waiting:
        index = max(waiting)
        waiting.remove(index)
        node, shape = measured.graph.nodes[index], _shape(measured, index)
        before = [i for i in node.inputs if i not in seen]
        # Of a loop only the first steps are looked into: what it puts together again may be a part of its steps.
        joined = node.kind == "move" and any(len(_shape(measured, i)) < 3 for i in node.inputs)
        if len(shape) == 3 and not joined and measured.batch_size in shape[:2]:
            return shape[1] if shape[0] == measured.batch_size else shape[0]
        waiting += before
        seen.update(before)
    return None


def _shape(measured: Measured, index: int) -> tuple[int, ...]:
    signal = measured.signals[index]
    return () if signal is None else signal.shape
