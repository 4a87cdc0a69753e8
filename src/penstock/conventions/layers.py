"""What the layers of each framework draw when nothing is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from penstock.conventions.seen import Convention, as_seen_by, known
from penstock.geometry import Geometry
from penstock.randomness.transforms import TRUNCATED_STD
from penstock.recipes import (
    Constant,
    Normal,
    PerBlock,
    Recipe,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    lecun_uniform,
)
from penstock.recipes.semi_orthogonal import SemiOrthogonal

Default = Callable[[Geometry], Recipe]
"""From the true geometry of the layer's weight, for its bias too, to the recipe of the parameter."""


def layer_defaults(convention: Convention) -> Mapping[str, Mapping[str, Default]]:
    """What a framework's layers do when nothing is said: layer -> parameter -> rule.

    Some rules depend on the layer (PyTorch draws a bias by its weight's fan in), so each value is a function from the
    weight's geometry to the recipe, called with the geometry of the layer's weight also for a bias.

    Args:
        convention: the framework; "jax" has no layers of its own and gives Flax's.

    Returns:
        Read-only mappings. Layers: Linear, Conv, ConvTranspose, Embedding, RNN, LSTM, GRU, Attention, Norm, as far as
        the framework has a default for them. Parameters: "weight" and "bias"; recurrent layers have "input" and
        "recurrent" weights, attention "in_proj", "in_proj_bias", "out_proj", "out_proj_bias". For Haiku's LSTM "weight"
        is the one matrix on input and state together. Keras's recurrent weights are one orthogonal matrix over all
        gates, drawn with `as_seen_by("keras", geometry)`; its attention has the true fans since 3.15 (issue 22789).

    Raises:
        ArgumentError: if the framework is unknown.

    Examples:
        >>> weight = Geometry((8, 4), in_axes=(1,), out_axes=(0,))
        >>> layer_defaults("torch")["Linear"]["bias"](weight).describe()
        'uniform(bound=0.5)'
        >>> layer_defaults("flax")["Linear"]["weight"](weight).describe()
        'fan_in truncated_normal(gain=1)'

    Source:
        torch/nn/modules; keras/src/layers; flax/linen; haiku/_src
    """
    return known("layer_defaults", "convention", convention, _LAYERS)


def _always(recipe: Recipe) -> Default:
    def rule(weight: Geometry) -> Recipe:
        return recipe

    return rule


def _seen(convention: Convention, gain: float, mode: str, *, truncated: bool) -> Default:
    """Variance scaling by the fans that the framework computes, which need not be the true ones."""

    def rule(weight: Geometry) -> Recipe:
        fans = as_seen_by(convention, weight).fans
        fan = fans.fan_in if mode == "fan_in" else (fans.fan_in + fans.fan_out) / 2
        true = weight.fans.fan_in
        # As a gain for the true fan, so that the recipe still shows what the rule does to the signal.
        return VarianceScaling(
            gain * math.sqrt(true / fan) if fan else 0.0, "fan_in", "truncated_normal" if truncated else "uniform"
        )

    return rule


def _torch_bias(weight: Geometry) -> Recipe:
    """U(+-1 / sqrt(fan_in))."""
    return _bounded_by(weight.fans.fan_in)


def _torch_transposed_weight(weight: Geometry) -> Recipe:
    """PyTorch takes dimension 1, the outputs, for the inputs."""
    return VarianceScaling(1.0 / math.sqrt(3.0), "fan_out", "uniform")


def _torch_transposed_bias(weight: Geometry) -> Recipe:
    return _bounded_by(weight.fans.fan_out)


def _torch_recurrent(weight: Geometry) -> Recipe:
    """U(+-1 / sqrt(hidden size)) for all parameters; the hidden size is the fan out of one gate."""
    return _bounded_by(weight.fans.fan_out)


def _bounded_by(fan: float) -> Recipe:
    return Uniform(1.0 / math.sqrt(fan) if fan else 0.0)


def _keras_forget(weight: Geometry) -> Recipe:
    """Ones for the second of the four gates (i, f, c, o)."""
    hidden = int(weight.fans.fan_out)
    return PerBlock((0.0, 1.0, 0.0, 0.0), (hidden,) * 4)


def _flax_embedding(weight: Geometry) -> Recipe:
    """N(0, 1 / features)."""
    return Normal(1.0 / math.sqrt(weight.fans.fan_out))


