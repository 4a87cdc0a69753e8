"""The declared axis roles of the layers of Keras: one small function a kind of layer, one row of the table each.

Shapes are Keras's: dense (in, out), convolution (*taps, in / groups, out), transposed (*taps, out, in), depthwise
(*taps, in, multiplier), recurrent (in, gates * units). Draws number the elements as in PyTorch's layout, so that one
key gives the same weights there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from penstock.errors import ShapeError
from penstock.fan_table import Declared, Role
from penstock.geometry import Geometry

Shape = tuple[int, ...]
Rule = Callable[[Any, str, Shape], Declared]

GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("z", "r", "n"), "rnn": ()}
"""Order of the fused gates in `keras.layers.LSTMCell.call` and `GRUCell.call`."""

CELLS = {"LSTMCell": "lstm", "ConvLSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "rnn"}
"""A cell's class or base, by its name, for Keras does not export all -> its kind."""

_VECTORS: dict[str, Role] = {"bias": "bias", "gamma": "scale", "scale": "scale", "beta": "offset", "offset": "offset"}
_POSITION = re.compile(r"(^|_)(pos|position|positional|positions)(_|$)")


def declare(layer: keras.layers.Layer, name: str, shape: Shape) -> Declared:
    """The role of one parameter and of each of its axes.

    Args:
        layer: that the parameter belongs to.
        name: the parameter's own: "kernel".
        shape: of the parameter.

    Examples:
        >>> declare(layers.Conv2D(8, 3, groups=2), "kernel", (3, 3, 2, 8)).geometry.fans
        Fans(fan_in=18.0, fan_out=36.0)
        >>> declare(layers.DepthwiseConv2D(3), "kernel", (3, 3, 4, 2)).geometry.fans
        Fans(fan_in=9.0, fan_out=18.0)
    """
    try:
        declared = _rule_for(layer)(layer, name, shape)
    except ShapeError:  # a quantised or otherwise packed layer keeps its weights in another shape
        declared = Declared(Geometry(shape), "other")
    return declared._replace(geometry=declared.geometry.in_order()) if declared.geometry.is_weight else declared


def _rule_for(layer: keras.layers.Layer) -> Rule:
    for cls in type(layer).__mro__:
        if cls in TABLE:
            return TABLE[cls]
        if cls.__name__ in CELLS:
            return _recurrent
    return _by_name


def _vector(shape: Shape, role: Role) -> Declared:
    return Declared(Geometry(shape, out_axes=tuple(range(len(shape)))), role)


def _by_name(layer: Any, name: str, shape: Shape) -> Declared:
    """A parameter of a class that is not in the table, by the names that people give; its axes stay undeclared."""
    if _POSITION.search(name.lower()):
        return Declared(Geometry(shape), "position")
    if sum(size > 1 for size in shape) <= 1 and name in _VECTORS:
        role = _VECTORS[name]
        return _vector(shape, "offset" if role == "bias" and "norm" in type(layer).__name__.lower() else role)
    return Declared(Geometry(shape), "other")


def _dense(layer: Any, name: str, shape: Shape) -> Declared:
    if name != "kernel":
        return _by_name(layer, name, shape)
    return Declared(Geometry(shape, in_axes=(0,), out_axes=(1,)), "weight")


def _einsum(layer: layers.EinsumDense, name: str, shape: Shape) -> Declared:
    """Letters that only the input shares are summed, those of the output are units, those of both are independent."""
    if name == "bias":
        return _vector(shape, "bias")
    if name != "kernel":
        return _by_name(layer, name, shape)
    left, output = layer.equation.replace("...", "").replace(" ", "").split("->")
    signal, kernel = left.split(",")
    axes = [(letter in signal, letter in output) for letter in kernel]
    return Declared(
        Geometry(
            shape,
            in_axes=tuple(i for i, place in enumerate(axes) if place == (True, False)),
            out_axes=tuple(i for i, place in enumerate(axes) if place == (False, True)),
            batch_axes=tuple(i for i, place in enumerate(axes) if place == (True, True)),
        ),
        "weight",
    )


def _windows(shape: Shape) -> Shape:
    return tuple(range(len(shape) - 2))


