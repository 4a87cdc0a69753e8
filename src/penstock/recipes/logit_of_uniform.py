"""LogitOfUniform: biases of gates whose activations are uniform."""

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
class LogitOfUniform(OfUniform):
    """Independent elements log(u / (1 - u)), u uniform on (margin, 1 - margin).

    Attributes:
        margin: 0 < margin <= 1/2.
        gain: multiplies the values.

    Examples:
        >>> LogitOfUniform(0.1).quantile(np.array([0.0, 0.5, 1.0])).round(4).tolist()
        [-2.1972, 0.0, 2.1972]
    """

    margin: float
    gain: float = 1.0

    name: ClassVar[str] = "logit_of_uniform"
    formula: ClassVar[str] = "w = log(u / (1 - u)), u ~ U(margin, 1 - margin)"
    when: ClassVar[str] = "the bias of one gate, see uniform_gate"
    source: ClassVar[str] = "Gu et al. 2020, arXiv:1910.09890"

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", finite("LogitOfUniform", "margin", self.margin))
        object.__setattr__(self, "gain", finite("LogitOfUniform", "gain", self.gain, at_least=0.0))
        if not 0.0 < self.margin <= 0.5:
            raise ArgumentError(message(f"LogitOfUniform: margin must be 0 < margin <= 1/2; got {self.margin}."))

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The logit of margin + (1 - 2 margin) u."""
        inside = self.margin + (1.0 - 2.0 * self.margin) * u
        return np.log(inside) - np.log1p(-inside)
