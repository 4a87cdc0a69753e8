"""GPT2 and Llama: one small std everywhere, smaller still where residual branches end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from penstock.recipes.arguments import count
from penstock.recipes.recipe import finite
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class GPT2(Scheme):
    r"""std 0.02 for all weights and embeddings, and 0.02 / sqrt(residual sums) for the last weight of each branch.

    With two sums a layer the stream's variance then grows to twice that of one branch over the whole depth. The same
    rule is Megatron's "scaled normal"; Mamba uses it with one sum a layer.

    Attributes:
        std: of all weights.
        sums_per_layer: residual sums in one layer.

    Examples:
        >>> GPT2().factors(Place(role="branch_out", depth=8)).std
        0.005

    Source:
        Radford et al. 2019 (GPT-2), section 2.3; the numbers as in nanoGPT
    """

    std: float = 0.02
    sums_per_layer: int = 2

    name: ClassVar[str] = "gpt2"
    formula: ClassVar[str] = "std 0.02; branch ends 0.02 / sqrt(2 L)"
    when: ClassVar[str] = "decoders with norms before each branch"
    source: ClassVar[str] = "Radford et al. 2019 (GPT-2); Shoeybi et al. 2019 (Megatron), arXiv:1909.08053"

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", finite("GPT2", "std", self.std, at_least=0.0))
        object.__setattr__(self, "sums_per_layer", count("GPT2", "sums_per_layer", self.sums_per_layer))

    def factors(self, place: Place) -> Factors:
        """Std by role; biases 0 and norms 1."""
        if place.role == "branch_out":
            return Factors(std=self.std / math.sqrt(self.sums_per_layer * place.depth))
        if place.role in ("bias", "norm"):
            return Factors(value=1.0 if place.role == "norm" else 0.0)
        return Factors() if place.role in ("branch", "attention") else Factors(std=self.std)


@final
@dataclass(frozen=True, slots=True)
class Llama(Scheme):
    r"""torchtitan's Llama 3: embeddings N(0, 1), std 0.02, and 0.02 / sqrt(2 l) for the output projections of layer l.

    Give the role "branch_out" to wo and, as there, to w2 and w3 of the feed-forward layer. The head is truncated at
    three standard deviations of 1 / sqrt(width).

    Attributes:
        std: of the weights.

    Examples:
        >>> Llama().factors(Place(role="branch_out", index=2, depth=8)).std
        0.01

    Source:
        torchtitan, models/llama3
    """

    std: float = 0.02

    name: ClassVar[str] = "llama"
    formula: ClassVar[str] = "embedding 1, weights 0.02, branch ends 0.02 / sqrt(2 l) by layer number l, head d^-1/2"
    when: ClassVar[str] = "Llama-like decoders"
    source: ClassVar[str] = "torchtitan, models/llama3"

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", finite("Llama", "std", self.std, at_least=0.0))

    def factors(self, place: Place) -> Factors:
        """Std by role and layer number."""
        if place.role == "embedding":
            return Factors(std=1.0)
        if place.role == "output":
            return Factors(std=place.fan_in**-0.5)
        if place.role == "branch_out":
            return Factors(std=self.std / math.sqrt(2.0 * place.index))
        if place.role in ("bias", "norm"):
            return Factors(value=1.0 if place.role == "norm" else 0.0)
        return Factors() if place.role in ("branch", "attention") else Factors(std=self.std)
