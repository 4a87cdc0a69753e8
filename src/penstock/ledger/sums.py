"""Sums and sums of squares of stored values in one compiled pass, without a float32 copy of bfloat16.

Only `digests.py` imports this module: importing it loads numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

RUN = 1024
"""Elements added up in float32 before they go to float64: exact to less than 1e-6."""
_SMALL, _LARGE = 1e-30, 1e30

_OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy", "fastmath": {"reassoc"}}
_PAIR = types.UniTuple(types.float64, 2)


def _bfloat16(stored):
    total, squares = 0.0, 0.0
    for begin in range(0, len(stored), RUN):
        end = min(begin + RUN, len(stored))
        one, two = np.float32(0.0), np.float32(0.0)
        for i in range(begin, end):
            x = np.uint32(np.uint32(stored[i]) << np.uint32(16)).view(np.float32)
            one += x
            two += x * x
        # Squares of very large or very small numbers leave float32.
        if not _SMALL < two < _LARGE:
            wide = 0.0
            for i in range(begin, end):
                y = np.float64(np.uint32(np.uint32(stored[i]) << np.uint32(16)).view(np.float32))
                wide += y * y
            squares += wide
        else:
            squares += np.float64(two)
        total += np.float64(one)
    return total, squares


def _float32(stored):
    total, squares = 0.0, 0.0
    for begin in range(0, len(stored), RUN):
        end = min(begin + RUN, len(stored))
        one, two = np.float32(0.0), np.float32(0.0)
        for i in range(begin, end):
            one += stored[i]
            two += stored[i] * stored[i]
        if not _SMALL < two < _LARGE:
            wide = 0.0
            for i in range(begin, end):
                wide += np.float64(stored[i]) * np.float64(stored[i])
            squares += wide
        else:
            squares += np.float64(two)
        total += np.float64(one)
    return total, squares


def _compiled(function, element):
    signature = _PAIR(types.Array(element, 1, "C", readonly=True))
    try:
        return njit(signature, cache=True, **_OPTIONS)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written: compiled once in each process.
        return njit(signature, **_OPTIONS)(function)


SUMS = {"bfloat16": _compiled(_bfloat16, types.uint16), "float32": _compiled(_float32, types.float32)}
"""Name of an element type -> from its stored values, flat, to their sum and the sum of their squares."""
