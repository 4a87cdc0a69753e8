"""Olmo: the four laws that one family of open language models was trained with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from penstock.recipes.arguments import one_of
from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme

OlmoLaw = Literal["normal", "llama", "llama_depth", "normalized"]


@final
@dataclass(frozen=True, slots=True)
class Olmo(Scheme):
    r"""OLMo-core's laws; every weight is cut at three standard deviations there.

    "normal": std 0.02 for all. "llama": embeddings N(0, 1), the head 1 / sqrt(width), branch ends 0.02 / sqrt(2 L).
    "llama_depth": the same with 0.02 / sqrt(2 l) in block l. "normalized" (nGPT): 1 / sqrt(width) for all, branch ends
    over sqrt(2 L). There the role "branch_out" has w_out and w2, and in the two llama laws w3 as well.

    Attributes:
        law: which one.
        std: of the weights, save in "normalized".

    Examples:
        >>> Olmo("llama").factors(Place(role="branch_out", fan_in=64, depth=8)).std
        0.005

    Source:
        OLMo-core, nn/transformer/init.py; Team OLMo 2024, https://arxiv.org/abs/2501.00656 (normal, std 0.02)
    """

    law: OlmoLaw = "normal"
    std: float = 0.02

    name: ClassVar[str] = "olmo"
    formula: ClassVar[str] = "std 0.02; or branch ends 0.02 / sqrt(2 L or 2 l), embedding 1, head d^-1/2; or d^-1/2"
    when: ClassVar[str] = "decoders that should start as an OLMo model did"
    source: ClassVar[str] = "OLMo-core; Team OLMo 2024, arXiv:2501.00656"

    def __post_init__(self) -> None:
        one_of("Olmo", "law", self.law, ("normal", "llama", "llama_depth", "normalized"))
        object.__setattr__(self, "std", finite("Olmo", "std", self.std, at_least=0.0))

    def factors(self, place: Place) -> Factors:
        """Std by role, and for branch ends by depth."""
        if place.role in ("bias", "norm"):
            return Factors(value=1.0 if place.role == "norm" else 0.0)
        if place.role in ("branch", "attention"):
            return Factors()
        return Factors(std=self.std if self.law == "normal" else self._std(place))

    def _std(self, place: Place) -> float:
        own = place.fan_in**-0.5
        if place.role == "embedding":
            # A look-up reads one row: fan_in is 1, and the width is what it makes.
            return place.fan_out**-0.5 if self.law == "normalized" else 1.0
        if place.role == "output":
            return own
        std = own if self.law == "normalized" else self.std
        sums = 2.0 * (place.index if self.law == "llama_depth" else place.depth)
        return std / math.sqrt(sums) if place.role == "branch_out" else std
