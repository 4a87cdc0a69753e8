"""What a parameter holds, in one pass over its memory: a hash of its bytes, its mean and its standard deviation."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.ledger.elements import as_real
from penstock.recipes.recipe import Moments

PERSON = b"penstock ledger1"
"""BLAKE2b's personalisation (16 bytes). A change of it changes every hash in every ledger."""
DIGEST_BYTES = 32
BLOCK = 2**16
"""Elements looked at together: their float32 sum of squares is exact to some 1e-6, and they stay in the cache."""
_ONES = np.ones(2 * BLOCK, dtype=np.float32)


class Content:
    """Takes a parameter's stored values piece by piece, in row-major order."""

    def __init__(self, dtype: str) -> None:
        """`dtype` is the name of the element type."""
        self._dtype = dtype
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES, person=PERSON)
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def add(
        self,
        values: npt.NDArray[Any],
        *,
        hashed: bool = True,
        sums: Callable[[npt.NDArray[Any]], tuple[float, float]] | None = None,
    ) -> None:
        """The next elements, as stored (`penstock.ledger.elements`).

        Args:
            values: follow those before.
            hashed: False if only moments are wanted; then `digest` says nothing.
            sums: compiled code for them, if there is some: `penstock.ledger.digests.sums_of`.
        """
        flat = np.ascontiguousarray(values).reshape(-1)
        if sys.byteorder == "big":  # the hash is that of little-endian bytes everywhere
            flat = flat.astype(flat.dtype.newbyteorder("<"))
        if hashed:
            self._hash.update(flat.view(np.uint8).data)
        if sums is not None:
            total, squares = sums(flat)
            self._count, self._sum, self._squares = self._count + flat.size, self._sum + total, self._squares + squares
            return
        for begin in range(0, flat.size, BLOCK):
            real = as_real(flat[begin : begin + BLOCK], self._dtype)
            with np.errstate(all="ignore"):
                # As a product with ones a sum runs at memory speed; float32 over one block is exact to some 1e-6.
                self._sum += float(np.dot(real, _ONES[: real.size].astype(real.dtype, copy=False)))
                squares = float(np.dot(real, real))
                # Squares of very large or very small numbers leave float32.
                if not 1e-30 < squares < 1e30:
                    squares = float(np.square(real, dtype=np.float64).sum())
                self._squares += squares
            self._count += real.size

    @property
    def digest(self) -> str:
        """BLAKE2b of the bytes so far, 32 bytes in hexadecimal."""
        return self._hash.hexdigest()

    @property
    def moments(self) -> Moments | None:
        """Mean and standard deviation over the elements; None without elements, or where some are not finite."""
        if not self._count:
            return None
        mean = self._sum / self._count
        variance = self._squares / self._count - mean * mean
        return Moments(mean, math.sqrt(max(variance, 0.0))) if math.isfinite(variance) else None


def content_of(values: npt.NDArray[Any] | Iterable[npt.NDArray[Any]], dtype: str) -> Content:
    """The content of stored values, whole or in pieces that follow each other.

    Examples:
        >>> content_of(np.array([1.0, 3.0], dtype=np.float32), "float32").moments
        Moments(mean=2.0, std=1.0)
    """
    content = Content(dtype)
    for piece in [values] if isinstance(values, np.ndarray) else values:
        content.add(piece)
    return content
