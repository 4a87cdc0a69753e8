"""DSInit: uniform weights that shrink with the layer's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class DSInit(Scheme):
    r"""Depth-scaled: U(+-gamma alpha / sqrt(l)) in layer l, with gamma = sqrt(6 / (fan_in + fan_out)), Glorot's bound.

    Attributes:
        alpha: 0 to 1.

    Examples:
        >>> place = Place(role="hidden", fan_in=512, fan_out=512, index=4)
        >>> DSInit().factors(place).std / place.glorot
        0.5

    Source:
        Zhang, Titov, Sennrich 2019, https://arxiv.org/abs/1908.11365
    """

    alpha: float = 1.0

    name: ClassVar[str] = "ds_init"
    formula: ClassVar[str] = "w ~ U(+-alpha sqrt(6/(fan_in+fan_out)) / sqrt(l)) in layer l"
    when: ClassVar[str] = "deep transformers with norms after each sum"
    source: ClassVar[str] = "Zhang, Titov, Sennrich 2019, arXiv:1908.11365"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", finite("DSInit", "alpha", self.alpha, at_least=0.0))

    def factors(self, place: Place) -> Factors:
        """Glorot's std, inside the blocks times alpha / sqrt(index)."""
        if place.role in ("hidden", "query_key", "value", "branch_out"):
            return Factors(std=self.alpha * place.glorot * place.index**-0.5)
        if place.role in ("input", "output"):
            return Factors(std=place.glorot)
        return Factors(value=0.0) if place.role == "bias" else Factors()
