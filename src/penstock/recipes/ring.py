"""Ring: decay rates of linear recurrent units, eigenvalues uniform over a ring in the complex plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.recipes.arguments import one_of
from penstock.recipes.of_uniform import OfUniform
from penstock.recipes.recipe import finite


@final
@dataclass(frozen=True, slots=True)
class Ring(OfUniform):
    r"""The stored form of magnitudes |lambda| with |lambda|^2 uniform on (inner^2, outer^2): uniform in area.

    .. math::
        \nu_{\log} = \log(-\log|\lambda|) \text{ (LRU, } |\lambda| = e^{-e^{\nu_{\log}}}),
        \quad a = \mathrm{softplus}^{-1}(-\log|\lambda|) \text{ (RG-LRU, } |\lambda| = e^{-\mathrm{softplus}(a)})

    The RG-LRU's exponent -c softplus(a) with c = 8 times a gate is the model's own; here is the rate at c = 1.

    Attributes:
        inner: smallest magnitude, >= 0.
        outer: largest magnitude, inner < outer <= 1.
        stored: "log_log" for the LRU, "inverse_softplus" for the RG-LRU of Griffin and RecurrentGemma.
        gain: multiplies the stored value.

    Examples:
        >>> magnitudes = np.exp(-np.exp(Ring(0.5, 0.9).quantile(np.array([0.0, 1.0]))))
        >>> magnitudes.round(6).tolist()
        [0.5, 0.9]
    """

    inner: float = 0.0
    outer: float = 1.0
    stored: Literal["log_log", "inverse_softplus"] = "log_log"
    gain: float = 1.0

    name: ClassVar[str] = "ring"
    formula: ClassVar[str] = (
        "|lambda|^2 ~ U(inner^2, outer^2); w = log(-log |lambda|) or inverse softplus of -log |lambda|"
    )
    when: ClassVar[str] = "diagonal recurrences: the LRU (0..1, or 0.9..0.999 for long memory), RG-LRU (0.9..0.999)"
    source: ClassVar[str] = "Orvieto et al. 2023 (LRU), arXiv:2303.06349; De et al. 2024 (Griffin), arXiv:2402.19427"

    def __post_init__(self) -> None:
        for argument in ("inner", "outer", "gain"):
            object.__setattr__(self, argument, finite("Ring", argument, getattr(self, argument), at_least=0.0))
        one_of("Ring", "stored", self.stored, ("log_log", "inverse_softplus"))
        if not self.inner < self.outer <= 1.0:
            raise ArgumentError(
                message(
                    f"Ring: inner and outer must be 0 <= inner < outer <= 1; got {self.inner}, {self.outer}.",
                    because="a magnitude above 1 explodes",
                )
            )

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The stored value of the magnitude sqrt(inner^2 + (outer^2 - inner^2) u)."""
        rate = -0.5 * np.log(self.inner**2 + (self.outer**2 - self.inner**2) * u)
        return np.log(rate) if self.stored == "log_log" else rate + np.log(-np.expm1(-rate))
