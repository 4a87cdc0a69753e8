"""MuP: widths may grow while the best learning rate stays where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class MuP(Scheme):
    r"""The maximal update parametrization, as factors against a base model (m = width over base width).

    | place | std | multiplier | SGD | Adam |
    | --- | --- | --- | --- | --- |
    | input, embedding, bias, norm | gain / sqrt(fan_in), embedding gain | 1 | m_out | 1 |
    | hidden | gain / sqrt(fan_in) | 1 | m_out / m_in | 1 / m_in |
    | output | gain / sqrt(base fan_in) | 1 / m_in | m_in | 1 |
    | attention logits | | 1 / head_dim, instead of 1 / sqrt(head_dim) | | |

    The readout's rows are those of the paper's table 8, which has a multiplier instead of the smaller std and rate of
    its table 3; both train alike. In the base model itself all factors are 1, but for the attention's.

    Attributes:
        gain: of the base model's weights.
        zero_output: whether the readout starts at 0, which the authors recommend (with zero queries).
        width_multiplier: m of a place that does not say how wide its base model is: the width of this model over that
            of the base model, on which the learning rate was tuned.

    Examples:
        >>> MuP(width_multiplier=4.0).factors(Place(role="hidden", fan_in=1024, fan_out=1024)).lr_adam
        0.25
        >>> MuP().factors(Place(role="hidden", fan_in=1024, fan_out=1024, base_fan_in=256, base_fan_out=256)).lr_adam
        0.25

    Source:
        Yang & Hu et al. 2022 (Tensor Programs V), tables 3 and 8, https://arxiv.org/abs/2203.03466; the `mup` package
    """

    gain: float = 1.0
    zero_output: bool = False
    width_multiplier: float = 1.0

    name: ClassVar[str] = "mup"
    formula: ClassVar[str] = "hidden std 1/sqrt(fan_in), Adam lr 1/m; readout times 1/m; attention q k / head_dim"
    when: ClassVar[str] = "tuning the learning rate on a narrow model and using it on a wide one"
    source: ClassVar[str] = "Yang, Hu et al. 2022 (Tensor Programs V), arXiv:2203.03466"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("MuP", "gain", self.gain, at_least=0.0))
        multiplier = finite("MuP", "width_multiplier", self.width_multiplier, at_least=1e-30)
        object.__setattr__(self, "width_multiplier", multiplier)

    def factors(self, place: Place) -> Factors:
        """The table above."""
        m_in, m_out = self.widths(place)
        if place.role == "attention":
            return Factors(multiplier=1.0 / place.head_dim)
        if place.role in ("branch", "bias", "norm"):
            return Factors(lr_sgd=1.0 if place.role == "branch" else m_out)
        if place.role == "embedding":
            return Factors(std=self.gain, lr_sgd=m_out)
        std = self.gain / math.sqrt(place.fan_in)
        if place.role == "input":
            return Factors(std=std, lr_sgd=m_out)
        if place.role == "output":
            std = 0.0 if self.zero_output else self.gain * math.sqrt(m_in / place.fan_in)
            value = 0.0 if self.zero_output else None
            return Factors(std=std, value=value, multiplier=1.0 / m_in, lr_sgd=m_in)
        # Decay is per step learning rate * decay: with the rate 1 / m_in, the product stays what it was.
        return Factors(std=std, lr_sgd=m_out / m_in, lr_adam=1.0 / m_in, weight_decay=m_in)

    def widths(self, place: Place) -> tuple[float, float]:
        """(m_in, m_out): over the base model's fans where the place has them, else by which of its axes grow."""
        m = self.width_multiplier
        m_in = m if place.base_fan_in is None and place.role in _WIDE_IN else place.width_in
        m_out = m if place.base_fan_out is None and place.role not in ("output", "branch") else place.width_out
        return m_in, m_out


_WIDE_IN = ("hidden", "query_key", "value", "branch_out", "output")
"""Roles whose inputs are units of the network: those of the others are data, tokens, or nothing."""
