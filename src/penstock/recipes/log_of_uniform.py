"""LogOfUniform: the logarithm of a uniform number, for parameters that are stored as logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.recipes.of_uniform import OfUniform
from penstock.recipes.recipe import finite


@final
@dataclass(frozen=True, slots=True)
class LogOfUniform(OfUniform):
    """Independent elements log(u), u uniform on (low, high): exp of the parameter is uniform.

    Attributes:
        low: lower end of u, >= 0.
        high: upper end of u, > low.
        gain: multiplies the logarithm.

    Examples:
        >>> LogOfUniform(1.0, 16.0).describe()
        'log_of_uniform(low=1, high=16, gain=1)'
    """

    low: float
    high: float
    gain: float = 1.0

    name: ClassVar[str] = "log_of_uniform"
    formula: ClassVar[str] = "w = log u, u ~ U(low, high)"
    when: ClassVar[str] = "A_log of Mamba-2 (1, 16); the phases of a linear recurrent unit (0, largest phase)"
    source: ClassVar[str] = "Dao & Gu 2024 (Mamba-2), arXiv:2405.21060; Orvieto et al. 2023, arXiv:2303.06349"

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", finite("LogOfUniform", "low", self.low, at_least=0.0))
        object.__setattr__(self, "high", finite("LogOfUniform", "high", self.high, at_least=0.0))
        object.__setattr__(self, "gain", finite("LogOfUniform", "gain", self.gain, at_least=0.0))
        if self.high <= self.low:
            raise ArgumentError(
                message(f"LogOfUniform: high must be larger than low; got low={self.low}, high={self.high}.")
            )

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """log(low + (high - low) u)."""
        return np.log(self.low + (self.high - self.low) * u)
