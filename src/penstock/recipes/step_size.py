"""StepSize: time steps of state-space models, spread evenly over their orders of magnitude."""

from __future__ import annotations

import math
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
class StepSize(OfUniform):
    r"""The stored form of a time step dt whose logarithm is uniform on (log low, log high).

    .. math::  w = \log dt \quad \text{or} \quad w = \mathrm{softplus}^{-1}(dt) = dt + \log(1 - e^{-dt})

    Attributes:
        low: smallest step, > 0.
        high: largest step, > low.
        stored: "log" where the model computes exp(w) (S4, S5), "inverse_softplus" where it computes softplus(w) (the
            bias of Mamba's dt).
        floor: smaller steps are raised to this, as Mamba does to its own at 1e-4.
        gain: multiplies the stored value.

    Examples:
        >>> dt = np.log1p(np.exp(StepSize(stored="inverse_softplus").quantile(np.array([0.0, 1.0]))))
        >>> dt.round(6).tolist()
        [0.001, 0.1]
    """

    low: float = 1e-3
    high: float = 0.1
    stored: Literal["log", "inverse_softplus"] = "log"
    floor: float = 0.0
    gain: float = 1.0

    name: ClassVar[str] = "step_size"
    formula: ClassVar[str] = "log dt ~ U(log low, log high); w = log dt or dt + log(1 - exp(-dt))"
    when: ClassVar[str] = "time steps of S4, S5 (log) and Mamba (inverse softplus)"
    source: ClassVar[str] = "Gu, Goel, Ré 2021 (S4), arXiv:2111.00396; Gu & Dao 2023 (Mamba), arXiv:2312.00752"

    def __post_init__(self) -> None:
        for argument in ("low", "high", "floor", "gain"):
            value = finite("StepSize", argument, getattr(self, argument), at_least=0.0)
            object.__setattr__(self, argument, value)
        one_of("StepSize", "stored", self.stored, ("log", "inverse_softplus"))
        if not 0.0 < self.low < self.high:
            fact = f"StepSize: low and high must be 0 < low < high; got low={self.low}, high={self.high}."
            raise ArgumentError(message(fact, hint="StepSize(1e-3, 0.1)"))

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The stored value of low (high / low)^u."""
        log_step = math.log(self.low) + math.log(self.high / self.low) * u
        if self.floor:
            log_step = np.maximum(log_step, math.log(self.floor))
        if self.stored == "log":
            return log_step
        step = np.exp(log_step)
        return step + np.log(-np.expm1(-step))
