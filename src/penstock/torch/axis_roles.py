"""The declared axis roles of the layers of torch.nn: one small function a kind of layer, one row of the table each.

Shapes are PyTorch's: linear (out, in), convolution (out, in / groups, *taps), transposed (in, out / groups, *taps).
A function gets the layer, the parameter's own name and the shape, so that wrapped parameters (weight norm) are
served too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from penstock.fan_table import Declared, Role
from penstock.geometry import GRU_GATES, LSTM_GATES, Geometry

Shape = tuple[int, ...]
Rule = Callable[[Any, str, Shape], Declared]

# Order of the fused gates: torch.nn.LSTM and GRU, "Variables" in their documentation.
GATES = {"LSTM": LSTM_GATES, "GRU": GRU_GATES}

_POSITION = re.compile(r"(^|_)(pos|position|positional|positions|wpe)(_|$)|pos_?(emb|enc)|position(al)?_?(emb|enc)")
_GATE = re.compile(r"gamma(_?\d+)?|ls_?\d*|layer_?scale.*|lambda_?\d*|res_?(scale|weight)|alpha|scale")


def _vector(shape: Shape, role: Role, blocks: Shape = (), names: tuple[str, ...] = ()) -> Declared:
    """A parameter with one number a unit: a bias, the scale of a norm."""
    return Declared(Geometry(shape, out_axes=tuple(range(len(shape))), blocks=blocks, block_names=names), role)


def _unknown(shape: Shape) -> Declared:
    return Declared(Geometry(shape), "other")


def _linear(layer: nn.Linear, name: str, shape: Shape) -> Declared:
    if name == "weight":
        return Declared(Geometry(shape, in_axes=(1,), out_axes=(0,)), "weight")
    return _vector(shape, "bias") if name == "bias" else by_name(layer, name, shape)


def _bilinear(layer: nn.Bilinear, name: str, shape: Shape) -> Declared:
    """(out, in1, in2): sums the products of two signals."""
    if name == "weight":
        return Declared(Geometry(shape, in_axes=(1, 2), out_axes=(0,), bilinear=True), "weight")
    return _vector(shape, "bias") if name == "bias" else by_name(layer, name, shape)


def _conv(layer: _ConvNd, name: str, shape: Shape) -> Declared:
    """(out, in / groups, *taps); padding and dilation change no fan in the interior."""
    if name != "weight":
        return _vector(shape, "bias") if name == "bias" else by_name(layer, name, shape)
    windows, stride = tuple(range(2, len(shape))), math.prod(layer.stride)
    return Declared(
        Geometry(shape, in_axes=(1,), out_axes=(0,), window_axes=windows, groups=layer.groups, stride=stride), "weight"
    )


def _conv_transposed(layer: _ConvTransposeNd, name: str, shape: Shape) -> Declared:
    """(in, out / groups, *taps); each output sees taps / stride of them on average."""
    if name != "weight":
        return _vector(shape, "bias") if name == "bias" else by_name(layer, name, shape)
    geometry = Geometry(
        shape,
        in_axes=(0,),
        out_axes=(1,),
        window_axes=tuple(range(2, len(shape))),
        groups=layer.groups,
        split="out",
        stride=math.prod(layer.stride),
        transposed=True,
    )
    return Declared(geometry, "weight")


def _conv1d_of_transformers(layer: nn.Module, name: str, shape: Shape) -> Declared:
    """GPT-2's Conv1D of Hugging Face transformers: a linear layer whose weight is (in, out)."""
    if name == "weight":
        return Declared(Geometry(shape, in_axes=(0,), out_axes=(1,)), "weight")
    return _vector(shape, "bias") if name == "bias" else by_name(layer, name, shape)


def _embedding(layer: nn.Embedding | nn.EmbeddingBag, name: str, shape: Shape) -> Declared:
    if name == "weight":
        return Declared(Geometry(shape, in_axes=(0,), out_axes=(1,), lookup=True), "embedding")
    return by_name(layer, name, shape)


