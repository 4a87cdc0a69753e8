"""Dropout as frameworks write it: some elements become zero, the others are divided by the share that is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from penstock.tracing.recording import Step
from penstock.tracing.values import Constant, Operand, Signal

KEPT_AT_LEAST = 0.05
"""Who keeps less has written something else: a mask and a factor."""


def dropout(steps: Sequence[Step], op: str, operands: Sequence[Operand]) -> Step | None:
    """`where(mask, x / keep, 0)`, `mask * (x / keep)` and `(mask * x) / keep` as a mere move of x; None for all else.

    The mask is made of zeros and ones, and of nothing that the model reads: those of padding and attention are.
    """
    signals = [o for o in operands if isinstance(o.value, Signal)]
    if len(signals) != 1 or not isinstance(signals[0].value, Signal):
        return None
    made = steps[signals[0].value.node]
    if made.op == "mask" and (scaled := multiple(op, operands)) is not None and is_dropout(scaled[1]):
        return Step("move", "dropout", made.inputs)
    if op not in ("where", "mul") or made.multiple_of is None or not is_dropout(made.multiple_of[1]):
        return None
    constants = [o.value for o in operands if isinstance(o.value, Constant) and o.size > 1]
    if len(constants) != len(operands) - 1 or any(c.program is not None or c.inputs or c.state for c in constants):
        return None
    zero = op == "mul" or _is_among(constants[1], (0.0,))
    return Step("move", "dropout", made.multiple_of[:1]) if zero and _is_among(constants[0], (0.0, 1.0)) else None


def multiple(op: str, operands: Sequence[Operand]) -> tuple[int, float] | None:
    """Of a signal times one number, or divided by one: the signal, and the number that it is multiplied by."""
    if op not in ("mul", "div") or len(operands) != 2:
        return None
    first, second = operands
    signal, other = (first, second) if isinstance(first.value, Signal) else (second, first)
    if not isinstance(signal.value, Signal) or not other.number or (op == "div" and signal is second):
        return None
    return signal.value.node, 1.0 / other.number if op == "div" else other.number


def is_dropout(factor: float) -> bool:
    """Whether a factor makes up for elements that are dropped."""
    return 1.0 < factor <= 1.0 / KEPT_AT_LEAST


def _is_among(constant: Constant, numbers: tuple[float, ...]) -> bool:
    """Whether a constant holds nothing but these numbers."""
    if constant.number is not None or constant.read is None:
        return constant.number in numbers
    return bool(np.isin(constant.read(), numbers).all())
