"""The key of one parameter: 64 bits that depend on the seed and on the parameter's own name, and on nothing else."""

from __future__ import annotations

import hashlib
import operator
from typing import SupportsIndex

from penstock.errors import ArgumentError, message

PERSON = b"penstock key v1"
"""BLAKE2b's personalisation: no other use of the same hash can give these keys. A change of it changes every weight."""


def key_for(seed: SupportsIndex, name: str, *parts: str) -> int:
    r"""The 64-bit key under which a parameter's random numbers are drawn.

    .. math::  k = \mathrm{BLAKE2b}_{64}(\mathrm{seed}_{8} \,\|\, |n_1|_8 \,\|\, n_1 \,\|\, |n_2|_8 \,\|\, n_2 \ldots)

    Every text goes in behind its own length, so ("a", "bc") and ("ab", "c") have different keys. Adding, removing or
    reordering other parameters changes nothing.

    Args:
        seed: what the user chose. 0 <= seed < 2**64.
        name: the parameter's name, e.g. "layers.0.weight".
        parts: further names, for parts of a parameter that are drawn alone, e.g. "block", "2".

    Returns:
        k, 0 <= k < 2**64.

    Raises:
        ArgumentError: if the seed is no integer in range or a name is no text.

    Examples:
        >>> f"{key_for(0, 'layers.0.weight'):016x}"
        'c5c57b58336b87c1'
        >>> key_for(0, "ab", "c") == key_for(0, "a", "bc")
        False

    Source:
        BLAKE2b: RFC 7693, with `digest_size=8` and a personalisation; integers are little-endian.
    """
    digest = hashlib.blake2b(_seed(seed).to_bytes(8, "little"), digest_size=8, person=PERSON)
    for text in (name, *parts):
        if not isinstance(text, str):
            raise ArgumentError(
                message(
                    f"key_for: name must be text; got {text!r} ({type(text).__name__}).",
                    hint="penstock.randomness.key_for(0, 'layers.0.weight')",
                )
            )
        # A name may hold halves of surrogate pairs (read from a broken file): it still is a name of its own.
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return int.from_bytes(digest.digest(), "little")


def _seed(seed: SupportsIndex) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**64:
        raise ArgumentError(
            message(
                f"key_for: seed must be an integer with 0 <= seed < 2**64; got {seed!r}.",
                hint="penstock.randomness.key_for(0, 'layers.0.weight')",
            )
        )
    return number
