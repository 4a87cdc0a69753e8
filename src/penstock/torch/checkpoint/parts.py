"""What one part of a stored tensor holds: hash, counts, equal rows, law."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.checks.held import Box, Held
from penstock.ledger.content import content_of
from penstock.ledger.elements import ELEMENTS, as_real
from penstock.torch.checkpoint.law import law_of

HUGE = 1e10
BLOCK = 2**20
REPEATS = (2, 3, 4, 5, 6, 7, 8, 16, 32, 64)
"""Numbers of equal blocks that are looked for: those of ranks, heads and gates."""
_TINY = {"float16": 2.0**-14, "float64": 2.0**-1022}


def held_part(
    values: npt.NDArray[Any],
    *,
    place: str,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    layout: str,
    box: Box,
    recorded: str | None,
) -> Held:
    """Look at one part.

    The arguments are those of `Held`; `values` are as stored, `recorded` is the hash that a ledger has for them.
    """
    digest = content_of(_pieces(values), dtype).digest
    nonfinite, garbage, constant = _counts(values, dtype)
    rows = distinct = None
    repeats = 1
    if values.ndim >= 2 and values.size and not constant:
        hashes = _row_hashes(values)
        rows, distinct = len(hashes), len(set(hashes))
        repeats = _repeats(values, hashes)
    return Held(
        place=place,
        name=name,
        shape=shape,
        dtype=dtype,
        layout=layout,
        box=box,
        digest=digest,
        elements=values.size,
        constant=constant,
        nonfinite=nonfinite,
        garbage=garbage,
        rows=rows,
        distinct_rows=distinct,
        repeats=repeats,
        law=law_of(values, dtype) if dtype in ("float64", "float32", "float16", "bfloat16") and not constant else None,
        recorded=None if recorded is None else recorded == digest,
    )


def _pieces(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]] | npt.NDArray[Any]:
    if values.ndim == 0 or values.size <= BLOCK:
        return values
    rows = max(1, BLOCK * values.shape[0] // values.size)
    return [values[begin : begin + rows] for begin in range(0, values.shape[0], rows)]


def _counts(values: npt.NDArray[Any], dtype: str) -> tuple[float, float, bool]:
    """Share of elements that are not finite, share that no initializer makes, and whether all are equal."""
    if not values.size:
        return 0.0, 0.0, True
    flat = values.reshape(-1)
    first = flat[0]
    constant = all(bool((flat[b : b + BLOCK] == first).all()) for b in range(0, flat.size, BLOCK))
    whole = ELEMENTS[dtype].stored.kind in "biu" and dtype != "bfloat16"
    if whole:
        return 0.0, 0.0, constant
    tiny = _TINY.get(dtype, 2.0**-126)
    nonfinite = garbage = 0
    for begin in range(0, flat.size, BLOCK):
        size = np.abs(as_real(np.asarray(flat[begin : begin + BLOCK]), dtype))
        finite = np.isfinite(size)
        nonfinite += int((~finite).sum())
        garbage += int((finite & ((size > HUGE) | ((size > 0) & (size < tiny)))).sum())
    return nonfinite / flat.size, garbage / flat.size, constant


def _row_hashes(values: npt.NDArray[Any]) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(row).view(np.uint8).data, digest_size=8).digest() for row in values]


def _repeats(values: npt.NDArray[Any], hashes: list[bytes]) -> int:
    """How many identical blocks along the first or the second axis."""
    found = 1
    for count in REPEATS:
        size, left = divmod(len(hashes), count)
        if size > 1 and not left and all(hashes[:size] == hashes[i * size : (i + 1) * size] for i in range(1, count)):
            found = max(found, count)
        size, left = divmod(values.shape[1], count)
        if (
            size > 1
            and not left
            and math.prod(values.shape[2:])
            and np.array_equal(values[0, :size], values[0, size : 2 * size])
        ):
            blocks = np.split(values, count, axis=1)
            if all(np.array_equal(blocks[0], block) for block in blocks[1:]):
                found = max(found, count)
    return found
