"""One elementwise operation, as every adapter describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from penstock.tracing.values import Operand, Signal, Weight

ADD = frozenset("add sub rsub".split())
WEIGHTED_SUM = frozenset("addcmul addcdiv lerp".split())
MULTIPLY = frozenset("mul div".split())

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One elementwise operation.

    Attributes:
        op: its name: those of `ADD`, `WEIGHTED_SUM` and `MULTIPLY`, "exp" and "where" have a meaning here; others are
            scalar functions. "rsub" takes its first operand from its second.
        operands: in order; those of one element and those with axes of one are spread.
        shape: of the result.
        function: the operation on float64 arrays; None where there is none.
        floating: whether the result holds floating-point numbers.
    """

    op: str
    operands: Sequence[Operand]
    shape: tuple[int, ...]
    function: Callable[..., Array] | None
    floating: bool = True

    @property
    def signals(self) -> list[Operand]:
        """Operands that hold signals."""
        return [o for o in self.operands if isinstance(o.value, Signal)]

    @property
    def nodes(self) -> tuple[int, ...]:
        """Their numbers, each once."""
        return tuple(dict.fromkeys(o.value.node for o in self.operands if isinstance(o.value, Signal)))

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters among the operands, each once."""
        return tuple(dict.fromkeys(n for o in self.operands if isinstance(o.value, Weight) for n in o.value.names))
