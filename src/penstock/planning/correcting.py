"""Calibration while a model runs, on arrays of NumPy or JAX: which layers, and how each one's output is mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from penstock.graph import Graph, Node
from penstock.planning.drawing import Corrections
from penstock.planning.plan import Calibration, Plan
from penstock.planning.rounding import rounded, rounded_each, rounded_to, rounded_within, step_of
from penstock.tracing.values import Value, Weight

FACTOR_RANGE = (1e-3, 1e3)
"""A layer that needs a larger correction than this is not what the plan took it for: it is left and named."""

Planned = dict[int, tuple[Node, Calibration]]
"""Number of a layer's output -> its node and what is planned for it."""


def planned(graph: Graph, numbers: Sequence[int | None], plan: Plan, size_of: Callable[[int], int]) -> Planned:
    """The layers to correct, each weight at its first use.

    Args:
        graph: what the model computes.
        numbers: for each node the number of its value, None where no value shows it.
        plan: says which layers, and what they shall have.
        size_of: number of elements of a value.
    """
    wanted = {e.name: e.calibration for e in plan.entries if e.calibration is not None}
    todo: Planned = {}
    for node, number in zip(graph.nodes, numbers, strict=True):
        name = node.parameters[0] if node.parameters else ""
        calibration = wanted.get(name) if node.kind == "contraction" else None
        if calibration is None or number is None or size_of(number) == 0:
            continue
        # A bias that is added by an operation of its own comes next.
        if calibration.bias is None or calibration.bias in node.parameters:
            del wanted[name]
            todo[number] = (node, calibration)
    return todo


def holding(values: Mapping[int, Value]) -> dict[str, list[int]]:
    """Parameter -> the values that hold it, and nothing else, in some layout or type."""
    found: dict[str, list[int]] = {}
    for number, value in values.items():
        if isinstance(value, Weight) and len(value.names) == 1 and value.axes is not None:
            found.setdefault(value.names[0], []).append(number)
    return found


def mended(
    arrays: Any, node: Node, wanted: Calibration, value: Any, bias: Any, *, each: int | None
) -> tuple[dict[str, Any], Any]:
    """Value = W x + b becomes factor (W x) + new b, with the wanted RMS around the wanted mean.

    Args:
        arrays: the module of the arrays: `numpy` or `jax.numpy`.
        node: that made the value.
        wanted: what is planned for it.
        value: the layer's output.
        bias: that was added to it; None if there is none.
        each: number of units that can be scaled one by one; None where they cannot.

    Returns:
        What was found, by name; and the value that takes the output's place.
    """
    axis = node.unit_axis if node.unit_axis is not None else value.ndim - 1
    shape = [-1 if a == axis else 1 for a in range(value.ndim)]
    if bias is not None and node.unit_axis is not None and bias.size != value.shape[axis]:
        bias = None  # only a slice of it was added here (one gate's), and it is drawn zero
    if bias is not None and node.unit_axis is None:
        shape = [1] * (value.ndim - bias.ndim) + list(bias.shape)
    wide = value.astype(arrays.promote_types(value.dtype, np.float32))
    none = arrays.zeros((), wide.dtype)
    offset = none if bias is None else bias.astype(wide.dtype).reshape(shape)
    product = wide - offset
    others = tuple(a for a in range(value.ndim) if a != axis)
    mean = product.mean(axis=others, keepdims=True) if wanted.centre is not None else none
    result: dict[str, Any] = {}
    if wanted.per_unit and each == value.shape[axis]:
        sizes = arrays.sqrt(arrays.mean(arrays.square(product - mean), axis=others))
        overall = arrays.sqrt(arrays.mean(arrays.square(sizes)))
        ratio = rounded_within(arrays, arrays.where(sizes > 0.0, overall / sizes, 1.0)).astype(wide.dtype)
        result["ratio"] = ratio
        spread = ratio.reshape([-1 if a == axis else 1 for a in range(value.ndim)])
        product, mean = product * spread, mean * spread
    rms = arrays.sqrt(arrays.mean(arrays.square(product - mean)))
    factor = wanted.target / rms
    fits = (factor > FACTOR_RANGE[0]) & (factor < FACTOR_RANGE[1])
    factor = rounded_within(arrays, arrays.where(fits, factor, 1.0)).astype(wide.dtype)
    if wanted.centre is not None and bias is not None:
        step = step_of(wanted.target)
        new = arrays.where(fits, arrays.round((wanted.centre - mean * factor) / step) * step, offset)
        result["bias"] = new.reshape(bias.shape)
        offset = new
    return result | {"rms": rms, "factor": factor, "fits": fits}, (product * factor + offset).astype(value.dtype)


def rescaled(value: Value, name: str, out_axes: tuple[int, ...], held: Any, result: Mapping[str, Any]) -> Any:
    """An array that holds a weight, corrected as the weight is.

    Args:
        value: what the array holds.
        name: of the weight.
        out_axes: of the weight.
        held: the array.
        result: what `mended` found.
    """
    scaled = held * result["factor"].astype(held.dtype)
    if "ratio" in result and isinstance(value, Weight) and value.names == (name,) and value.axes:
        places = [i for i, group in enumerate(value.axes) if group == out_axes[:1]]
        if len(places) == 1:
            shape = [-1 if i == places[0] else 1 for i in range(held.ndim)]
            scaled = scaled * result["ratio"].reshape(shape).astype(held.dtype)
    return scaled


def corrections_of(todo: Planned, found: Mapping[str, Mapping[str, Any]]) -> Corrections:
    """What was found of each weight, as numbers of NumPy."""
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


def units_of(shape: tuple[int, ...], out_axes: tuple[int, ...], node: Node) -> int | None:
    """Number of units of a weight that can be scaled one by one; None where its units are not one axis."""
    return shape[out_axes[0]] if out_axes and node.unit_axis is not None else None
