"""Fixup: residual networks without norms, whose updates do not grow with depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from penstock.errors import ArgumentError, message
from penstock.recipes.arguments import one_of
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class Fixup(Scheme):
    r"""He's rule times L^(-1 / (2 m - 2)) inside a branch of m weights, zeros at its end and in the head.

    .. math::  \sigma = \sqrt{2 / \mathrm{fan}}\; L^{-1 / (2m - 2)}

    with L residual blocks. The model also needs a scalar bias (0) before every convolution, linear layer and
    activation, and a scalar multiplier (1) in every branch. Branches of one weight are zero and have nothing to scale.

    Attributes:
        fan: of He's rule; the authors' code takes fan_out.

    Examples:
        >>> place = Place(role="hidden", fan_out=200, depth=16, branch_layers=2)
        >>> Fixup().factors(place).std
        0.025

    Source:
        Zhang, Dauphin, Ma 2019, https://arxiv.org/abs/1901.09321
    """

    fan: Literal["fan_in", "fan_out"] = "fan_out"

    name: ClassVar[str] = "fixup"
    formula: ClassVar[str] = (
        "He times L^(-1/(2m-2)); last weight of each branch and head 0; scalar biases 0, multipliers 1"
    )
    when: ClassVar[str] = "residual networks without norms"
    source: ClassVar[str] = "Zhang, Dauphin, Ma 2019, arXiv:1901.09321"

    def __post_init__(self) -> None:
        one_of("Fixup", "fan", self.fan, ("fan_in", "fan_out"))

    def factors(self, place: Place) -> Factors:
        """Std by role; a transformer's attention counts as a branch of four weights."""
        if place.role in ("branch_out", "output", "bias"):
            return Factors(std=None if place.role == "bias" else 0.0, value=0.0)
        if place.role == "branch":
            return Factors(multiplier=1.0, trainable=True)
        if place.role in ("hidden", "query_key", "value"):
            if place.branch_layers < 2:
                raise ArgumentError(
                    message(
                        "Fixup.factors: branch_layers must be 2 or more for a weight inside a branch; got 1.",
                        hint='Place(role="branch_out", ...), for the last weight of a branch',
                    )
                )
            he = math.sqrt(2.0 / getattr(place, self.fan))
            return Factors(std=he * place.depth ** (-1.0 / (2 * place.branch_layers - 2)))
        return Factors()
