"""Which layer a parameter belongs to, and which of its parameters it is: what a framework's defaults are sorted by."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.geometry import Geometry
from penstock.planning.site import Site

LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter of one layer.

    Attributes:
        layer: Linear, Bilinear, Conv, ConvTranspose, Embedding, RNN, LSTM, GRU, Attention or Norm, as in
            `penstock.conventions.layer_defaults`.
        parameter: weight or bias; input, recurrent, projection of a recurrent layer, joined where one weight is on
            input and state; in_proj, in_proj_bias, out_proj_bias of attention. A recurrent layer's second bias is
            "second_bias".
        weight: axis roles of the layer's weight, for its bias too.
    """

    layer: str
    parameter: str
    weight: Geometry


def part_of(site: Site) -> Part | None:
    """Find it out from a parameter's role and use; None for those that are no layer's (gates, raw positions)."""
    role, node = site.stats.role, site.node
    if node is not None and node.kind == "norm" and role in ("scale", "offset"):
        return Part("Norm", "weight" if role == "scale" else "bias", Geometry(site.stats.shape))
    if node is not None and site.stats.cell and role in ("weight", "bias"):
        return _cells(site, site.geometry if role == "weight" else _beside(site.geometry))
    if node is None or node.kind != "contraction" or role not in ("weight", "embedding", "position", "bias"):
        return None
    weight = node.geometry
    if weight is None or not weight.is_weight:
        return None
    return _cells(site, weight) if site.cell else _of_layer(site, weight)


def _of_layer(site: Site, weight: Geometry) -> Part:
    role = site.stats.role
    layer, own = _layer(weight), "bias" if role == "bias" else "weight"
    attention = _attention(site, weight) if layer == "Linear" else None
    if attention == "in" or (attention == "out" and role == "bias"):
        return Part("Attention", f"{attention}_proj{'_bias' if role == 'bias' else ''}", weight)
    return Part(layer, own, weight)


def _cells(site: Site, weight: Geometry) -> Part:
    layer = next(layer for kind, layer in LAYERS.items() if site.cell.startswith(kind))
    part = site.cell.rsplit(".", 1)[-1]
    if site.stats.role == "bias":
        return Part(layer, "bias" if part == "input" else "second_bias", weight)
    return Part(layer, "recurrent" if part == "hidden" else part, weight)


def _beside(bias: Geometry) -> Geometry:
    """The state-to-state weight beside a bias: all that defaults ask of it is the number of units of one gate."""
    fused = bias.shape[-1]
    units = fused // max(1, len(bias.blocks))
    return Geometry((fused, units), (1,), (0,), blocks=bias.blocks, block_names=bias.block_names)


def _layer(weight: Geometry) -> str:
    if weight.lookup:
        return "Embedding"
    if weight.bilinear:
        return "Bilinear"
    if weight.window_axes:
        return "ConvTranspose" if weight.transposed else "Conv"
    return "Linear"


def _attention(site: Site, weight: Geometry) -> str | None:
    """Whether this is the projection into or out of a framework's own attention layer."""
    path, _, leaf = site.name.rpartition(".")
    if weight.block_names == ("q", "k", "v") or leaf in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
        return "in"
    parent, _, child = path.rpartition(".")
    inside = f"{parent}." if parent else ""
    siblings = (f"{inside}in_proj_weight", f"{inside}q_proj_weight")
    owned = child == "out_proj" and any(name in site.structure.measured.parameters for name in siblings)
    return "out" if owned else None