def _conv(layer: Any, name: str, shape: Shape) -> Declared:
    if name != "kernel":
        return _by_name(layer, name, shape)
    last = len(shape) - 1
    return Declared(
        Geometry(
            shape,
            in_axes=(last - 1,),
            out_axes=(last,),
            window_axes=_windows(shape),
            groups=layer.groups,
            stride=math.prod(layer.strides),
        ),
        "weight",
    )


def _conv_transposed(layer: Any, name: str, shape: Shape) -> Declared:
    if name != "kernel":
        return _by_name(layer, name, shape)
    last = len(shape) - 1
    windows, stride = _windows(shape), math.prod(layer.strides)
    return Declared(
        Geometry(shape, in_axes=(last,), out_axes=(last - 1,), window_axes=windows, stride=stride, transposed=True),
        "weight",
    )


def _depthwise(layer: Any, name: str, shape: Shape) -> Declared:
    """(*taps, in, multiplier): each input has its own taps, and nothing is summed over inputs."""
    if name not in ("kernel", "depthwise_kernel"):
        return _by_name(layer, name, shape)
    last = len(shape) - 1
    return Declared(
        Geometry(
            shape,
            out_axes=(last - 1, last),
            window_axes=_windows(shape),
            groups=shape[-2],
            stride=math.prod(layer.strides),
        ),
        "weight",
    )


def _separable(layer: Any, name: str, shape: Shape) -> Declared:
    if name != "pointwise_kernel":
        return _depthwise(layer, name, shape)
    last = len(shape) - 1
    return Declared(Geometry(shape, in_axes=(last - 1,), out_axes=(last,), window_axes=_windows(shape)), "weight")


def _embedding(layer: Any, name: str, shape: Shape) -> Declared:
    if name == "embeddings":
        role: Role = "position" if _POSITION.search(layer.name.lower()) else "embedding"
        return Declared(Geometry(shape, in_axes=(0,), out_axes=(1,), lookup=True), role)
    if name == "reverse_embeddings":
        return Declared(Geometry(shape, in_axes=(0,), out_axes=(1,)), "weight")
    return _by_name(layer, name, shape)


def _recurrent(layer: Any, name: str, shape: Shape) -> Declared:
    """A kernel is (*taps, in, gates * units), a recurrent_kernel (*taps, units, gates * units)."""
    kind = next(CELLS[cls.__name__] for cls in type(layer).__mro__ if cls.__name__ in CELLS)
    names, last = GATES[kind], len(shape) - 1
    blocks = (shape[-1] // len(names),) * len(names) if names else ()
    if name in ("kernel", "recurrent_kernel"):
        return Declared(
            Geometry(
                shape,
                in_axes=(last - 1,),
                out_axes=(last,),
                window_axes=_windows(shape),
                stride=math.prod(getattr(layer, "strides", ())) if name == "kernel" else 1,
                blocks=blocks,
                block_names=names,
            ),
            "weight",
            f"{kind}.{'input' if name == 'kernel' else 'hidden'}",
        )
    if name != "bias":
        return _by_name(layer, name, shape)
    # A GRU may keep two biases of the same gates one below the other: (2, gates * units).
    axes = tuple(reversed(range(len(shape))))
    return Declared(Geometry(shape, out_axes=axes, blocks=blocks, block_names=names), "bias", f"{kind}.input")


def _norm(layer: Any, name: str, shape: Shape) -> Declared:
    roles: dict[str, Role] = {"gamma": "scale", "scale": "scale", "beta": "offset"}
    return _vector(shape, roles[name]) if name in roles else _by_name(layer, name, shape)


def _slopes(layer: Any, name: str, shape: Shape) -> Declared:
    """The slopes of a PReLU for negative inputs."""
    return _vector(shape, "other")


# Subclasses are found through their bases: MultiHeadAttention is made of EinsumDense, SeparableConv2D has a row.
TABLE: dict[type, Rule] = {
    layers.Dense: _dense,
    layers.EinsumDense: _einsum,
    layers.Conv1D.__mro__[1]: _conv,
    layers.Conv1DTranspose.__mro__[1]: _conv_transposed,
    layers.DepthwiseConv1D.__mro__[1]: _depthwise,
    layers.SeparableConv1D.__mro__[1]: _separable,
    layers.Embedding: _embedding,
    layers.BatchNormalization: _norm,
    layers.LayerNormalization: _norm,
    layers.GroupNormalization: _norm,
    layers.RMSNormalization: _norm,
    layers.PReLU: _slopes,
}
