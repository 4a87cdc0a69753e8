"""Functions with a derivative of their own: `tf.custom_gradient`, of which `tf.nn.silu` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from penstock.keras.tensorflow.program import Op, perform


def has_own_gradient(op: Any) -> bool:
    """Whether an operation of a graph ends a function with a derivative of its own."""
    return op.type == "IdentityN" and "_gradient_op_type" in op.node_def.attr


@dataclass(frozen=True)
class Backward:
    """The backward operations of such a function, which are added to its graph.

    Attributes:
        slopes: stand for the gradients of what it returns, and of its arguments, which it returns too.
        ops: the operations.
        results: the gradients of the same; None where there is none.
    """

    slopes: Sequence[Any]
    ops: Sequence[Any]
    results: Sequence[Any]

    @classmethod
    def of(cls, op: Any) -> Backward:
        """Of the operation that ends the function."""
        before = len(op.graph.get_operations())
        with op.graph.as_default():
            slopes = [tf.raw_ops.Placeholder(dtype=t.dtype, shape=t.shape) for t in op.outputs]
            places = [place for place, t in enumerate(op.outputs) if t.dtype.is_floating or t.dtype.is_complex]
            given = [op.inputs[place] for place in places]
            found = tf.gradients(
                [op.outputs[place] for place in places],
                given,
                grad_ys=[slopes[place] for place in places],
                stop_gradients=given,
            )
        results: list[Any] = [None] * len(op.outputs)
        for place, slope in zip(places, found, strict=True):
            results[place] = None if slope is None else tf.convert_to_tensor(slope)
        return cls(slopes, op.graph.get_operations()[before:], results)


def backward_caller(
    ops: Sequence[Op],
    *,
    inputs: Sequence[int],
    free: Sequence[int],
    slopes: Sequence[int],
    results: Sequence[int | None],
) -> Callable[..., Sequence[Any]]:
    """A function that returns its first arguments, and differentiates them by running operations.

    Args:
        ops: the backward operations.
        inputs: numbers of its first arguments.
        free: numbers of the others, which the operations read.
        slopes: numbers by which the operations know the gradients of what it returns.
        results: numbers of the gradients of `inputs`; None where there is none.
    """

    def call(*values: Any) -> Sequence[Any]:
        @tf.custom_gradient
        def made(*tensors: Any) -> Any:
            def backward(*given: Any) -> list[Any]:
                known = {**dict(zip((*inputs, *free), tensors, strict=True)), **dict(zip(slopes, given, strict=True))}
                perform(ops, known)
                return [*(None if number is None else known[number] for number in results), *(None for _ in free)]

            return [tf.identity(tensor) for tensor in tensors[: len(inputs)]], backward

        return made(*values)

    return call
