"""A model's parameters, which lie in arrays of NumPy, in a safetensors file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.ledger.elements import ELEMENTS
from penstock.ledger.rebuild import METADATA
from penstock.ledger.weights_file import write_file


def save_arrays(arrays: Mapping[str, npt.NDArray[Any]], path: str) -> None:
    """Write arrays to a file by their names; the file appears when it is complete.

    Args:
        arrays: of the types that a ledger knows.
        path: of the file; one that is there is replaced.
    """
    place = Path(path)
    part = place.with_name(f".{place.name}.part")
    try:
        write_file(
            part,
            [(name, array.dtype.name, array.shape) for name, array in arrays.items()],
            lambda name: _bits(arrays[name]),
            metadata=METADATA,
        )
        os.replace(part, place)
    finally:
        part.unlink(missing_ok=True)


def _bits(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in order, as the ledger stores its type."""
    return np.ascontiguousarray(array).reshape(array.shape).view(ELEMENTS[array.dtype.name].stored)
