"""SkipInit, ReZero, LayerScale and StableResNet: a number in front of each residual branch, all else as it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from penstock.recipes.arguments import one_of
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class SkipInit(Scheme):
    """x + alpha f(x), alpha a scalar that learns, 0 at the start or 1 / sqrt(depth).

    Attributes:
        start: "zero", or "depth" for 1 / sqrt(depth).

    Examples:
        >>> SkipInit().factors(Place(role="branch", depth=16)).multiplier
        0.0

    Source:
        De & Smith 2020, https://arxiv.org/abs/2002.10444
    """

    start: Literal["zero", "depth"] = "zero"

    name: ClassVar[str] = "skip_init"
    formula: ClassVar[str] = "x + alpha f(x), alpha = 0 or 1/sqrt(L), learnt"
    when: ClassVar[str] = "residual networks without batch norm"
    source: ClassVar[str] = "De & Smith 2020, arXiv:2002.10444"

    def __post_init__(self) -> None:
        one_of("SkipInit", "start", self.start, ("zero", "depth"))

    def factors(self, place: Place) -> Factors:
        """The branch's scale."""
        if place.role != "branch":
            return Factors()
        start = 0.0 if self.start == "zero" else 1.0 / math.sqrt(place.depth)
        return Factors(multiplier=start, value=start, trainable=True)


@final
@dataclass(frozen=True, slots=True)
class ReZero(Scheme):
    """x + alpha f(x), one scalar alpha = 0 for each layer, shared by its attention and feed-forward; no norms.

    Examples:
        >>> ReZero().factors(Place(role="branch")).trainable
        True

    Source:
        Bachlechner et al. 2021, https://arxiv.org/abs/2003.04887
    """

    name: ClassVar[str] = "re_zero"
    formula: ClassVar[str] = "x + alpha f(x), alpha = 0, learnt"
    when: ClassVar[str] = "residual networks and transformers without norms"
    source: ClassVar[str] = "Bachlechner et al. 2021, arXiv:2003.04887"

    def factors(self, place: Place) -> Factors:
        """The branch's scale."""
        return Factors(multiplier=0.0, value=0.0, trainable=True) if place.role == "branch" else Factors()


@final
@dataclass(frozen=True, slots=True)
class LayerScale(Scheme):
    """x + gamma * f(x), gamma one number a channel that learns, smaller for deeper networks.

    0.1 up to 18 layers, 1e-5 up to 24, 1e-6 beyond.

    Examples:
        >>> [LayerScale().factors(Place(role="branch", depth=depth)).multiplier for depth in (12, 24, 36)]
        [0.1, 1e-05, 1e-06]

    Source:
        Touvron et al. 2021 (CaiT), https://arxiv.org/abs/2103.17239
    """

    name: ClassVar[str] = "layer_scale"
    formula: ClassVar[str] = "x + gamma * f(x), gamma a channel: 0.1 (L <= 18), 1e-5 (L <= 24), 1e-6"
    when: ClassVar[str] = "deep vision transformers and ConvNeXt (1e-6)"
    source: ClassVar[str] = "Touvron et al. 2021 (CaiT), arXiv:2103.17239"

    def factors(self, place: Place) -> Factors:
        """The branch's scale."""
        if place.role != "branch":
            return Factors()
        start = 0.1 if place.depth <= 18 else 1e-5 if place.depth <= 24 else 1e-6
        return Factors(multiplier=start, value=start, trainable=True)


@final
@dataclass(frozen=True, slots=True)
class StableResNet(Scheme):
    """x + f(x) / sqrt(depth), fixed, so that signal and gradient stay bounded at any depth.

    Examples:
        >>> StableResNet().factors(Place(role="branch", depth=16)).multiplier
        0.25

    Source:
        Hayou et al. 2021, https://arxiv.org/abs/2010.12859
    """

    name: ClassVar[str] = "stable_resnet"
    formula: ClassVar[str] = "x + f(x) / sqrt(L)"
    when: ClassVar[str] = "deep residual networks without norms"
    source: ClassVar[str] = "Hayou et al. 2021, arXiv:2010.12859"

    def factors(self, place: Place) -> Factors:
        """The branch's scale."""
        return Factors(multiplier=1.0 / math.sqrt(place.depth)) if place.role == "branch" else Factors()
