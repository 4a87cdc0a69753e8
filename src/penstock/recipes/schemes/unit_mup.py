"""UnitMuP: weights, signals and gradients all of size one at the start, with muP's rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class UnitMuP(Scheme):
    r"""Weights N(0, 1); the size that they would have had stands in front of the layer instead.

    .. math::
        \text{hidden: multiplier } \mathrm{fan_{in}}^{-1/2}, \text{ Adam } \mathrm{fan_{in}}^{-1/2} L^{-1/2}; \quad
        \text{output: multiplier } 1/\mathrm{fan_{in}}, \text{ Adam } 1; \quad
        \text{embedding: Adam } \mathrm{fan_{out}}^{-1/2}

    with L the number of transformer layers. A "branch" at index i (the i-th residual sum, counted from 1, attention and
    feed-forward in turn) is added as (tau * branch + x) / sqrt(1 + tau^2) with

    .. math::
        \tau_i^2 = \frac{\alpha_i^2}{L + \alpha_a^2 n_a + \alpha_f^2 n_f}, \quad
        \alpha_f^2 = 2 \alpha^2 / (\rho^2 + 1), \quad \alpha_a = \rho\, \alpha_f

    where n_a and n_f are the attention and feed-forward sums before this one.

    Attributes:
        residual: alpha, size of all branches against the embedding.
        attention_ratio: rho, size of attention branches against feed-forward ones.

    Examples:
        >>> UnitMuP().factors(Place(role="hidden", fan_in=256, depth=8)).multiplier
        0.0625

    Source:
        Blake et al. 2024, https://arxiv.org/abs/2407.17465; the `unit_scaling` package
    """

    residual: float = 1.0
    attention_ratio: float = 1.0

    name: ClassVar[str] = "unit_mup"
    formula: ClassVar[str] = "w ~ N(0, 1); y = fan_in^-1/2 W x (readout 1/fan_in); Adam lr fan_in^-1/2 L^-1/2"
    when: ClassVar[str] = "training in 8 and 16 bit formats, learning rates that carry over"
    source: ClassVar[str] = "Blake et al. 2024 (u-muP), arXiv:2407.17465; Blake et al. 2023, arXiv:2303.11257"

    def __post_init__(self) -> None:
        for argument in ("residual", "attention_ratio"):
            value = finite("UnitMuP", argument, getattr(self, argument), at_least=0.0)
            object.__setattr__(self, argument, value)

    def factors(self, place: Place) -> Factors:
        """The formulas above."""
        if place.role == "branch":
            tau = math.sqrt(self._tau_squared(place))
            joint = math.sqrt(1.0 + tau**2)
            return Factors(multiplier=tau / joint, skip=1.0 / joint)
        if place.role == "attention":
            return Factors(multiplier=1.0 / place.head_dim)
        if place.role == "embedding":
            return Factors(std=1.0, lr_adam=place.fan_out**-0.5)
        if place.role in ("bias", "norm"):
            return Factors()
        if place.role == "output":
            return Factors(std=1.0, multiplier=1.0 / place.fan_in)
        size = place.fan_in**-0.5
        return Factors(std=1.0, multiplier=size, lr_adam=size if place.role == "input" else size * place.depth**-0.5)

    def _tau_squared(self, place: Place) -> float:
        feed_forward = 2.0 * self.residual**2 / (self.attention_ratio**2 + 1.0)
        attention = self.attention_ratio**2 * feed_forward
        before = place.index - 1
        own = feed_forward if before % 2 else attention
        return own / (place.depth + attention * ((before + 1) // 2) + feed_forward * (before // 2))
