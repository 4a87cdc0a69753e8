"""LogIndex: log 1, log 2, ... along the last axis, the decay rates of Mamba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes.recipe import finite
from penstock.recipes.structured import Fixed


@final
@dataclass(frozen=True, slots=True)
class LogIndex(Fixed):
    """w[..., n] = gain * log(n + 1): Mamba's A_log, so that A = -exp(A_log) = -1 ... -N (S4D-Real).

    Attributes:
        gain: multiplies all values.

    Examples:
        >>> np.exp(LogIndex().draw(Geometry((2, 4)), 0)[1]).round(4).tolist()
        [1.0, 2.0, 3.0, 4.0]
    """

    gain: float = 1.0

    name: ClassVar[str] = "log_index"
    formula: ClassVar[str] = "w[..., n] = log(n + 1)"
    when: ClassVar[str] = "A_log of Mamba"
    source: ClassVar[str] = "Gu & Dao 2023 (Mamba), section 3.6, arXiv:2312.00752"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("LogIndex", "gain", self.gain))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The logarithms, repeated over the leading axes; the key plays no part."""
        if not geometry.shape:
            raise ShapeError(message("LogIndex.draw: the shape must be (..., N); got ()."))
        return np.broadcast_to(self.gain * np.log(np.arange(1.0, geometry.shape[-1] + 1.0)), geometry.shape)
