"""Trace a model once: its program, what each value holds, and the graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from penstock.errors import ModelError, message
from penstock.fan_table import Declared
from penstock.graph import Graph
from penstock.jax.cells import cells_of, watched
from penstock.jax.measure.batch import Batch
from penstock.jax.models import Target
from penstock.jax.trace.flatten import flatten
from penstock.jax.trace.interpret import Trace, interpret
from penstock.jax.trace.ops import SHOWN
from penstock.jax.trace.program import Program, is_float
from penstock.tracing.recording import Step
from penstock.tracing.simplify import simplify
from penstock.tracing.values import Constant, Signal, Weight


@dataclass(frozen=True)
class Traced:
    """A model's graph and the program behind it.

    Attributes:
        trace: the program, with what its values hold.
        graph: what it computes.
        numbers: for each node of the graph, the number of its value; None where no value shows it.
        parameters: name -> number of its value; state and inputs follow in the program's inputs.
        tree: structure of the output.
        declared: what its layers say of parameters, and of the layers of those that are stacks, where they say it.
    """

    trace: Trace
    graph: Graph
    numbers: tuple[int | None, ...]
    parameters: dict[str, int]
    tree: Any
    declared: Mapping[str, Declared]

    @property
    def program(self) -> Program:
        """The operations."""
        return self.trace.program

    def value_of(self, name: str, known: Mapping[int, Any]) -> int:
        """Number of the value that holds a parameter as it is: the input, or its layer's slice of it."""
        shape = self.trace.shapes[name]
        axes = tuple((a,) for a in range(len(shape)))
        return next(n for n, v in self.trace.values.items() if v == Weight((name,), axes) and n in known)

    @cached_property
    def _stacks(self) -> dict[str, list[int]]:
        """Parameters that are stacks of layers -> the layers that are used."""
        found: dict[str, set[int]] = {}
        for value in self.trace.values.values():
            for name in value.names if isinstance(value, Weight) else ():
                match = re.fullmatch(r"(.*)\[(\d+)\]", name, re.DOTALL)
                if match and match[1] in self.parameters:
                    found.setdefault(match[1], set()).add(int(match[2]))
        return {name: sorted(layers) for name, layers in found.items()}

    def parts_of(self, name: str) -> Iterator[tuple[str, Any]]:
        """The parameters of the graph that an array holds: itself, or one for each layer of a stack; with an index."""
        if name not in self._stacks:
            yield name, ...
        for layer in range(self.trace.shapes[name][0]) if name in self._stacks else ():
            yield f"{name}[{layer}]", layer


def trace(target: Target, batch: Batch) -> Traced:
    """Read what a model computes on a batch.

    Raises:
        ModelError: if the model raises, with its own error as the cause.
    """
    values = [*target.parameters.values(), *target.state.values(), *batch.arrays.values()]
    own, state = len(target.parameters), len(target.state)

    def function(*arrays: Any) -> Any:
        args, kwargs = batch.call(arrays[own + state :])
        return target.call(arrays[:own], arrays[own : own + state], args, kwargs)

    try:
        with watched() as seen:
            closed, shapes = jax.make_jaxpr(function, return_shape=True)(*values)
    except Exception as error:
        raise ModelError(
            message(
                f"check: {target.name} must run on the batch; it raised {type(error).__name__}: {error}",
                at=f"batch {batch}",
                hint="call the model on the batch alone first; "
                "the batch is an array, a tuple of positional or a dict of keyword inputs.",
            )
        ) from error
    program = flatten(closed, values, parameters=own)
    found = Trace(program, dict(zip(program.inputs, values, strict=True)))
    _declare_inputs(found, target, batch)
    interpret(found)
    held = [found.values.get(r) if isinstance(r, int) else None for r in program.outputs]
    outputs = tuple(dict.fromkeys(v.node for v in held if isinstance(v, Signal)))
    declared = {**cells_of(found.shapes, frozenset(seen)), **target.declared}
    geometries = {name: known.geometry for name, known in declared.items()}
    graph, steps = simplify(found.recording, outputs, SHOWN, geometries)
    numbers = tuple(found.made_by.get(s) for s in steps)
    names = dict(zip(target.parameters, program.inputs, strict=False))
    return Traced(found, graph, numbers, names, jax.tree_util.tree_structure(shapes), declared)


def inputs_of(target: Target, batch: Batch, traced: Traced) -> dict[int, Any]:
    """Values of a program's inputs, of a model like the one that was traced."""
    values = [*target.parameters.values(), *target.state.values(), *batch.arrays.values()]
    return dict(zip(traced.program.inputs, values, strict=True))


def _declare_inputs(found: Trace, target: Target, batch: Batch) -> None:
    program = found.program
    numbers = iter(program.inputs)
    for name, array in target.parameters.items():
        found.shapes[name] = tuple(array.shape)
        found.values[next(numbers)] = Weight((name,), tuple((a,) for a in range(array.ndim)))
    for array in target.state.values():
        found.values[next(numbers)] = Constant(state=True, read=lambda a=array: np.asarray(a))
    for name in batch.arrays:
        number = next(numbers)
        found.add(Step("input", name), number)
        if not is_float(program, number):
            found.constant(number, (len(found.recording.steps) - 1,))
    for number, value in program.constants.items():
        found.values[number] = _closed_over(value)


def _closed_over(value: Any) -> Constant:
    if not isinstance(value, jax.Array | np.ndarray | np.generic) or jax.numpy.issubdtype(
        value.dtype, jax.dtypes.extended
    ):
        return Constant()
    array = np.asarray(value)
    same = array.dtype.kind in "fiub" and array.size > 0 and bool((array == array.reshape(-1)[0]).all())
    return Constant(number=float(array.reshape(-1)[0]) if same else None, read=lambda: array)
