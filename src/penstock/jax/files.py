"""Arrays of JAX from arrays of NumPy, and a model's parameters in a file."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from penstock.jax.models import target_of
from penstock.ledger.arrays_file import save_arrays


def tensor(values: npt.NDArray[Any], dtype: str) -> jax.Array:
    """An array with these values; float64 and int64 become 32 bits wide where JAX is set so.

    Args:
        values: any array.
        dtype: name of the type: "float32", "bfloat16", "int64", "bool", ...

    Examples:
        >>> tensor(np.ones(2), dtype="bfloat16").dtype.name
        'bfloat16'
    """
    return jnp.asarray(values, dtype=jax.dtypes.canonicalize_dtype(jnp.dtype(dtype)))


def save(model: Any, path: str) -> None:
    """Write a model's parameters to a safetensors file, by their names; the file appears when it is complete."""
    arrays = {name: np.asarray(value) for name, value in target_of(model, "save").parameters.items()}
    save_arrays(arrays, path)
