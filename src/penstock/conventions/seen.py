"""The geometry that a framework sees when it computes fans from a shape alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeVar, get_args

from penstock.errors import ArgumentError, closest, message
from penstock.geometry import Geometry

Convention = Literal["torch", "keras", "jax", "flax", "haiku"]
T = TypeVar("T")


def as_seen_by(convention: Convention, geometry: Geometry) -> Geometry:
    """The geometry whose fans the framework computes, from the true one, in the same layout.

    All of them leave out groups, strides and fused blocks. PyTorch and Keras also take the input axis of a transposed
    convolution for its output axis, by their fixed positions. A depthwise kernel of Keras, (*k, channels, multiplier),
    counts all channels as inputs, which a geometry in another layout cannot show.

    Args:
        convention: the framework.
        geometry: the true roles of the axes, in any layout.

    Returns:
        A geometry of the same shape.

    Raises:
        ArgumentError: if the framework is unknown.

    Examples:
        >>> depthwise = Geometry((4, 1, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=4)
        >>> depthwise.fans.fan_out, as_seen_by("torch", depthwise).fans.fan_out
        (9.0, 36.0)

    Source:
        PyTorch issue 23854; TensorFlow issue 31192
    """
    known("as_seen_by", "convention", convention, dict.fromkeys(get_args(Convention)))
    swapped = geometry.transposed and convention in ("torch", "keras")
    inputs, outputs = (geometry.out_axes, geometry.in_axes) if swapped else (geometry.in_axes, geometry.out_axes)
    return replace(
        geometry,
        in_axes=inputs,
        out_axes=outputs,
        groups=1,
        split="in",
        stride=1,
        transposed=False,
        blocks=(),
        block_names=(),
    )


def known(function: str, argument: str, value: str, choices: Mapping[str, T]) -> T:
    """The choice of that name.

    Raises:
        ArgumentError: if there is none, with the nearest name.
    """
    if value not in choices:
        raise ArgumentError(message(f"{function}: unknown {argument}: {value!r}.", hint=closest(str(value), choices)))
    return choices[value]
