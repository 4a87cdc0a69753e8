"""The user's batch as arguments of a call, and what its arrays are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from penstock.errors import ArgumentError, message
from penstock.jax.models import name_of
from penstock.tracing.batch import not_finite


@dataclass(frozen=True)
class Batch:
    """Arguments of a call, cut into arrays and everything else.

    Attributes:
        arrays: name -> array: "0", "input_ids", "states.1".
        call: arrays -> (args, kwargs).
    """

    arrays: Mapping[str, jax.Array]
    call: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]

    @property
    def size(self) -> int | None:
        """Number of inputs: the first dimension of most arrays; None where there is none."""
        sizes = [a.shape[0] for a in self.arrays.values() if a.ndim > 0]
        return max(set(sizes), key=lambda s: (sizes.count(s), -sizes.index(s))) if sizes else None

    def __str__(self) -> str:
        return ", ".join(f"{n}: {tuple(a.shape)} {a.dtype}" for n, a in self.arrays.items())


def arguments(batch: Any) -> Batch:
    """Positional and keyword arguments of a batch: an array, a tuple or list of inputs, or a mapping of inputs.

    Raises:
        ArgumentError: if the batch holds no array, or numbers that are not finite.
    """
    args, kwargs = _split(batch)
    leaves, structure = jax.tree_util.tree_flatten_with_path((args, kwargs))
    places = [i for i, (_, leaf) in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray | np.generic)]
    if not places:
        raise ArgumentError(message(f"check: batch must hold at least one array; got {batch!r:.80}."))
    arrays = {name_of(leaves[i][0][1:]): jnp.asarray(leaves[i][1]) for i in places}
    if not any(a.size for a in arrays.values()):
        shapes = ", ".join(f"{n}: {tuple(a.shape)}" for n, a in arrays.items())
        raise ArgumentError(message(f"check: batch must hold at least one element; got {shapes}."))
    for name, array in arrays.items():
        bad = int(jnp.size(array) - jnp.isfinite(array).sum()) if jnp.issubdtype(array.dtype, jnp.inexact) else 0
        if bad:
            raise not_finite(bad, array.size, name, hint="penstock.check(model, jnp.nan_to_num(batch))")
    plain = [leaf for _, leaf in leaves]

    def call(values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        filled = list(plain)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        return jax.tree_util.tree_unflatten(structure, filled)

    return Batch(arrays, call)


def _split(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(batch, jax.Array | np.ndarray):
        return (batch,), {}
    if isinstance(batch, Mapping):
        return (), dict(batch)
    if isinstance(batch, tuple | list):
        return tuple(batch), {}
    raise ArgumentError(
        message(
            "check: batch must be an array, a tuple of positional inputs or a dict of keyword inputs; "
            f"got {type(batch).__name__}.",
            hint="penstock.check(apply_fn, params, jnp.ones((32, 784)))",
        )
    )
