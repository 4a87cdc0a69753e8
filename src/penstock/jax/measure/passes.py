"""One compiled forward and backward pass that shows every signal of the graph and every gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from penstock.errors import ModelError, PenstockError, message
from penstock.jax.measure.loss import Loss, best_constant, evaluate, inner_product, random_weights
from penstock.jax.trace.program import is_float, run
from penstock.jax.trace.tracer import Traced


@dataclass(frozen=True)
class Passes:
    """What the two passes showed.

    Attributes:
        signals: node of the graph -> its values.
        signal_gradients: node -> gradient; nodes without one are left out.
        gradients: parameter -> gradient.
        loss: its value; NaN where nothing could be differentiated.
        constant: the loss of the best constant output, if it is known.
    """

    signals: Mapping[int, jax.Array]
    signal_gradients: Mapping[int, jax.Array]
    gradients: Mapping[str, jax.Array]
    loss: float
    constant: float | None


class BothPasses:
    """A program forward and backward, compiled once.

    A signal's gradient is that of a zero which is added to it where it is made.

    Args:
        traced: the model.
        loss: of its output; None for a random inner product.
    """

    def __init__(self, traced: Traced, loss: Loss | None) -> None:
        program = traced.program
        self.traced, self._loss = traced, loss
        nodes = zip(traced.graph.nodes, traced.numbers, strict=True)
        self._shown = {n.index: number for n, number in nodes if number is not None and is_float(program, number)}
        backward = _reaching(traced)
        self._tapped = set(self._shown.values()) & _dependent(traced) & backward
        self._own = {name: number for name, number in traced.parameters.items() if number in backward}
        self._weights = random_weights([program.avals[r] if isinstance(r, int) else r.aval for r in program.outputs])
        self._compiled = jax.jit(self._all)

    def __call__(self, inputs: Mapping[int, Any]) -> Passes:
        """Run both passes on values of the program's inputs.

        Raises:
            ArgumentError: if the loss is not a differentiable scalar.
            ModelError: if the loss or the backward pass raises.
        """
        own = {name: inputs[number] for name, number in self._own.items()}
        rest = {number: value for number, value in inputs.items() if number not in set(self._own.values())}
        try:
            (value, (seen, outputs)), (signals, gradients) = self._compiled(own, rest, self._weights)
        except PenstockError:
            raise
        except Exception as error:
            fact = f"check: the model must be differentiable; its backward pass raised {type(error).__name__}: {error}"
            raise ModelError(message(fact, hint="call jax.grad of the loss alone first.")) from error
        seen = seen | {number: inputs[number] for number in self._shown.values() if number in inputs}
        output = jax.tree_util.tree_unflatten(self.traced.tree, outputs) if self._loss is not None else None
        return Passes(
            {i: seen[n] for i, n in self._shown.items() if n in seen},
            {i: signals[n] for i, n in self._shown.items() if n in signals},
            gradients,
            float(value) if own else math.nan,
            best_constant(self._loss, output) if self._loss is not None else None,
        )

    def _all(self, own: dict[str, Any], rest: dict[int, Any], weights: list[Any]) -> Any:
        avals = self.traced.program.avals
        taps = {n: jnp.zeros(avals[n].shape, avals[n].dtype) for n in self._tapped}
        return jax.value_and_grad(self._forward, argnums=(0, 1), has_aux=True)(taps, own, rest, weights)

    def _forward(self, taps: dict[int, Any], own: dict[str, Any], rest: dict[int, Any], weights: list[Any]) -> Any:
        seen: dict[int, Any] = {}

        def made(number: int, value: Any, known: dict[int, Any]) -> Any:
            seen[number] = value + taps[number] if number in taps else value
            return seen[number]

        values = rest | {self._own[name]: value for name, value in own.items()}
        outputs = run(self.traced.program, values, made=made, looked_at=frozenset(self._shown.values()))
        if self._loss is None:
            return inner_product(outputs, weights), (seen, ())
        return evaluate(self._loss, jax.tree_util.tree_unflatten(self.traced.tree, outputs)), (seen, outputs)


_ENDS = frozenset({"stop_gradient", "while"})
"""Primitives that no gradient passes."""


def _dependent(traced: Traced) -> set[int]:
    """Values that depend on a parameter."""
    found = set(traced.parameters.values())
    for op in traced.program.ops:
        if op.name not in _ENDS and any(isinstance(i, int) and i in found for i in op.inputs):
            found.update(o for o in op.outputs if is_float(traced.program, o))
    return found


def _reaching(traced: Traced) -> set[int]:
    """Values that a floating-point output depends on by way of floating-point values."""
    found = {r for r in traced.program.outputs if isinstance(r, int) and is_float(traced.program, r)}
    for op in reversed(traced.program.ops):
        if op.name not in _ENDS and any(o in found for o in op.outputs):
            found.update(i for i in op.inputs if isinstance(i, int) and is_float(traced.program, i))
    return found
