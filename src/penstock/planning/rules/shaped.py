"""Deep plain stacks: kernel shaping in weights and biases alone."""

from __future__ import annotations

import math

import numpy as np

from penstock.graph import Node, ScalarFunction
from penstock.planning.rules.gains import incoming_gain
from penstock.planning.shaping import Shape, shape
from penstock.planning.site import Decision, Site
from penstock.planning.structure import Structure
from penstock.recipes import Orthogonal

SHAPED_DEPTH = 10
"""Plain stacks of at least this many weights are shaped: at ten layers of GELU two unrelated inputs already share
more than 0.9 of their direction, and exact gains cannot undo that."""

ZETA_LINEAR = 1.5
"""Slope of the whole stack's correlation map at 1: how non-linear it may be. Martens et al. 2021, section 5: 1.5."""

ZETA_WINDOW = 20.0
"""The same with convolutions: padding and pooling make 1.5 too straight to learn from (5 to 50 did equally well)."""

_PROBE = np.linspace(-6.0, 6.0, 97)


def shaped(site: Site) -> Decision | None:
    """Use each function of a deep plain stack where the stack as a whole keeps inputs apart.

    The layer's units get mean beta and standard deviation alpha on the data, by calibration; weights are orthogonal.
    Source: Martens et al. 2021, section 4, https://arxiv.org/abs/2110.01765
    """
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction" or not site.geometry.is_weight:
        return None
    structure = site.structure
    depth = structure.depth(node)
    function = _reader_function(structure, node)
    bias = any(structure.measured.parameters[p].role == "bias" for p in node.parameters[1:])
    if depth < SHAPED_DEPTH or function is None or not bias or site.geometry.blocks:
        return None
    zeta = ZETA_WINDOW if site.geometry.window_axes else ZETA_LINEAR
    found = _shape(function, zeta ** (1.0 / depth))
    if found is None:
        return None
    gain = found.alpha * _gain(structure, node, zeta ** (1.0 / depth))
    name = structure.readers(node)[0].op
    reason = (
        f"one of {depth} weights in a plain stack of {name}: kernel-shaped, orthogonal, units at "
        f"mean {found.beta:.3g} and std {found.alpha:.3g}, where {name} stretches small "
        f"differences by {found.slope:.4g} a layer (zeta {zeta:g})"
    )
    return Decision(Orthogonal(gain), reason, target=found.alpha, centre=found.beta)


def _reader_function(structure: Structure, node: Node) -> ScalarFunction | None:
    readers = structure.readers(node)
    return readers[0].function if len(readers) == 1 and readers[0].kind == "pointwise" else None


def _gain(structure: Structure, node: Node, slope: float) -> float:
    """Gain that makes up for the input: for a shaped function what varies of it, since its mean is centred away."""
    source = structure.feed(node)
    found = _shape(source.function, slope) if source is not None and source.function is not None else None
    if source is None or source.function is None or found is None:
        return incoming_gain(structure, node)[0]
    return 1.0 / math.sqrt(found.variance)


def _shape(function: ScalarFunction, slope: float) -> Shape | None:
    with np.errstate(all="ignore"):
        key = (function(_PROBE).tobytes(), slope)
    if key not in _CACHE:
        _CACHE[key] = shape(function, slope)
    return _CACHE[key]


_CACHE: dict[tuple[bytes, float], Shape | None] = {}
"""A stack has one function and many layers; functions that agree on 97 points have one shape."""
