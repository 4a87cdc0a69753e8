"""The gain that makes up for what happened to a contraction's input."""

from __future__ import annotations

import math

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph import Node
from penstock.moments import Moments, moments
from penstock.planning.rounding import DIGITS_OF_FUNCTIONS, rounded, rounded_fields
from penstock.planning.structure import Structure

GAIN_RANGE = (0.05, 20.0)
"""A gain beyond these would amplify noise or drown the signal: the input is then not what the rule believes."""

_PROBE = np.linspace(-4.0, 4.0, 65)


def incoming_gain(structure: Structure, node: Node) -> tuple[float, str]:
    """Weight std times sqrt(fan_in) that gives this contraction's output RMS 1, and why.

    The input's RMS follows from what made it: a scalar function of a unit signal has sqrt(E[phi^2]), a norm has 1, the
    user's data what was measured, also where the model rescales them (pixels / 255).
    """
    source = structure.feed(node)
    if source is None:
        return 1.0, "its input is taken as a unit signal: gain 1"
    if structure.is_data(source):
        return _data_gain(structure, source)
    if source.kind == "pointwise" and source.function is not None:
        return _function_gain(structure, source)
    if source.kind == "gate":
        return _gate_gain(structure, source)
    if source.kind == "norm":
        return 1.0, "its input is normalised to RMS 1: gain 1"
    return 1.0, f"its input ({source.kind} {source.op}) is taken as a unit signal: gain 1"


def _function_gain(structure: Structure, source: Node) -> tuple[float, str]:
    found = function_moments(source)
    if found is None or not math.isfinite(found.gain_forward):
        return 1.0, f"{source.op} has no finite second moment: gain 1"
    gain = _clip(found.gain_forward)
    return gain, f"its input is {source.op} of a unit signal, E[phi^2]={found.second:.4g}: gain {gain:.4g}"


def _gate_gain(structure: Structure, source: Node) -> tuple[float, str]:
    """A product of independent unit signals and functions of them: second moments multiply."""
    second, names = 1.0, []
    for index in source.inputs:
        operand = structure.graph.nodes[index]
        while operand.kind == "move" and len(operand.inputs) == 1:
            operand = structure.graph.nodes[operand.inputs[0]]
        found = function_moments(operand) if operand.kind == "pointwise" else None
        if found is not None:
            second *= found.second
            names.append(operand.op)
    if len(source.inputs) == 1 and source.op == "glu":
        second, names = 0.293379035858, ["sigmoid"]  # E[sigmoid^2] at unit variance
    if second <= 0.0 or not names:
        return 1.0, "its input is a product of unit signals: gain 1"
    gain = _clip(1.0 / math.sqrt(second))
    return gain, f"its input is gated by {' and '.join(names)}, second moment {second:.4g}: gain {gain:.4g}"


def _data_gain(structure: Structure, source: Node) -> tuple[float, str]:
    signal = structure.measured.signals[source.index]
    if signal is None or not signal.rms > 0.0 or not math.isfinite(signal.rms):
        return 1.0, "its input is data of unknown scale: gain 1"
    gain = _clip(rounded(1.0 / signal.rms))
    return gain, f"its input is data of RMS {signal.rms:.3g}: gain {gain:.4g}"


def function_moments(node: Node) -> Moments | None:
    """Moments of a pointwise node's function at unit variance; None where it has none (it overflows, say)."""
    if node.function is None:
        return None
    with np.errstate(all="ignore"):
        values = node.function(_PROBE)
    key = (node.op, values.tobytes())
    if key not in _CACHE:
        try:
            # 1/2 stays 1/2; what goes are digits in which two frameworks' versions of one function differ.
            _CACHE[key] = rounded_fields(moments(node.function), DIGITS_OF_FUNCTIONS)
        except ArgumentError:
            _CACHE[key] = None
    return _CACHE[key]


_CACHE: dict[tuple[str, bytes], Moments | None] = {}
"""Functions that agree on 65 points have one set of moments: a model has few different ones and many layers."""


def _clip(gain: float) -> float:
    return min(max(gain, GAIN_RANGE[0]), GAIN_RANGE[1])
