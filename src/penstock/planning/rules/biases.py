"""Biases: zero, but one for an LSTM's forget gate."""

from __future__ import annotations

from penstock.planning.site import Decision, Site
from penstock.recipes import Constant, PerBlock

FORGET_BIAS = 1.0
"""Jozefowicz et al. 2015, section 3: the forget gate must start open, or the gradient halves at every step."""


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
