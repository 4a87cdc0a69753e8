"""What a tracer knows of each tensor: it is a signal, made of parameters alone, or a constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.graph import ScalarFunction

Axes = tuple[tuple[int, ...], ...]
"""For each axis of a tensor made of a parameter, the parameter's axes that it runs over; () where it runs over none."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A tensor that holds signal number `node`; `unit_axes` index its units, () where unknown."""

    node: int
    unit_axes: tuple[int, ...] = ()

    @property
    def unit_axis(self) -> int | None:
        """The axis of units where there is one only."""
        return self.unit_axes[0] if len(self.unit_axes) == 1 else None


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor made of parameters alone.

    Attributes:
        names: of the parameters.
        axes: how it lies over the first of them, None where unknown.
        parts: of several that lie side by side, each with its axes.
    """

    names: tuple[str, ...]
    axes: Axes | None
    parts: tuple[Weight, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor made of neither: masks, positions, zeros, running statistics.

    Attributes:
        inputs: the integer inputs that it comes from.
        number: the value that all its elements have; None where they differ, or nobody looked.
        mask_of: the signal that a mask compares with constants.
        program: that mask as a function of the signal.
        state: it comes from the model's state: statistics of a batch norm.
        read: gives its values, at a price.
    """

    inputs: tuple[int, ...] = ()
    number: float | None = None
    mask_of: int | None = None
    program: ScalarFunction | None = None
    state: bool = False
    read: Callable[[], npt.NDArray[np.generic]] | None = None


Value = Signal | Weight | Constant


@dataclass(frozen=True, slots=True)
class Operand:
    """One operand of an operation: what it holds, and its shape."""

    value: Value
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def number(self) -> float | None:
        """The number that a constant is everywhere; None where it is none."""
        value = self.value
        if not isinstance(value, Constant) or value.number is not None:
            return value.number if isinstance(value, Constant) else None
        if self.size == 1 and value.read is not None and not value.state and value.program is None:
            array = value.read()
            return float(array.reshape(())) if array.dtype.kind in "fiub" else None
        return None

    @property
    def lowest(self) -> float:
        """The smallest element of a constant; infinity where its values cannot be had."""
        if not isinstance(self.value, Constant):
            return math.inf
        if self.value.number is not None or self.value.read is None:
            return math.inf if self.value.number is None else self.value.number
        array = np.asarray(self.value.read())
        return float(array.min()) if array.size and array.dtype.kind == "f" else math.inf


def regroup(axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes | None:
    """Follow axes through a reshape: runs of old axes whose product equals a run of new ones.

    Examples:
        >>> regroup(((0,), (1,)), (6, 4), (2, 3, 4))
        ((0,), (0,), (1,))
        >>> regroup(((0,), (1,), (2,)), (6, 2, 4), (6, 8))
        ((0,), (1, 2))
        >>> regroup(((0,),), (6,), (6, 2)) is None
        True
    """
    if math.prod(before) != math.prod(after) or 0 in before:
        return None  # no reshape: a complex number shown as two, say
    result: list[tuple[int, ...]] = []
    i = j = 0
    while j < len(after) or i < len(before):
        first_i, first_j = i, j
        old = before[i] if i < len(before) else 1
        new = after[j] if j < len(after) else 1
        if old == 1 and new != 1:
            i += 1  # an axis of one is dropped
            continue
        if new == 1 and old != 1:
            result.append(())
            j += 1  # an axis of one is made
            continue
        i, j = min(i + 1, len(before)), min(j + 1, len(after))
        while old != new:
            if old < new and i < len(before):
                old *= before[i]
                i += 1
            elif new < old and j < len(after):
                new *= after[j]
                j += 1
            else:
                return None
        if first_j == j:
            continue
        merged = tuple(dict.fromkeys(a for group in axes[first_i:i] for a in group))
        made = after[first_j:j]
        result.extend(merged if size != 1 or len(made) == 1 else () for size in made)
    return tuple(result)
