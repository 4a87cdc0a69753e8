"""NTK: weights of std one with their size in front of the layer: tangent-kernel parametrization, equalized rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from penstock.errors import ArgumentError, message
from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class NTK(Scheme):
    r"""y = gain / sqrt(fan_in) W x with W of std 1, so that one learning rate moves all layers alike ("equalized").

    .. math::  \sigma = 1 / c, \quad \text{multiplier } c\, \mathrm{gain} / \sqrt{\mathrm{fan_{in}}}

    The network at the start is that of `VarianceScaling(gain)`; its gradients are not.

    Attributes:
        gain: RMS out over RMS in; sqrt(2) behind leaky ReLU in StyleGAN.
        lr_multiplier: c, which makes Adam's steps in this layer c times as large.

    Examples:
        >>> NTK().factors(Place(role="hidden", fan_in=256)).multiplier
        0.0625

    Source:
        Jacot, Gabriel, Hongler 2018, https://arxiv.org/abs/1806.07572; Karras et al. 2017 (equalized learning rate),
        https://arxiv.org/abs/1710.10196
    """

    gain: float = 1.0
    lr_multiplier: float = 1.0

    name: ClassVar[str] = "ntk"
    formula: ClassVar[str] = "w ~ N(0, 1/c^2), y = c gain / sqrt(fan_in) W x"
    when: ClassVar[str] = "infinite-width analysis; GANs with equalized learning rates"
    source: ClassVar[str] = "Jacot, Gabriel, Hongler 2018, arXiv:1806.07572; Karras et al. 2017, arXiv:1710.10196"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("NTK", "gain", self.gain, at_least=0.0))
        object.__setattr__(self, "lr_multiplier", finite("NTK", "lr_multiplier", self.lr_multiplier))
        if self.lr_multiplier <= 0.0:
            raise ArgumentError(message(f"NTK: lr_multiplier must be positive; got {self.lr_multiplier}."))

    def factors(self, place: Place) -> Factors:
        """The formulas for every weight; biases start at 0."""
        if place.role == "bias":
            return Factors(value=0.0, multiplier=self.lr_multiplier)
        if place.role in ("norm", "branch", "attention"):
            return Factors()
        fan_in = 1.0 if place.role == "embedding" else place.fan_in
        return Factors(std=1.0 / self.lr_multiplier, multiplier=self.lr_multiplier * self.gain / math.sqrt(fan_in))
