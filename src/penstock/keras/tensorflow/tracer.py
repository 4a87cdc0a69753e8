"""Trace a model once: its program, what each value holds, and the graph."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from penstock.errors import ModelError, PenstockError, message
from penstock.graph import Graph
from penstock.keras.tensorflow.flatten import Flattener
from penstock.keras.tensorflow.interpret import Trace, interpret
from penstock.keras.tensorflow.program import Program
from penstock.keras.tensorflow.target import Batch, Target
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
        parameters: name -> number of its value; other variables and the batch follow in the program's inputs.
        structure: of the output; the program returns its tensors.
    """

    trace: Trace
    graph: Graph
    numbers: tuple[int | None, ...]
    parameters: Mapping[str, int]
    structure: Any

    @property
    def program(self) -> Program:
        """The operations."""
        return self.trace.program

    def output(self, tensors: list[Any]) -> Any:
        """The model's output, of its tensors."""
        rest = iter(tensors)
        return keras.tree.map_structure(lambda leaf: next(rest) if tf.is_tensor(leaf) else leaf, self.structure)


def trace(target: Target, batch: Batch) -> Traced:
    """Read what a model computes on a batch. It runs once; no variable is changed.

    Raises:
        ModelError: if the model raises, with its own error as the cause.
    """
    values = target.inputs(batch)
    try:
        graph, structure = _graph_of(target, batch, values)
        program, known = Flattener().flatten(graph, values)
        program.prune(program.inputs[: len(target.known)])
    except PenstockError:
        raise
    except Exception as error:
        raise ModelError(
            message(
                f"check: {target.name} must run on the batch; it raised {type(error).__name__}: {error}",
                at=f"batch {batch}",
                hint="call model(batch, training=True) alone first.",
            )
        ) from error
    found = Trace(program, known)
    _declare_inputs(found, target, batch)
    interpret(found)
    ends = [found.values.get(number) for number in program.outputs]
    outputs = tuple(dict.fromkeys(value.node for value in ends if isinstance(value, Signal)))
    declared = {name: one.declared.geometry for name, one in target.known.items()}
    computed, steps = simplify(found.recording, outputs, None, declared)
    numbers = tuple(found.made_by.get(step) for step in steps)
    known.clear()
    names = dict(zip(target.known, program.inputs, strict=False))
    return Traced(found, computed, numbers, names, structure)


def _graph_of(target: Target, batch: Batch, values: list[Any]) -> tuple[Any, Any]:
    """The graph function that TensorFlow makes of a model, and its output as the model returns it."""
    held: list[Any] = []

    def function(*tensors: Any) -> list[Any]:
        held.append(target.call(batch, list(tensors)))
        return [leaf for leaf in keras.tree.flatten(held[-1]) if tf.is_tensor(leaf)]

    specs = [tf.TensorSpec(value.shape, value.dtype) for value in values]
    # Keras's own training converts no Python either: `if` and `for` must not depend on a tensor.
    made = tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
    return made.graph, held[-1]


def _declare_inputs(found: Trace, target: Target, batch: Batch) -> None:
    numbers = iter(found.program.inputs)
    for name, value in target.values.items():
        found.shapes[name] = tuple(value.shape)
        found.values[next(numbers)] = Weight((name,), tuple((a,) for a in range(len(value.shape))))
    for number in itertools.islice(numbers, len(target.others)):
        if found.program.avals[number].is_float:
            found.constant(number, state=True)
        else:
            found.values[number] = Constant()
    for name in batch.tensors:
        number = next(numbers)
        found.add(Step("input", name), number)
        if not found.program.avals[number].is_float:
            found.constant(number, (len(found.recording.steps) - 1,))
