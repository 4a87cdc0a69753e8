"""One forward and one backward pass that show every signal of the graph and every gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.errors import ModelError, PenstockError, message
from penstock.keras.tensorflow.loss import Loss, best_constant, evaluate, inner_product
from penstock.keras.tensorflow.program import run
from penstock.keras.tensorflow.tracer import Traced

Arrays = Mapping[int, npt.NDArray[Any]]


@dataclass(frozen=True)
class Passes:
    """What the two passes showed.

    Attributes:
        signals: node of the graph -> its values.
        signal_gradients: node -> gradient; nodes without one are left out.
        gradients: parameter -> gradient; those without one are left out.
        loss: its value; NaN where nothing could be differentiated.
        constant: the loss of the best constant output, if it is known.
    """

    signals: Arrays
    signal_gradients: Arrays
    gradients: Mapping[str, npt.NDArray[Any]]
    loss: float
    constant: float | None


def both_passes(traced: Traced, inputs: Mapping[int, Any], loss: Loss | None) -> Passes:
    """Run a program on values of its inputs, and differentiate its loss.

    Args:
        traced: the model.
        inputs: values of its inputs.
        loss: of its output; None for a random inner product.

    Raises:
        ArgumentError: if the loss is not a differentiable scalar.
        ModelError: if the loss or the backward pass raises.
    """
    program = traced.program
    nodes = zip(traced.graph.nodes, traced.numbers, strict=True)
    shown = {n.index: number for n, number in nodes if number is not None and program.avals[number].is_float}
    wanted = set(shown.values())
    seen: dict[int, Any] = {number: inputs[number] for number in wanted if number in inputs}

    def made(number: int, value: Any, known: dict[int, Any]) -> Any:
        if number in wanted:
            seen[number] = value
        return value

    own = {name: inputs[number] for name, number in traced.parameters.items()}
    try:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(own.values()))
            outputs = run(program, inputs, made=made)
            value = inner_product(outputs) if loss is None else evaluate(loss, traced.output(outputs))
        slopes = tape.gradient(value, [*seen.values(), *own.values()])
    except PenstockError:
        raise
    except Exception as error:
        fact = f"check: the model must be differentiable; its backward pass raised {type(error).__name__}: {error}"
        raise ModelError(message(fact, hint="call tf.GradientTape on the loss alone first.")) from error
    signals, gradients = _arrays(seen, slopes[: len(seen)]), _arrays(own, slopes[len(seen) :])
    return Passes(
        {i: seen[n].numpy() for i, n in shown.items() if n in seen},
        {i: signals[n] for i, n in shown.items() if n in signals and n not in inputs},
        gradients,
        float(value) if gradients else math.nan,
        best_constant(loss, traced, outputs) if loss is not None else None,
    )


def _arrays(of: Iterable[Any], slopes: Sequence[Any]) -> dict[Any, npt.NDArray[Any]]:
    """Gradients that came, those of look-ups in full."""
    pairs = zip(of, slopes, strict=True)
    return {key: np.asarray(tf.convert_to_tensor(slope)) for key, slope in pairs if slope is not None}
