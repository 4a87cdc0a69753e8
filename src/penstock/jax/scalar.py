"""Activations of JAX as functions of NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.jax.trace.flatten import flatten
from penstock.jax.trace.interpret import Trace, interpret
from penstock.tracing.recording import Step
from penstock.tracing.values import Signal

_PROBES = 5


def as_scalar_function(activation: Any) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]]:
    """Wrap an activation of JAX as a function from float64 array to array.

    It is read once, as the primitives that it is made of, and those are computed by NumPy in float64: JAX itself would
    compute in float32 unless it is told otherwise for the whole program. What cannot be read so is called as it is.

    Args:
        activation: a function of one array.

    Returns:
        The function. Takes shape (n,), returns shape (n,).

    Raises:
        ArgumentError: when called, if the activation does not return an array of the same shape.

    Examples:
        >>> as_scalar_function(jax.nn.relu)(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    try:
        program = _program(activation)
    except Exception:  # whatever it wants of its argument: the call says it
        program = None
    return program or functools.partial(_called, activation)


def activation_name(activation: Any) -> str:
    """What to call an activation in a report.

    Examples:
        >>> activation_name(jax.nn.gelu), activation_name(functools.partial(jax.nn.gelu, approximate=False))
        ('gelu', 'gelu')
    """
    while isinstance(activation, functools.partial):
        activation = activation.func
    return str(getattr(activation, "__name__", type(activation).__name__))


def _program(activation: Any) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]] | None:
    probe = jax.numpy.linspace(-1.0, 1.0, _PROBES)
    program = flatten(jax.make_jaxpr(activation)(probe), [probe])
    trace = Trace(program, {program.inputs[0]: probe})
    trace.add(Step("input", "x"), program.inputs[0])
    for number in program.constants:
        trace.constant(number)
    interpret(trace)
    (output,) = program.outputs
    value = trace.values.get(output) if isinstance(output, int) else None
    if not isinstance(value, Signal):
        return None
    step = trace.recording.steps[value.node]
    if value.node == 0:
        return lambda x: np.array(x, np.float64)
    return step.program if step.inputs == (0,) else None


def _called(activation: Any, x: npt.NDArray[np.float64]) -> npt.NDArray[np.floating]:
    try:
        made = np.asarray(activation(jax.numpy.asarray(x)))
    except Exception as error:
        raise ArgumentError(
            message(
                f"gain: activation must work on an array of shape {x.shape}, elementwise; it raised: {error}",
                because="a function that differs by channel has one gain for each",
            )
        ) from error
    if made.dtype.kind not in "fiub" and made.dtype.name != "bfloat16":
        raise ArgumentError(message(f"gain: activation must return real numbers; got {made.dtype}."))
    return made if made.dtype in (np.float32, np.float64) else made.astype(np.float32)
