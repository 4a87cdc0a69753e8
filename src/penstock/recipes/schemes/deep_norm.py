"""DeepNorm: norms after each sum, trained a thousand layers deep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from penstock.errors import ArgumentError, message
from penstock.recipes.arguments import count, one_of
from penstock.recipes.schemes.scheme import Factors, Place, Scheme

_SINGLE = ("encoder", "decoder")


@final
@dataclass(frozen=True, slots=True)
class DeepNorm(Scheme):
    r"""x <- norm(alpha x + branch(x)), with values, outputs and feed-forward weights drawn by Glorot's rule times beta.

    | network | alpha | beta |
    | --- | --- | --- |
    | encoder alone, or decoder alone, of N layers | (2 N)^(1/4) | (8 N)^(-1/4) |
    | the encoder before M decoder layers | 0.81 (N^4 M)^(1/16) | 0.87 (N^4 M)^(-1/16) |
    | the decoder of M layers behind an encoder | (3 M)^(1/4) | (12 M)^(-1/4) |

    Queries, keys, embeddings and the readout keep gain 1. These are the paper's numbers; the published code differs
    from them (it divides the encoder's weights by a factor 1.15 where the paper multiplies by 0.87, and scales biases
    too).

    Attributes:
        encoder: N, layers; 0 for none.
        decoder: M, layers; 0 for none.
        part: to which the places belong.

    Examples:
        >>> DeepNorm(encoder=6).alpha, round(DeepNorm(encoder=6).beta, 9)
        (1.8612097182041991, 0.379917843)

    Source:
        Wang et al. 2022 (DeepNet), https://arxiv.org/abs/2203.00555
    """

    encoder: int = 0
    decoder: int = 0
    part: Literal["encoder", "decoder"] = "encoder"

    name: ClassVar[str] = "deep_norm"
    formula: ClassVar[str] = "norm(alpha x + f(x)), alpha = (2N)^1/4; Glorot times beta = (8N)^-1/4 on v, out, fc"
    when: ClassVar[str] = "very deep transformers with norms after each sum"
    source: ClassVar[str] = "Wang et al. 2022 (DeepNet), arXiv:2203.00555"

    def __post_init__(self) -> None:
        for argument in _SINGLE:
            object.__setattr__(self, argument, count("DeepNorm", argument, getattr(self, argument), at_least=0))
        one_of("DeepNorm", "part", self.part, _SINGLE)
        if getattr(self, self.part) == 0:
            fact = f"DeepNorm: {self.part} must be the number of its layers; got 0 with part={self.part!r}."
            raise ArgumentError(message(fact, hint=f"DeepNorm({self.part}=12, part={self.part!r})"))

    @property
    def alpha(self) -> float:
        """Of the stream, at each sum."""
        if not (self.encoder and self.decoder):
            return (2.0 * (self.encoder + self.decoder)) ** 0.25
        if self.part == "encoder":
            return 0.81 * (self.encoder**4 * self.decoder) ** 0.0625
        return (3.0 * self.decoder) ** 0.25

    @property
    def beta(self) -> float:
        """Gain of values, outputs and feed-forward weights."""
        if not (self.encoder and self.decoder):
            return (8.0 * (self.encoder + self.decoder)) ** -0.25
        if self.part == "encoder":
            return 0.87 * (self.encoder**4 * self.decoder) ** -0.0625
        return (12.0 * self.decoder) ** -0.25

    def factors(self, place: Place) -> Factors:
        """Alpha at the branches' sums, beta on the weights that change the branch's size."""
        if place.role == "branch":
            return Factors(skip=self.alpha)
        if place.role in ("hidden", "value", "branch_out"):
            return Factors(std=self.beta * place.glorot)
        if place.role in ("query_key", "input", "output"):
            return Factors(std=place.glorot)
        return Factors(value=0.0) if place.role == "bias" else Factors()
