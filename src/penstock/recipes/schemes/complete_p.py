"""CompleteP and Depth-muP: muP for networks that grow deeper too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from penstock.recipes.recipe import finite
from penstock.recipes.schemes.mup import MuP
from penstock.recipes.schemes.scheme import Factors, Place, Scheme


@final
@dataclass(frozen=True, slots=True)
class CompleteP(Scheme):
    r"""MuP, and each residual branch times (depth / base depth)^-alpha.

    .. math::
        \text{branch } m_L^{-\alpha}; \quad \text{Adam, hidden } m_L^{\alpha - 1} / m, \quad \text{bias, norm }
        m_L^{\alpha - 1}; \quad \epsilon\; m^{-1} m_L^{-\alpha}; \quad \text{decay, hidden } m

    The last weights of the branches keep the std of hidden ones: no 1 / sqrt(2 depth). alpha = 1 is CompleteP, under
    which every layer keeps learning non-trivially; alpha = 1/2 is Depth-muP, whose theory covers branches of one layer.

    Attributes:
        alpha: 1/2 to 1.
        gain: of the base model's weights.
        width_multiplier: as for `MuP`.
        depth_multiplier: m_L of a place that does not say how deep its base model is.

    Examples:
        >>> place = Place(role="branch", depth=64, base_depth=4)
        >>> CompleteP().factors(place).multiplier, CompleteP(0.5).factors(place).multiplier
        (0.0625, 0.25)

    Source:
        Dey et al. 2025, https://arxiv.org/abs/2505.01618; alpha = 1/2: Yang et al. 2023,
        https://arxiv.org/abs/2310.02244
    """

    alpha: float = 1.0
    gain: float = 1.0
    width_multiplier: float = 1.0
    depth_multiplier: float = 1.0

    name: ClassVar[str] = "complete_p"
    formula: ClassVar[str] = (
        "muP; branch m_L^-alpha, hidden Adam lr m_L^(alpha-1)/m, eps m^-1 m_L^-alpha; alpha = 1 or 1/2"
    )
    when: ClassVar[str] = "learning rates that carry over in width and depth (alpha = 1/2: Depth-muP)"
    source: ClassVar[str] = "Dey et al. 2025, arXiv:2505.01618; Yang et al. 2023 (Depth-muP), arXiv:2310.02244"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", finite("CompleteP", "alpha", self.alpha, at_least=0.0))
        object.__setattr__(self, "gain", finite("CompleteP", "gain", self.gain, at_least=0.0))
        for argument in ("width_multiplier", "depth_multiplier"):
            value = finite("CompleteP", argument, getattr(self, argument), at_least=1e-30)
            object.__setattr__(self, argument, value)

    def factors(self, place: Place) -> Factors:
        """MuP's numbers with those of the depth."""
        base = MuP(self.gain, width_multiplier=self.width_multiplier)
        plain, (m_in, m_out) = base.factors(place), base.widths(place)
        deeper = self.depth_multiplier if place.base_depth is None else place.deeper
        if place.role == "branch":
            return replace(plain, multiplier=deeper**-self.alpha)
        rate = deeper ** (self.alpha - 1.0)
        if place.role in ("hidden", "query_key", "value", "branch_out"):
            return replace(plain, lr_adam=plain.lr_adam * rate, epsilon=deeper**-self.alpha / m_in)
        if place.role in ("bias", "norm"):
            return replace(plain, lr_adam=plain.lr_adam * rate, epsilon=deeper**-self.alpha / m_out)
        return plain


def depth_mup(*, gain: float = 1.0) -> CompleteP:
    """`CompleteP` with alpha = 1/2: branches times 1 / sqrt(depth), and so the rate.

    Source:
        Yang et al. 2023, https://arxiv.org/abs/2310.02244
    """
    return CompleteP(0.5, gain)
