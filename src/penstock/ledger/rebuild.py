"""From a record back to the bytes: draw again, round, scale; or take what the record itself holds."""

from __future__ import annotations

import base64
import binascii
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.ledger.book import Ledger
from penstock.ledger.content import content_of
from penstock.ledger.elements import FLOATS, as_real, element_of, rounded
from penstock.ledger.keys import check_keys
from penstock.ledger.record import Record
from penstock.ledger.weights_file import Stored, read_header, write_file
from penstock.recipes.ordered import draw_ordered
from penstock.recipes.uniform_between import UniformBetween

METADATA = {"format": "pt"}
"""What `penstock init` writes into its files too, so that a rebuilt file is the same byte for byte."""


def rebuild(ledger: Ledger, path: str | os.PathLike[str], *, kept: str | os.PathLike[str] | None = None) -> None:
    """Write the weights that a ledger records, bit for bit, to a safetensors file; one parameter in memory at a time.

    Drawn parameters are drawn again and scaled by the recorded factors; small ones whose values came from elsewhere
    are in the ledger; larger ones come from `kept`. Every one is compared with its recorded hash.

    Args:
        ledger: of the weights.
        path: where to; the file appears when it is complete.
        kept: a safetensors file that holds the parameters which were not drawn.

    Raises:
        ArgumentError: if a key is not that of the ledger's seed and the parameter's name; if a parameter can be made
            from neither, or comes out with another hash (of matrices that a linear-algebra library makes, on another
            kind of processor); then no file is written.
    """
    check_keys("rebuild", ledger)
    place = Path(path)
    others = {} if kept is None else read_header(kept)
    missing = [r.name for r in ledger.records if not r.rebuildable and _found(r, others) is None]
    if missing:
        raise ArgumentError(
            message(
                f"rebuild: {len(missing)} parameters were not drawn and are not in the ledger: "
                f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}.",
                because="they kept values that came from elsewhere",
                hint="penstock ledger rebuild start.ledger.json -o weights.safetensors --kept before.safetensors",
            )
        )
    tensors = [(r.name, r.dtype, r.shape) for r in ledger.records]
    needed = sum(math.prod(s) * element_of("rebuild", d).stored.itemsize for _, d, s in tensors)
    folder = place.parent if place.parent.is_dir() else Path()
    if needed > shutil.disk_usage(folder).free:
        raise ArgumentError(
            message(f"rebuild: the weights take {needed:,} bytes; {str(folder)!r} has less space left.")
        )
    part = place.with_name(f".{place.name}.part")
    try:
        write_file(part, tensors, lambda name: _checked(ledger[name], others), metadata=METADATA)
        part.replace(place)
    except OSError as error:
        raise ArgumentError(message(f"rebuild: {str(path)!r} cannot be written: {error.strerror}.")) from None
    finally:
        part.unlink(missing_ok=True)


def values_of(record: Record) -> npt.NDArray[Any]:
    """The values of a record that can be made from it alone, as stored.

    Raises:
        ArgumentError: if they cannot be drawn with what is recorded, or what is stored is damaged.
    """
    element = element_of("rebuild", record.dtype)
    if record.stored is not None:
        try:
            data = base64.b64decode(record.stored, validate=True)
            return np.frombuffer(data, dtype=element.stored).reshape(record.shape)
        except (binascii.Error, ValueError) as error:
            raise ArgumentError(
                message(f"rebuild: the values stored of {record.name!r} are damaged: {error}.")
            ) from None
    if record.recipe is None or 0 in record.shape:
        return np.zeros(record.shape, dtype=element.stored)
    geometry = record.geometry or Geometry(record.shape)
    key = record.key or 0
    if record.dtype.startswith("complex"):
        drawn = draw_ordered(record.recipe, geometry, key, is_complex=True)
        values: npt.NDArray[Any] = drawn.astype(element.stored, order="C")
    elif record.dtype in FLOATS:
        values = rounded(np.ascontiguousarray(draw_ordered(record.recipe, geometry, key)), record.dtype)
        if isinstance(record.recipe, UniformBetween) and record.dtype in ("float16", "bfloat16"):
            values = _below(values, record.recipe.high, record.dtype)
    else:
        values = draw_ordered(record.recipe, geometry, key).astype(element.stored)
    for factor in record.factors:
        values = _scaled(values, factor, record.dtype)
    return values


def _checked(record: Record, others: dict[str, Stored]) -> npt.NDArray[Any]:
    stored = None if record.rebuildable else _found(record, others)
    values = values_of(record) if stored is None else stored.array()
    for part in record.parts:
        box = values if part.box is None else values[tuple(slice(a, b) for a, b in part.box)]
        if content_of(box, record.dtype).digest != part.digest:
            why = "its recipe makes a matrix, whose last bits depend on the processor" if stored is None else None
            raise ArgumentError(
                message(f"rebuild: {record.name!r} does not come out with the hash in the ledger.", because=why)
            )
    return values


def _found(record: Record, others: dict[str, Stored]) -> Stored | None:
    names = (name for name in (record.name, *record.ties) if name in others)
    stored = others.get(next(names, ""))
    fits = stored is not None and (stored.dtype, stored.shape) == (record.dtype, record.shape)
    return stored if fits else None


def _scaled(values: npt.NDArray[Any], factor: float, dtype: str) -> npt.NDArray[Any]:
    """Multiplied as PyTorch does: half types in float32, then rounded once."""
    if dtype in ("float16", "bfloat16"):
        with np.errstate(over="ignore"):
            return rounded(as_real(values, dtype) * np.float32(factor), dtype)
    return values * values.dtype.type(factor)


def _below(values: npt.NDArray[Any], high: float, dtype: str) -> npt.NDArray[Any]:
    """Where rounding has reached the end that is left out, the largest value below it."""
    end = as_real(rounded(np.array([high], dtype=np.float32), dtype), dtype)
    if float(end[0]) >= high:
        end = _down(end, dtype)
    return rounded(np.minimum(as_real(values, dtype), end).astype(np.float32), dtype)


def _down(end: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[np.float32]:
    """The next number below in a half type."""
    if dtype == "float16":
        return np.nextafter(end.astype(np.float16), np.float16(-np.inf)).astype(np.float32)
    bits = end.view(np.int32)
    # Towards zero for positive numbers, away from it for negative ones; below zero comes the smallest negative one.
    moved = np.where(end > 0, bits - 0x10000, np.where(end < 0, bits + 0x10000, np.int32(-(2**31) + 0x10000)))
    return moved.astype(np.int32).view(np.float32)
