"""SubLN: a second norm inside each branch, and weights that grow slowly with depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from penstock.errors import ArgumentError, message
from penstock.recipes.arguments import count, one_of
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class SubLN(Scheme):
    r"""Glorot's rule times gamma for values, outputs and feed-forward weights (Magneto).

    .. math::
        \gamma = \sqrt{\log 2N} \text{ (encoder or decoder alone)}, \quad
        \sqrt{\tfrac13 \log(3M) \log(2N)} \text{ (encoder of both)}, \quad \sqrt{\log 3M} \text{ (decoder of both)}

    In the decoder of both, cross-attention keeps gain 1.

    Attributes:
        encoder: N, layers; 0 for none.
        decoder: M, layers; 0 for none.
        part: to which the places belong.

    Examples:
        >>> round(SubLN(decoder=12, part="decoder").gamma, 6)
        1.78271

    Source:
        Wang et al. 2022 (Foundation transformers), https://arxiv.org/abs/2210.06423
    """

    encoder: int = 0
    decoder: int = 0
    part: Literal["encoder", "decoder"] = "encoder"

    name: ClassVar[str] = "sub_ln"
    formula: ClassVar[str] = "Glorot times sqrt(log 2N) on v, out, fc"
    when: ClassVar[str] = "transformers with a norm before and inside each branch (Magneto)"
    source: ClassVar[str] = "Wang et al. 2022, arXiv:2210.06423"

    def __post_init__(self) -> None:
        for argument in ("encoder", "decoder"):
            object.__setattr__(self, argument, count("SubLN", argument, getattr(self, argument), at_least=0))
        one_of("SubLN", "part", self.part, ("encoder", "decoder"))
        if getattr(self, self.part) == 0:
            fact = f"SubLN: {self.part} must be the number of its layers; got 0 with part={self.part!r}."
            raise ArgumentError(message(fact, hint=f"SubLN({self.part}=12, part={self.part!r})"))

    @property
    def gamma(self) -> float:
        """Gain of values, outputs and feed-forward weights."""
        if not (self.encoder and self.decoder):
            return math.sqrt(math.log(2.0 * (self.encoder + self.decoder)))
        if self.part == "encoder":
            return math.sqrt(math.log(3.0 * self.decoder) * math.log(2.0 * self.encoder) / 3.0)
        return math.sqrt(math.log(3.0 * self.decoder))

    def factors(self, place: Place) -> Factors:
        """Glorot's std, times gamma on the weights that change the branch's size."""
        if place.role in ("hidden", "value", "branch_out"):
            return Factors(std=self.gamma * place.glorot)
        if place.role in ("query_key", "input", "output"):
            return Factors(std=place.glorot)
        return Factors(value=0.0) if place.role == "bias" else Factors()
