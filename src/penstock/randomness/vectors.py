"""Vectors of several numbers for compiled loops: LLVM's own vector types, written as arithmetic on Python objects.

Numba turns a loop into vector instructions where LLVM happens to see how; with these the author decides: how many
numbers go together, in which order, and that nothing in between needs shuffling. LLVM cuts a vector into what the
processor has. No operation carries a fast-math flag, so each one rounds alone, as IEEE says.

Only `kernels.py` imports this module: it loads numba's compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

I16, I32, I64, F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


class Vector:
    """Some integers or float32 numbers, of which an expression builds instructions.

    Operators take another vector of the same kind or a Python number for all lanes; >> shifts zeros in.
    """

    __slots__ = ("builder", "value")
    # NumPy's scalars leave operations to this class.
    __array_ufunc__ = None

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    def __add__(self, other: Any) -> Vector:
        return self._combine("fadd" if self._is_float else "add", other)

    def __sub__(self, other: Any) -> Vector:
        return self._combine("fsub" if self._is_float else "sub", other)

    def __rsub__(self, other: float) -> Vector:
        return Vector(self.builder, self._lift(other)) - self

    def __mul__(self, other: Any) -> Vector:
        return self._combine("fmul" if self._is_float else "mul", other)

    def __truediv__(self, other: Any) -> Vector:
        return self._combine("fdiv", other)

    def __and__(self, other: Any) -> Vector:
        return self._combine("and_", other)

    def __or__(self, other: Any) -> Vector:
        return self._combine("or_", other)

    def __xor__(self, other: Any) -> Vector:
        return self._combine("xor", other)

    def __rshift__(self, other: Any) -> Vector:
        return self._combine("lshr", other)

    def shift_signed(self, places: int) -> Vector:
        """To the right, with copies of the sign."""
        return self._combine("ashr", places)

    def to_float(self) -> Vector:
        """Signed 32-bit integers to the nearest float32."""
        return Vector(self.builder, self.builder.sitofp(self.value, self._like(F32)))

    def bits(self) -> Vector:
        """The bits of float32 numbers as integers."""
        return Vector(self.builder, self.builder.bitcast(self.value, self._like(I32)))

    def as_float(self) -> Vector:
        """The float32 numbers with these bits."""
        return Vector(self.builder, self.builder.bitcast(self.value, self._like(F32)))

    def to_bfloat16(self) -> Vector:
        """The 16 bits of the nearest bfloat16, ties to even; for numbers that are not NaN."""
        bits = self.bits()
        rounded = (bits + ((bits >> 16) & 1) + 0x7FFF) >> 16
        return Vector(self.builder, self.builder.trunc(rounded.value, self._like(I16)))

    def low_halves(self, order: Sequence[int]) -> Vector:
        """The low 32 bits of 64-bit lanes `order[0]`, `order[1]`, ..."""
        halves = self.builder.bitcast(self.value, ir.VectorType(I32, 2 * self._lanes))
        chosen = _constant(I32, [2 * lane for lane in order])
        return Vector(self.builder, self.builder.shuffle_vector(halves, halves, chosen))

    def above(self, other: int) -> Any:
        """Which signed integers are greater: a number of as many bits as there are lanes, the first lane lowest."""
        greater = self.builder.icmp_signed(">", self.value, self._lift(other))
        return self.builder.bitcast(greater, ir.IntType(self._lanes))

    @property
    def _lanes(self) -> int:
        return self.value.type.count

    @property
    def _is_float(self) -> bool:
        return isinstance(self.value.type.element, ir.FloatType)

    def _like(self, element: Any) -> Any:
        return ir.VectorType(element, self._lanes)

    def _lift(self, other: Any) -> Any:
        if isinstance(other, Vector):
            return other.value
        return _constant(self.value.type.element, [float(other) if self._is_float else int(other)] * self._lanes)

    def _combine(self, instruction: str, other: Any) -> Vector:
        return Vector(self.builder, getattr(self.builder, instruction)(self.value, self._lift(other)))


def integers(builder: Any, element: Any, values: Sequence[int]) -> Vector:
    """A constant vector."""
    return Vector(builder, _constant(element, values))


def splat(builder: Any, number: Any, lanes: int) -> Vector:
    """One number in every lane."""
    first = builder.insert_element(
        ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined), number, ir.Constant(I32, 0)
    )
    return Vector(builder, builder.shuffle_vector(first, first, _constant(I32, [0] * lanes)))


def load(context: Any, builder: Any, kind: Any, array: Any, at: Any, lanes: int) -> Vector:
    """Neighbouring elements of a numba array from place `at` on."""
    read = builder.load(_place(context, builder, kind, array, at, lanes))
    read.align = 4
    return Vector(builder, read)


def store(context: Any, vector: Vector, kind: Any, array: Any, at: Any) -> None:
    """Write to neighbouring elements of a numba array."""
    place = _place(context, vector.builder, kind, array, at, vector.value.type.count)
    vector.builder.store(vector.value, place).align = kind.dtype.bitwidth // 8


def _place(context: Any, builder: Any, kind: Any, array: Any, at: Any, lanes: int) -> Any:
    memory = cgutils.create_struct_proxy(kind)(context, builder, array).data
    element = memory.type.pointee
    return builder.bitcast(builder.gep(memory, [at]), ir.VectorType(element, lanes).as_pointer())


def _constant(element: Any, values: Sequence[float]) -> Any:
    return ir.Constant(ir.VectorType(element, len(values)), [ir.Constant(element, value) for value in values])
