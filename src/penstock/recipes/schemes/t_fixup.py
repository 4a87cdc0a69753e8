"""TFixup: transformers without layer norm and without warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from penstock.recipes.arguments import one_of
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class TFixup(Scheme):
    r"""Glorot's rule, with values, branch ends and feed-forward weights scaled down by the depth N.

    .. math::
        \text{encoder: } 0.67\, N^{-1/4}, \quad \text{decoder: } (9 N)^{-1/4}, \quad
        \text{embeddings: } d^{-1/2} (9 N)^{-1/4}

    Queries and keys stay at Glorot's rule. In code that draws packed (3 d, d) projections, values need another sqrt(2),
    because the packed fan_out makes them smaller; here the fans are those of one projection.

    Attributes:
        part: of the network; place.depth is its own number of layers.

    Examples:
        >>> place = Place(role="value", fan_in=512, fan_out=512, depth=16)
        >>> round(TFixup("encoder").factors(place).std / place.glorot, 6)
        0.335

    Source:
        Huang, Perez, Ba, Volkovs 2020, ICML, and its code
    """

    part: Literal["encoder", "decoder"] = "encoder"

    name: ClassVar[str] = "t_fixup"
    formula: ClassVar[str] = "Glorot times 0.67 N^-1/4 (encoder) or (9 N)^-1/4 (decoder) on v, out, fc; no layer norm"
    when: ClassVar[str] = "transformers without layer norm and warm-up"
    source: ClassVar[str] = "Huang, Perez, Ba, Volkovs 2020, ICML"

    def __post_init__(self) -> None:
        one_of("TFixup", "part", self.part, ("encoder", "decoder"))

    def factors(self, place: Place) -> Factors:
        """Std by role; "hidden" and "branch_out" are the feed-forward weights and the attention's output."""
        nine = (9.0 * place.depth) ** -0.25
        if place.role == "embedding":
            return Factors(std=place.fan_out**-0.5 * nine)
        if place.role in ("value", "hidden", "branch_out"):
            factor = 0.67 * place.depth**-0.25 if self.part == "encoder" else nine
            return Factors(std=factor * place.glorot)
        if place.role in ("query_key", "input", "output"):
            return Factors(std=place.glorot)
        return Factors(value=0.0) if place.role == "bias" else Factors()
