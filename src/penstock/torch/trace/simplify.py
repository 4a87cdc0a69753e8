"""From recorded steps to the graph: interiors of regions are dropped, numbers are made dense."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from penstock.activations import recognise
from penstock.geometry import Geometry
from penstock.graph import Graph, Node, ScalarFunction, with_residuals
from penstock.torch.trace.ops import NAMES
from penstock.torch.trace.recording import Program, Recording, Step


def simplify(
    recording: Recording, outputs: tuple[int, ...], declared: Mapping[str, Geometry]
) -> tuple[Graph, tuple[int, ...]]:
    """Build the graph.

    Args:
        recording: what the tracer wrote down.
        outputs: numbers of the model's outputs.
        declared: axis roles that the model's layers declare; they know more than an operation shows (gates, blocks).

    Returns:
        The graph, and for each of its nodes the number of the recorded step.
    """
    kept = _kept(recording, outputs)
    renumber = {old: new for new, old in enumerate(kept)}
    nodes = tuple(_node(recording, old, new, renumber, declared) for new, old in enumerate(kept))
    return Graph(with_residuals(nodes), tuple(renumber[o] for o in outputs), tuple(recording.unknown)), tuple(kept)


def _kept(recording: Recording, outputs: tuple[int, ...]) -> list[int]:
    """Steps that an output or a contraction depends on, by way of what the regions read."""
    steps = recording.steps
    wanted = {i for i, s in enumerate(steps) if s.kind in ("contraction", "input") and not s.absorbed} | set(outputs)
    for number in range(len(steps) - 1, -1, -1):
        if number in wanted:
            wanted.update(steps[number].inputs)
    return sorted(wanted)


def _node(
    recording: Recording, old: int, new: int, renumber: Mapping[int, int], declared: Mapping[str, Geometry]
) -> Node:
    step = recording.steps[old]
    geometry = step.geometry
    if step.kind == "contraction" and step.parameters and step.parameters[0] in declared:
        geometry = _join(declared[step.parameters[0]], geometry)
    return Node(
        index=new,
        kind=step.kind,
        op=_name(step),
        inputs=tuple(renumber[i] for i in step.inputs),
        path=step.path,
        parameters=step.parameters,
        geometry=geometry,
        unit_axis=step.unit_axis,
        function=None if step.program is None else as_numpy(step.program),
    )


def _name(step: Step) -> str:
    """A region's own name if it computes a known function, however it was written."""
    known = recognise(as_numpy(step.program)) if step.program is not None else None
    return known or NAMES.get(step.op, step.op)


def _join(declared: Geometry, seen: Geometry | None) -> Geometry | None:
    """A layer's own declaration, unless the operation used the same weight in another way (a tied head)."""
    if seen is not None and (seen.lookup != declared.lookup or not declared.is_weight):
        return seen
    return declared if declared.is_weight else None


def as_numpy(program: Program) -> ScalarFunction:
    """A recorded scalar function as one of float64 arrays."""

    def function(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        with torch.no_grad():
            return program(torch.from_numpy(np.array(x, dtype=np.float64))).double().numpy()

    return function
