"""Correct weights on real data: one compiled forward pass, each layer measured and mended as it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from penstock.graph import Node
from penstock.jax.trace.program import run
from penstock.jax.trace.tracer import Traced
from penstock.planning.plan import Calibration, Plan
from penstock.planning.rounding import rounded, rounded_each, rounded_to, rounded_within, step_of
from penstock.tracing.values import Weight

FACTOR_RANGE = (1e-3, 1e3)
"""A layer that needs a larger correction than this is not what the plan took it for: it is left and named."""


@dataclass
class Corrections:
    """What calibration found, as numbers of NumPy.

    Attributes:
        factors: weight -> what it is multiplied by.
        ratios: weight -> what each of its units is multiplied by before that, where each is scaled for itself.
        biases: bias -> its new values.
        notes: sentences about layers that could not be corrected.
        knobs: parameter -> the same factors, by what is multiplied: the weight, or the length of a normalised one.
    """

    factors: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, Any] = field(default_factory=dict)
    biases: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    knobs: dict[str, float] = field(default_factory=dict)

    def scale_of(self, name: str) -> float | None:
        """What a parameter is multiplied by, if it is the knob of a correction."""
        return self.knobs.get(name)


def calibrate(traced: Traced, plan: Plan, values: Mapping[int, Any]) -> Corrections:
    """Find by what each planned weight is scaled so that its layer's output has the planned RMS.

    The pass goes on with the corrected signal, so that every layer is measured behind corrected ones.

    Args:
        traced: the model; its graph does not depend on its weights.
        plan: says which layers, and what they shall have.
        values: of the program's inputs, with the plan's draws.
    """
    todo = _planned(traced, plan)
    units = {e.name: e.geometry.out_axes for e in plan.entries}
    if not todo:
        return Corrections()
    holding = _holding(traced)

    def function(values: dict[int, Any]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}

        def made(number: int, value: Any, known: dict[int, Any]) -> Any:
            node, wanted = todo[number]
            bias = known.get(traced.value_of(wanted.bias, known)) if wanted.bias is not None else None
            name = node.parameters[0]
            result, corrected = _corrected(node, wanted, value, bias, each=_counts(traced, name, units[name], node))
            found[name] = result
            for other in holding.get(wanted.knob, ()):
                if other in known:  # a weight that is used again is used corrected
                    known[other] = _scaled(traced, other, name, units[name], known[other], result)
            for other in holding.get(wanted.bias or "", ()) if "bias" in result else ():
                if other in known:
                    known[other] = result["bias"].reshape(known[other].shape).astype(known[other].dtype)
            return corrected

        run(traced.program, values, made=made, looked_at=frozenset(todo))
        return found

    return _numbers(plan, todo, jax.device_get(jax.jit(function)(dict(values))))


def _planned(traced: Traced, plan: Plan) -> dict[int, tuple[Node, Calibration]]:
    """Number of a layer's output -> its node and what is planned for it; the first use of each weight."""
    wanted = {e.name: e.calibration for e in plan.entries if e.calibration is not None}
    todo: dict[int, tuple[Node, Calibration]] = {}
    for node, number in zip(traced.graph.nodes, traced.numbers, strict=True):
        name = node.parameters[0] if node.parameters else ""
        calibration = wanted.get(name) if node.kind == "contraction" else None
        if calibration is None or number is None or math.prod(traced.program.avals[number].shape) == 0:
            continue
        # A bias that is added by an operation of its own comes next.
        if calibration.bias is None or calibration.bias in node.parameters:
            del wanted[name]
            todo[number] = (node, calibration)
    return todo


def _holding(traced: Traced) -> dict[str, list[int]]:
    """Parameter -> the values that hold it, and nothing else, in some layout or type."""
    found: dict[str, list[int]] = {}
    for number, value in traced.trace.values.items():
        if isinstance(value, Weight) and len(value.names) == 1 and value.axes is not None:
            found.setdefault(value.names[0], []).append(number)
    return found


