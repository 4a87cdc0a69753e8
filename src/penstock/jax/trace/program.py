"""A function of parameters and inputs as one flat list of operations, which can be read and run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

Reference = int | Any
"""A number of a value, or a `jax.extend.core.Literal`, which holds a scalar itself."""


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    Attributes:
        name: of the primitive.
        inputs: what it reads.
        outputs: numbers of the values that it makes.
        call: runs it; returns a list.
        params: of the primitive.
    """

    name: str
    inputs: tuple[Reference, ...]
    outputs: tuple[int, ...]
    call: Callable[..., Sequence[Any]]
    params: Mapping[str, Any]


@dataclass(slots=True)
class Call:
    """A function with a derivative of its own, whose operations are in the list too.

    Attributes:
        op: the call itself, run whole where nobody looks inside.
        results: values of its operations that it returns; the op's outputs are other names of them.
        stop: index behind its last operation.
    """

    op: Op
    results: tuple[Reference, ...]
    stop: int = 0


@dataclass
class Program:
    """Operations in the order in which they run.

    Attributes:
        ops: the operations.
        calls: index of the first operation inside -> the calls that begin there, the outermost first.
        avals: shape and type of each value by its number.
        inputs: numbers of the function's inputs.
        constants: values that the function has closed over.
        outputs: what it returns.
        branched: whether it holds the branch of a `cond` that was taken: other weights may take another.
    """

    ops: list[Op] = field(default_factory=list)
    calls: dict[int, list[Call]] = field(default_factory=dict)
    avals: list[Any] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    constants: dict[int, Any] = field(default_factory=dict)
    outputs: tuple[Reference, ...] = ()
    branched: bool = False

    def new(self, aval: Any) -> int:
        """Number of a new value."""
        self.avals.append(aval)
        return len(self.avals) - 1

    def makers(self) -> dict[int, Op]:
        """The operation that makes each value."""
        return {out: op for op in self.ops for out in op.outputs}

    def needed(self, wanted: Iterable[Reference]) -> list[Op]:
        """The operations that some values depend on, in order."""
        makers, seen, order = self.makers(), set[int](), []
        waiting = [w for w in wanted if isinstance(w, int)]
        while waiting:
            op = makers.get(waiting.pop())
            if op is not None and id(op) not in seen:
                seen.add(id(op))
                order.append(op)
                waiting += [i for i in op.inputs if isinstance(i, int)]
        places = {id(op): i for i, op in enumerate(self.ops)}
        return sorted(order, key=lambda op: places[id(op)])


def run(
    program: Program,
    values: Mapping[int, Any],
    *,
    made: Callable[[int, Any, dict[int, Any]], Any] | None = None,
    looked_at: frozenset[int] = frozenset(),
) -> list[Any]:
    """Run a program, traced by JAX or not.

    Args:
        program: what to run.
        values: of its inputs.
        made: called with the number, the value and all values when one of `looked_at` is made; returns what takes
            its place.
        looked_at: values that `made` wants to see. A call with a derivative of its own is run whole unless one of them
            is inside.
    """
    known: dict[int, Any] = {**program.constants, **values}
    index = 0
    while index < len(program.ops):
        whole = _whole_call(program, index, looked_at)
        op = program.ops[index] if whole is None else whole.op
        results = op.call(*(_read(known, r) for r in op.inputs))
        # A call's results go by the names that they have inside, which is what everyone behind it reads.
        names = op.outputs if whole is None else whole.results
        for name, value in zip(names, results, strict=True):
            if isinstance(name, int):
                known[name] = value if made is None or name not in looked_at else made(name, value, known)
        index = index + 1 if whole is None else whole.stop
    return [_read(known, r) for r in program.outputs]


def _whole_call(program: Program, index: int, looked_at: frozenset[int]) -> Call | None:
    for call in program.calls.get(index, ()):
        inside = {out for op in program.ops[index : call.stop] for out in op.outputs}
        if call.stop > index and not (inside - {r for r in call.results if isinstance(r, int)}) & looked_at:
            return call
    return None


def _read(known: Mapping[int, Any], reference: Reference) -> Any:
    return known[reference] if isinstance(reference, int) else reference.val


def shape_of(program: Program, reference: Reference) -> tuple[int, ...]:
    """Shape of a value; () for a literal."""
    return tuple(program.avals[reference].shape) if isinstance(reference, int) else ()


def is_float(program: Program, number: int) -> bool:
    """Whether a value holds floating-point or complex numbers."""
    return is_float_type(program.avals[number].dtype)


def is_float_type(dtype: Any) -> bool:
    """Whether a type is one of floating-point or complex numbers."""
    return jax.numpy.issubdtype(dtype, jax.numpy.inexact)