def _attention(layer: nn.MultiheadAttention, name: str, shape: Shape) -> Declared:
    """Packed projections (3 d, d) hold query, key, value one below the other. out_proj is a Linear of its own."""
    blocks, names = (layer.embed_dim,) * 3, ("q", "k", "v")
    if name == "in_proj_weight":
        return Declared(Geometry(shape, in_axes=(1,), out_axes=(0,), blocks=blocks, block_names=names), "weight")
    if name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
        return Declared(Geometry(shape, in_axes=(1,), out_axes=(0,)), "weight")
    if name == "in_proj_bias":
        return _vector(shape, "bias", blocks, names)
    # bias_k and bias_v are no biases: each is one more key or value that every query can attend to.
    return _unknown(shape) if name in ("bias_k", "bias_v") else by_name(layer, name, shape)


def _recurrent(layer: nn.RNNBase | nn.RNNCellBase, name: str, shape: Shape) -> Declared:
    """weight_ih (gates * h, in), weight_hh (gates * h, h or proj), weight_hr (proj, h), biases (gates * h)."""
    kind = getattr(layer, "mode", type(layer).__name__)  # a cell has no mode
    names = next((gates for key, gates in GATES.items() if str(kind).startswith(key)), ())
    blocks = (layer.hidden_size,) * len(names)
    if name.startswith("weight_hr"):
        return Declared(Geometry(shape, in_axes=(1,), out_axes=(0,)), "weight")
    if name.startswith("weight_"):
        return Declared(Geometry(shape, in_axes=(1,), out_axes=(0,), blocks=blocks, block_names=names), "weight")
    return _vector(shape, "bias", blocks, names) if name.startswith("bias_") else by_name(layer, name, shape)


def _norm(layer: nn.Module, name: str, shape: Shape) -> Declared:
    roles: dict[str, Role] = {"weight": "scale", "bias": "offset"}
    return _vector(shape, roles[name]) if name in roles else by_name(layer, name, shape)


def _slopes(layer: nn.PReLU, name: str, shape: Shape) -> Declared:
    """The slopes of a PReLU for negative inputs."""
    return _vector(shape, "other")


def by_name(layer: nn.Module, name: str, shape: Shape) -> Declared:
    """A parameter of a class that is not in the table, by the names that people give; its axes stay undeclared."""
    wide = sum(size > 1 for size in shape)
    key = name.lower()
    if _POSITION.search(key):
        return Declared(Geometry(shape), "position")
    if wide > 1:
        return _unknown(shape)
    if "norm" in type(layer).__name__.lower() and key in ("weight", "scale", "gamma", "g"):
        return _vector(shape, "scale")
    if "norm" in type(layer).__name__.lower() and key in ("bias", "offset", "beta", "b"):
        return _vector(shape, "offset")
    if key == "bias" or key.endswith("_bias"):
        return _vector(shape, "bias")
    return _vector(shape, "gate") if _GATE.fullmatch(key) else _unknown(shape)


def is_position(path: str) -> bool:
    """Whether the last part of a module's path says that it holds positions (`position_embeddings`, `wpe`)."""
    return bool(_POSITION.search(path.rpartition(".")[2].lower()))


# Subclasses are found through their bases. AdaptiveLogSoftmaxWithLoss and the Transformer classes are made of these.
TABLE: dict[type, Rule] = {
    nn.Linear: _linear,
    nn.Bilinear: _bilinear,
    _ConvTransposeNd: _conv_transposed,
    _ConvNd: _conv,
    nn.Embedding: _embedding,
    nn.EmbeddingBag: _embedding,
    nn.MultiheadAttention: _attention,
    nn.RNNBase: _recurrent,
    nn.RNNCellBase: _recurrent,
    _NormBase: _norm,  # batch and instance norms
    nn.LayerNorm: _norm,
    nn.GroupNorm: _norm,
    nn.RMSNorm: _norm,
    nn.PReLU: _slopes,
}


def rule_for(layer: nn.Module) -> Rule:
    """The function that knows this layer's parameters."""
    for cls in type(layer).__mro__:
        if cls in TABLE:
            return TABLE[cls]
    if type(layer).__name__ == "Conv1D" and hasattr(layer, "nf"):
        return _conv1d_of_transformers
    return by_name
