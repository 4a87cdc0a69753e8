"""How far from a straight line deep stacks may start, and which stacks that concerns: the two numbers to override."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from penstock.errors import ArgumentError, message
from penstock.planning.stacks import SHAPED_DEPTH, ZETA


@final
@dataclass(frozen=True, slots=True)
class Shaped:
    """The plan of `recipe="auto"` with other numbers for kernel shaping.

    A stack of n functions is shaped so that each stretches small differences by slope^(1/n), the whole by `slope`; what
    n is in a graph with branches and skips, `penstock.planning.stacks` works out.

    Attributes:
        slope: how much the network may stretch small differences between its inputs at the start: zeta. Above 1, which
            is a straight line. Larger: functions bend more from the first step on, and deep stacks forget which inputs
            were alike.
        depth: stacks that count for fewer functions get exact gains instead. `math.inf` turns shaping off.

    Raises:
        ArgumentError: if the slope is not a finite number above 1, or the depth not a positive number.

    Examples:
        >>> import copy, torch
        >>> layers = [torch.nn.Linear(8, 8), torch.nn.Tanh()] * 20
        >>> model = torch.nn.Sequential(*[copy.deepcopy(layer) for layer in layers], torch.nn.Linear(8, 2))
        >>> batch = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
        >>> plan = penstock.plan(model, batch, recipe=Shaped(slope=4.0))
        >>> plan["0.weight"].calibration.target > penstock.plan(model, batch)["0.weight"].calibration.target
        True

    Source:
        Martens et al. 2021, sections 4.3 and 5 (zeta = 1.5), https://arxiv.org/abs/2110.01765
    """

    slope: float = ZETA
    depth: float = SHAPED_DEPTH

    def __post_init__(self) -> None:
        if not _is_number(self.slope) or not 1.0 < self.slope < math.inf:
            raise ArgumentError(
                message(
                    f"Shaped: slope must be a finite number above 1; got {self.slope!r}.",
                    because="1 is a straight line: a network that stretches nothing cannot bend",
                    hint="penstock.planning.Shaped(slope=1.2)",
                )
            )
        if not _is_number(self.depth) or not self.depth > 0.0:
            raise ArgumentError(
                message(
                    f"Shaped: depth must be a positive number of functions; got {self.depth!r}.",
                    hint="penstock.planning.Shaped(depth=math.inf)  # no shaping",
                )
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