_ZEROS, _ONES = _always(Constant(0.0)), _always(Constant(1.0))
_NORM = {"weight": _ONES, "bias": _ZEROS}
_LECUN_TRUNCATED = _always(VarianceScaling(1.0, "fan_in", "truncated_normal"))
_ORTHOGONAL = _always(SemiOrthogonal(1.0))
_TORCH_WEIGHT = _always(lecun_uniform(gain=1.0 / math.sqrt(3.0)))
_TORCH_RECURRENT = {"input": _torch_recurrent, "recurrent": _torch_recurrent, "bias": _torch_recurrent}
_GLOROT = _seen("keras", 1.0, "fan_avg", truncated=False)
_FLAX_RECURRENT = {"input": _LECUN_TRUNCATED, "recurrent": _ORTHOGONAL, "bias": _ZEROS}
# Haiku's TruncatedNormal(1 / sqrt(fan_in)) is not corrected for its cut.
_HAIKU_WEIGHT = _always(VarianceScaling(TRUNCATED_STD, "fan_in", "truncated_normal"))
_HAIKU_TRANSPOSED = _seen("haiku", TRUNCATED_STD, "fan_in", truncated=True)

_FLAX: Mapping[str, Mapping[str, Default]] = {
    "Linear": {"weight": _LECUN_TRUNCATED, "bias": _ZEROS},
    "Conv": {"weight": _LECUN_TRUNCATED, "bias": _ZEROS},
    "ConvTranspose": {"weight": _seen("flax", 1.0, "fan_in", truncated=True), "bias": _ZEROS},
    "Embedding": {"weight": _flax_embedding},
    "RNN": _FLAX_RECURRENT,
    "LSTM": _FLAX_RECURRENT,
    "GRU": _FLAX_RECURRENT,
    "Attention": {
        "in_proj": _LECUN_TRUNCATED,
        "in_proj_bias": _ZEROS,
        "out_proj": _LECUN_TRUNCATED,
        "out_proj_bias": _ZEROS,
    },
    "Norm": _NORM,
}
_LAYERS: Mapping[str, Mapping[str, Mapping[str, Default]]] = MappingProxyType(
    {
        "torch": {
            "Linear": {"weight": _TORCH_WEIGHT, "bias": _torch_bias},
            "Conv": {"weight": _TORCH_WEIGHT, "bias": _torch_bias},
            "ConvTranspose": {"weight": _torch_transposed_weight, "bias": _torch_transposed_bias},
            "Embedding": {"weight": _always(Normal(1.0))},
            "RNN": _TORCH_RECURRENT,
            "LSTM": _TORCH_RECURRENT,
            "GRU": _TORCH_RECURRENT,
            "Attention": {
                "in_proj": _seen("torch", 1.0, "fan_avg", truncated=False),
                "in_proj_bias": _ZEROS,
                "out_proj": _TORCH_WEIGHT,
                "out_proj_bias": _ZEROS,
            },
            "Norm": _NORM,
        },
        "keras": {
            "Linear": {"weight": _GLOROT, "bias": _ZEROS},
            "Conv": {"weight": _GLOROT, "bias": _ZEROS},
            "ConvTranspose": {"weight": _GLOROT, "bias": _ZEROS},
            "Embedding": {"weight": _always(Uniform(0.05))},
            "RNN": {"input": _GLOROT, "recurrent": _ORTHOGONAL, "bias": _ZEROS},
            "LSTM": {"input": _GLOROT, "recurrent": _ORTHOGONAL, "bias": _keras_forget},
            "GRU": {"input": _GLOROT, "recurrent": _ORTHOGONAL, "bias": _ZEROS},
            "Attention": {
                "in_proj": _GLOROT,
                "in_proj_bias": _ZEROS,
                "out_proj": _GLOROT,
                "out_proj_bias": _ZEROS,
            },
            "Norm": _NORM,
        },
        "jax": _FLAX,
        "flax": _FLAX,
        "haiku": {
            "Linear": {"weight": _HAIKU_WEIGHT, "bias": _ZEROS},
            "Conv": {"weight": _HAIKU_WEIGHT, "bias": _ZEROS},
            "ConvTranspose": {"weight": _HAIKU_TRANSPOSED, "bias": _ZEROS},
            "Embedding": {"weight": _always(TruncatedNormal(TRUNCATED_STD))},
            "RNN": {"input": _HAIKU_WEIGHT, "recurrent": _HAIKU_WEIGHT, "bias": _ZEROS},
            "LSTM": {"weight": _HAIKU_WEIGHT, "bias": _ZEROS},
            "GRU": {"input": _LECUN_TRUNCATED, "recurrent": _LECUN_TRUNCATED, "bias": _ZEROS},
            "Norm": _NORM,
        },
    }
)
