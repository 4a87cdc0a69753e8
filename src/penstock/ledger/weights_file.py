"""Safetensors files, read and written here: a header of JSON, then the bytes. Nothing in such a file is ever run.

A file can be damaged or made to harm, so every number of its header is checked against the file's size before a byte
is read by it. Nothing but NumPy is needed; the bytes written are those of the safetensors library.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.ledger.elements import BY_CODE, ELEMENTS

MAX_HEADER = 100_000_000
"""Bytes: the limit of the safetensors library itself."""
PIECE = 2**24
"""Bytes read at a time."""
_ALIGN = 8
# The library's order: widest elements first (so that all are aligned), then by its own order of types, then by name.
_ORDER: Sequence[str] = "U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E4M3 F8_E5M2 I8 U8 BOOL".split()


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file.

    Attributes:
        name, dtype, shape: of the tensor; dtype by the name that PyTorch has for it, or the file's code if unknown.
        path: the file.
        begin, end: first byte of the tensor in the file, and the one behind its last.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    begin: int
    end: int

    def array(self) -> npt.NDArray[Any]:
        """The values as stored, mapped from the file and read when they are used.

        Raises:
            ArgumentError: if the element type is unknown.
        """
        if self.dtype not in ELEMENTS:
            raise _damaged(self.path, f"{self.name!r} is of the type {self.dtype!r}, which is not known here")
        kind = ELEMENTS[self.dtype].stored
        if self.begin == self.end:
            return np.zeros(self.shape, dtype=kind)
        return np.memmap(self.path, dtype=kind, mode="r", offset=self.begin, shape=self.shape or (1,)).reshape(
            self.shape
        )

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """The values as stored, flat, some megabytes at a time."""
        flat = self.array().reshape(-1)
        step = max(1, PIECE // max(1, flat.itemsize))
        for begin in range(0, flat.size, step):
            yield np.asarray(flat[begin : begin + step])


def read_header(path: str | os.PathLike[str]) -> dict[str, Stored]:
    """The tensors of a safetensors file, by name; their bytes stay where they are.

    Raises:
        ArgumentError: if there is no such file, or it is no whole safetensors file, with what is wrong in it.
    """
    place = Path(path)
    try:
        size = place.stat().st_size
        with place.open("rb") as file:
            header = _header(place, file, size)
    except OSError as error:
        raise ArgumentError(message(f"{str(path)!r} cannot be read: {error.strerror or error}.")) from None
    data_begin = size - header.pop("__bytes__")
    found: dict[str, Stored] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            found[name] = _stored(place, name, entry, data_begin, size)
    spans = sorted((tensor.begin, tensor.end) for tensor in found.values())
    ends = [data_begin, *(end for _, end in spans)]
    if [begin for begin, _ in spans] != ends[:-1] or ends[-1] != size:
        raise _damaged(place, "its tensors overlap or leave gaps")
    return found


def _header(path: Path, file: BinaryIO, size: int) -> dict[str, Any]:
    length = int.from_bytes(file.read(8), "little") if size >= 8 else size
    if size < 8 or length > min(MAX_HEADER, size - 8):
        raise _damaged(path, f"its first 8 bytes give a header of {length:,} bytes; the file has {size:,}")
    text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is no JSON") from None
    if not isinstance(header, dict) or "__bytes__" in header:
        raise _damaged(path, "its header is no table of tensors")
    return header | {"__bytes__": size - 8 - length}


def _stored(path: Path, name: str, entry: Any, begin: int, size: int) -> Stored:
    if not isinstance(entry, Mapping):
        raise _damaged(path, f"{name!r} has no description")
    code, shape, span = entry.get("dtype"), _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    inside = span is not None and len(span) == 2 and begin + span[0] <= begin + span[1] <= size
    if shape is None or span is None or not isinstance(code, str) or not inside:
        raise _damaged(path, f"{name!r} does not lie inside the file")
    dtype = BY_CODE.get(code, code)
    if dtype in ELEMENTS and math.prod(shape) * ELEMENTS[dtype].stored.itemsize != span[1] - span[0]:
        raise _damaged(path, f"{name!r} has {span[1] - span[0]:,} bytes, which shape {shape} of {code} does not need")
    return Stored(name, dtype, tuple(shape), path, begin + span[0], begin + span[1])


def _counts(value: Any) -> list[int] | None:
    """A list of numbers that count something; None for anything else."""
    fine = isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)
    return value if fine else None


def write_file(
    path: str | os.PathLike[str],
    tensors: Sequence[tuple[str, str, tuple[int, ...]]],
    values: Callable[[str], npt.NDArray[Any]],
    *,
    metadata: Mapping[str, str],
) -> None:
    """Write a safetensors file, one tensor in memory at a time.

    Args:
        path: where to; written over.
        tensors: name, dtype and shape of each.
        values: from a name to the values as stored; called once for each, in the file's order.
        metadata: text that the header carries.
    """
    ordered = sorted(tensors, key=lambda t: (_ORDER.index(ELEMENTS[t[1]].code), t[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, dtype, shape in ordered:
        end = offset + math.prod(shape) * ELEMENTS[dtype].stored.itemsize
        header[name] = {"dtype": ELEMENTS[dtype].code, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % _ALIGN)
    with Path(path).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, dtype, _ in ordered:
            made = np.ascontiguousarray(values(name), dtype=ELEMENTS[dtype].stored)
            file.write(made.reshape(-1).view(np.uint8).data)


def _damaged(path: Path, fact: str) -> ArgumentError:
    return ArgumentError(
        message(f"{str(path)!r} must be a whole safetensors file; {fact}.", hint="write or download it again")
    )