def _counts(traced: Traced, name: str, out_axes: tuple[int, ...], node: Node) -> int | None:
    """Number of units of a weight that can be scaled one by one; None where its units are not one axis."""
    shape = traced.trace.shapes[name]
    return shape[out_axes[0]] if out_axes and node.unit_axis is not None else None


def _corrected(
    node: Node, wanted: Calibration, value: Any, bias: Any, *, each: int | None
) -> tuple[dict[str, Any], Any]:
    """Value = W x + b becomes factor (W x) + new b, with the wanted RMS around the wanted mean."""
    axis = node.unit_axis if node.unit_axis is not None else value.ndim - 1
    shape = [-1 if a == axis else 1 for a in range(value.ndim)]
    if bias is not None and node.unit_axis is not None and bias.size != value.shape[axis]:
        bias = None  # only a slice of it was added here (one gate's), and it is drawn zero
    if bias is not None and node.unit_axis is None:
        shape = [1] * (value.ndim - bias.ndim) + list(bias.shape)
    wide = value.astype(jnp.promote_types(value.dtype, jnp.float32))
    offset = jnp.zeros(()) if bias is None else bias.astype(wide.dtype).reshape(shape)
    product = wide - offset
    others = tuple(a for a in range(value.ndim) if a != axis)
    mean = product.mean(axis=others, keepdims=True) if wanted.centre is not None else jnp.zeros(())
    result: dict[str, Any] = {}
    if wanted.per_unit and each == value.shape[axis]:
        sizes = jnp.sqrt(jnp.mean(jnp.square(product - mean), axis=others))
        overall = jnp.sqrt(jnp.mean(jnp.square(sizes)))
        ratio = rounded_within(jnp, jnp.where(sizes > 0.0, overall / sizes, 1.0))
        result["ratio"] = ratio
        spread = ratio.reshape([-1 if a == axis else 1 for a in range(value.ndim)])
        product, mean = product * spread, mean * spread
    rms = jnp.sqrt(jnp.mean(jnp.square(product - mean)))
    factor = wanted.target / rms
    fits = (factor > FACTOR_RANGE[0]) & (factor < FACTOR_RANGE[1])
    factor = rounded_within(jnp, jnp.where(fits, factor, 1.0))
    if wanted.centre is not None and bias is not None:
        step = step_of(wanted.target)
        new = jnp.where(fits, jnp.round((wanted.centre - mean * factor) / step) * step, offset)
        result["bias"] = new.reshape(bias.shape)
        offset = new
    return result | {"rms": rms, "factor": factor, "fits": fits}, (product * factor + offset).astype(value.dtype)


def _scaled(
    traced: Traced, number: int, name: str, out_axes: tuple[int, ...], held: Any, result: Mapping[str, Any]
) -> Any:
    """A value that holds a weight, corrected as the weight is."""
    value = traced.trace.values[number]
    scaled = held * result["factor"].astype(held.dtype)
    if "ratio" in result and isinstance(value, Weight) and value.names == (name,) and value.axes:
        places = [i for i, group in enumerate(value.axes) if group == out_axes[:1]]
        if len(places) == 1:
            shape = [-1 if i == places[0] else 1 for i in range(held.ndim)]
            scaled = scaled * result["ratio"].reshape(shape).astype(held.dtype)
    return scaled


def _numbers(plan: Plan, todo: Mapping[int, tuple[Node, Calibration]], found: Mapping[str, Any]) -> Corrections:
    made = Corrections()
    for node, wanted in todo.values():
        name = node.parameters[0]
        result = found[name]
        if not bool(result["fits"]):
            made.notes.append(
                f"{name}: left as drawn; its output has RMS {float(result['rms']):.3g} where {wanted.target:.3g} was "
                "planned, which is too far to be mended by scaling."
            )
            continue
        made.factors[name] = made.knobs[wanted.knob] = rounded(float(result["factor"]))
        if "ratio" in result:
            made.ratios[name] = rounded_each(result["ratio"])
        if "bias" in result and wanted.bias is not None:
            made.biases[wanted.bias] = rounded_to(result["bias"], step_of(wanted.target))
    return made
