"""SpectralCondition: sizes and learning rates of matrices from their spectral norms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class SpectralCondition(Scheme):
    r"""Weights and their updates of spectral norm about sqrt(fan_out / fan_in).

    .. math::  \sigma = \frac{\mathrm{gain}}{\sqrt{n_{in}}} \min(1, \sqrt{n_{out} / n_{in}}), \quad
               \text{SGD } n_{out} / n_{in}, \quad \text{Adam } 1 / n_{in}

    The rates are absolute; one constant for all layers is left to tune. `penstock.recipes.Spectral` draws the weights,
    `penstock.recipes.Modular` has the norm exactly.

    Attributes:
        gain: >= 0.

    Examples:
        >>> round(SpectralCondition().factors(Place(role="output", fan_in=400, fan_out=4)).std, 9)
        0.005

    Source:
        Yang, Simon, Bernstein 2023, https://arxiv.org/abs/2310.17813
    """

    gain: float = 1.0

    name: ClassVar[str] = "spectral_condition"
    formula: ClassVar[str] = "std = min(1, sqrt(out/in))/sqrt(in), SGD lr out/in, Adam lr 1/in"
    when: ClassVar[str] = "learning rates that carry over in width, for any shapes, without a base model"
    source: ClassVar[str] = "Yang, Simon, Bernstein 2023, arXiv:2310.17813"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("SpectralCondition", "gain", self.gain, at_least=0.0))

    def factors(self, place: Place) -> Factors:
        """The formulas for every matrix; biases and norms are vectors, whose fan_in is 1."""
        if place.role in ("branch", "attention"):
            return Factors(multiplier=1.0 / place.head_dim if place.role == "attention" else 1.0)
        fan_in = 1.0 if place.role in ("embedding", "bias", "norm") else place.fan_in
        ratio = place.fan_out / fan_in
        std = None if place.role in ("bias", "norm") else self.gain / math.sqrt(fan_in) * min(1.0, math.sqrt(ratio))
        return Factors(std=std, lr_sgd=ratio, lr_adam=1.0 / fan_in)
