"""A graph function of TensorFlow as one flat list of operations, which can be read and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Aval(NamedTuple):
    """Shape and element type of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point or complex numbers."""
        return is_float_type(self.dtype)


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    Attributes:
        name: TensorFlow's type of it, or "loop_slice", "loop_stack", "loop_rest" of a loop that was unrolled.
        inputs: numbers of the values that it reads.
        outputs: numbers of the values that it makes.
        call: runs it on tensors; returns a list.
        params: its attributes.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    call: Callable[..., Sequence[Any]]
    params: Mapping[str, Any]


@dataclass
class Program:
    """Operations in the order in which they run.

    Attributes:
        ops: the operations.
        avals: shape and type of each value by its number.
        inputs: numbers of the function's inputs.
        constants: values that the function has closed over.
        outputs: numbers of what it returns.
        branched: whether a branch was taken or a loop's end was met, which other weights may do otherwise.
    """

    ops: list[Op] = field(default_factory=list)
    avals: list[Aval] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    constants: dict[int, Any] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    branched: bool = False

    def new(self, value: Any) -> int:
        """Number of a new value that is like this tensor."""
        self.avals.append(Aval(tuple(value.shape), numpy_type(value.dtype)))
        return len(self.avals) - 1

    def prune(self, parameters: Sequence[int]) -> None:
        """Leave out what no output depends on, as TensorFlow does when it runs a graph.

        What a parameter goes into that no output depends on at all is kept: a check has something to say of it.

        Args:
            parameters: their numbers.
        """
        wanted = self._needed(set(self.outputs))
        read = {number for op in self.ops if id(op) in wanted for number in op.inputs}
        lost = {number for number in parameters if number not in read}
        for op in self.ops:
            if any(number in lost for number in op.inputs):
                lost.update(op.outputs)
        wanted |= self._needed(lost)
        self.ops = [op for op in self.ops if id(op) in wanted]

    def _needed(self, values: set[int]) -> set[int]:
        """Identities of the operations that values depend on."""
        found: set[int] = set()
        for op in reversed(self.ops):
            if any(number in values for number in op.outputs):
                found.add(id(op))
                values.update(op.inputs)
        return found


def run(program: Program, values: Mapping[int, Any], *, made: Callable[[int, Any, dict[int, Any]], Any]) -> list[Any]:
    """Run a program.

    Args:
        program: what to run.
        values: of its inputs.
        made: called with the number, the value and all values when one is made; returns what takes its place.
    """
    known: dict[int, Any] = {**program.constants, **values}
    perform(program.ops, known, made=made)
    return [known[number] for number in program.outputs]


def perform(
    ops: Sequence[Op], known: dict[int, Any], *, made: Callable[[int, Any, dict[int, Any]], Any] | None = None
) -> None:
    """Run operations; what they make is added to the known values."""
    for op in ops:
        results = op.call(*(known[number] for number in op.inputs))
        for number, value in zip(op.outputs, results, strict=True):
            known[number] = value if made is None else made(number, value, known)


def numpy_type(dtype: Any) -> np.dtype[Any]:
    """The NumPy type of a tensor's; `object` for handles of variables, which have none."""
    return np.dtype(object if dtype.name in ("resource", "variant") else dtype.as_numpy_dtype)


def is_float_type(dtype: Any) -> bool:
    """Whether a NumPy type is one of floating-point or complex numbers, half types of TensorFlow among them."""
    return dtype.kind in "fc" or "float" in dtype.name
