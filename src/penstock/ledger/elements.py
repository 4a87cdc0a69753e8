"""Element types by name: how their bits lie in NumPy arrays, also for those that NumPy has no type for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, closest, message
from penstock.randomness.transforms import bfloat16_bits


class Element(NamedTuple):
    """A type of element.

    Attributes:
        stored: NumPy's type with the same bits, little-endian.
        code: its name in a safetensors file.
    """

    stored: np.dtype[Any]
    code: str


_PLAIN = {
    "float64": ("<f8", "F64"),
    "float32": ("<f4", "F32"),
    "float16": ("<f2", "F16"),
    "bfloat16": ("<u2", "BF16"),
    "complex64": ("<c8", "C64"),
    "complex128": ("<c16", "C128"),  # in ledgers only: files have no code for it
    "int64": ("<i8", "I64"),
    "int32": ("<i4", "I32"),
    "int16": ("<i2", "I16"),
    "int8": ("|i1", "I8"),
    "uint64": ("<u8", "U64"),
    "uint32": ("<u4", "U32"),
    "uint16": ("<u2", "U16"),
    "uint8": ("|u1", "U8"),
    "bool": ("|b1", "BOOL"),
    "float8_e4m3fn": ("|u1", "F8_E4M3"),
    "float8_e5m2": ("|u1", "F8_E5M2"),
}
ELEMENTS: Mapping[str, Element] = {name: Element(np.dtype(kind), code) for name, (kind, code) in _PLAIN.items()}
"""Name, as PyTorch and NumPy have it -> element."""

BY_CODE: Mapping[str, str] = {element.code: name for name, element in ELEMENTS.items()}
"""Name in a safetensors file -> name."""

FLOATS = ("float64", "float32", "float16", "bfloat16")
"""Types of real numbers that recipes are written to."""


def element_of(function: str, name: str) -> Element:
    """The element type of that name.

    Raises:
        ArgumentError: if there is none.
    """
    if name not in ELEMENTS:
        raise ArgumentError(message(f"{function}: unknown element type {name!r}.", hint=closest(name, ELEMENTS)))
    return ELEMENTS[name]


def as_real(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """The numbers behind stored bits, as floats; complex ones as pairs, 8-bit floats as NaN (their value is not read).

    Args:
        values: as stored.
        dtype: name of the element type.
    """
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    if dtype.startswith("float8"):
        return np.full(values.shape, math.nan, dtype=np.float32)
    if dtype == "float16":
        return values.astype(np.float32)
    if values.dtype.kind == "c":
        return np.ascontiguousarray(values).view(np.float32 if values.dtype.itemsize == 8 else np.float64)
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def rounded(values: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[Any]:
    """Float32 values in another floating-point type, as stored bits; rounded once, to nearest and even.

    Args:
        values: what a recipe drew.
        dtype: name of the element type, one of `FLOATS`.
    """
    if dtype == "bfloat16":
        return bfloat16_bits(values)
    return values.astype(ELEMENTS[dtype].stored)
