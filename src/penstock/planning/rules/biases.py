"""Biases: zero, but those of gates, which decide how long a memory lasts."""

from __future__ import annotations

from penstock.geometry import Geometry
from penstock.graph import Node
from penstock.planning.site import Decision, Site
from penstock.recipes import Chrono, Constant, PerBlock

FORGET_BIAS = 1.0
"""Jozefowicz et al. 2015, section 3: the forget gate must start open, or the gradient halves at every step."""

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
    geometry = node.geometry
    if geometry is not None and geometry.block_names == ("i", "f", "g", "o"):
        if not node.op.endswith(".input"):
            return Decision(Constant(0.0), "second bias of the LSTM, added to the first: zero")
        values = tuple(FORGET_BIAS if gate == "f" else 0.0 for gate in geometry.block_names)
        return Decision(PerBlock(values, geometry.blocks), "LSTM bias: forget gate open at one, other gates zero")
    return Decision(Constant(0.0), "bias: zero")


def long_memory(site: Site) -> Decision | None:
    """Gates of LSTMs and GRUs on long sequences: memories of all lengths up to that of the sequence.

    Source: Tallec & Ollivier 2018, section 2, https://arxiv.org/abs/1804.11188
    """
    node = site.node
    if site.stats.role != "bias" or node is None or node.geometry is None or not node.op.endswith(".input"):
        return None
    steps = _steps(site, node)
    if steps is None or steps < LONG:
        return None
    names = node.geometry.block_names
    if names == ("i", "f", "g", "o"):
        return Decision(Chrono(float(steps)), f"LSTM bias: memories of all lengths up to {steps} steps (chrono)")
    if names == ("r", "z", "n"):
        recipe = Chrono(float(steps), gates=3, remember=1, write=None)
        return Decision(recipe, f"GRU bias: memories of all lengths up to {steps} steps (chrono)")
    return None


def _steps(site: Site, node: Node) -> int | None:
    """How many steps the layer runs: the batch's axis that is neither inputs nor features; a cell's number of uses."""
    if "_cell" in node.op:
        return len(site.nodes)
    measured = site.structure.measured
    for other in measured.graph.nodes:
        if other.path == node.path and other.op == node.op and other.inputs:
            signal = measured.signals[other.inputs[0]]
            if signal is not None and len(signal.shape) == 3 and _features(other.geometry) == signal.shape[-1]:
                first, second = signal.shape[:2]
                return second if first == measured.batch_size else first if second == measured.batch_size else None
    return None


def _features(geometry: Geometry | None) -> int | None:
    return None if geometry is None else geometry.shape[-1]
