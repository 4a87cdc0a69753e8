"""Data by name: the sets that come with scikit-learn, read from its own files; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, MissingFrameworkError, closest, message
from penstock.racing.data import (
    HELD_OUT_SHARE,
    MOST_HELD_OUT,
    Array,
    ArrayData,
    Arrays,
    ceiling_of,
    generator,
    kind_of,
    row_count,
    take,
)

SETS = ("breast_cancer", "diabetes", "digits", "olivetti", "wine")
"""Names that data may have."""

BATCH_SIZE = 64


def named_data(name: str, *, batch_size: int | None = None, own_loss: bool = False) -> ArrayData:
    """One of scikit-learn's sets: standardised inputs, targets, a fifth held out, always the same one.

    Images (digits, olivetti) have one mean and one scale, so that pixels that are always empty stay finite; tables have
    one a column. Real targets (diabetes) are standardised too, and are a column, as what a linear layer gives.

    Args:
        name: "digits" (64 pixels, 10 classes), "wine" (13, 3), "breast_cancer" (30, 2), "diabetes" (10, one value),
            "olivetti" (4096 pixels, 40 classes; only where scikit-learn has it on this machine).
        batch_size: rows of a batch; 64 if left out.
        own_loss: whether the loss is the user's own, so that nothing is known of its scale.

    Raises:
        ArgumentError: if there is no such set, or it is not on this machine.
        MissingFrameworkError: if scikit-learn is not installed.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key not in SETS:
        raise ArgumentError(
            f"race: data must be arrays, a data set or a known name; got {name!r}. {closest(key, SETS)}"
        )
    inputs, targets = _read(key)
    axis = None if key in {"digits", "olivetti"} else 0
    scaled = ((inputs - inputs.mean(axis)) / inputs.std(axis)).astype(np.float32)
    if np.issubdtype(targets.dtype, np.integer):
        labels = targets.astype(np.int64)
    else:
        labels = ((targets - targets.mean()) / targets.std()).astype(np.float32)[:, None]
    return array_data(key, scaled, labels, batch_size=batch_size, own_loss=own_loss)


def array_data(
    name: str,
    inputs: Arrays,
    targets: Array,
    *,
    test: tuple[Arrays, Array] | None = None,
    batch_size: int | None = None,
    own_loss: bool = False,
) -> ArrayData:
    """Data of arrays; a fifth of the rows is held out where no test rows are given and there are twenty at least.

    Raises:
        ArgumentError: if inputs and targets have different numbers of rows, or the batch size is no count.
    """
    rows = row_count(inputs)
    if targets.ndim == 0 or len(targets) != rows:
        raise ArgumentError(
            message(f"race: data must have one target a row; got {rows} rows and targets of shape {targets.shape}.")
        )
    size = BATCH_SIZE if batch_size is None else batch_size
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ArgumentError(f"race: batch_size must be a count of rows; got {batch_size!r}.")
    kind = kind_of(targets, own_loss=own_loss)
    ceiling = ceiling_of(targets, kind)
    if test is None and rows >= 20:
        order = generator(0, "split").permutation(rows)
        held = round(HELD_OUT_SHARE * rows)
        test = take(inputs, order[:held][:MOST_HELD_OUT]), targets[order[:held][:MOST_HELD_OUT]]
        inputs, targets = take(inputs, order[held:]), targets[order[held:]]
    test_inputs, test_targets = (None, None) if test is None else test
    return ArrayData(name, kind, ceiling, inputs, targets, test_inputs, test_targets, size)


def _read(name: str) -> tuple[Array, Array]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingFrameworkError(
            message(f"race: data={name!r} needs scikit-learn.", hint="pip install 'penstock[demo]'")
        ) from error
    if name == "olivetti":
        try:
            faces: Any = datasets.fetch_olivetti_faces(download_if_missing=False)
        except OSError:
            raise ArgumentError(
                message(
                    "race: data='olivetti' must be on this machine already; scikit-learn has not fetched it.",
                    hint="sklearn.datasets.fetch_olivetti_faces()  # once, on a machine with a network",
                )
            ) from None
        return faces.data, faces.target
    loaders: dict[str, Callable[..., Any]] = {
        "digits": datasets.load_digits,
        "wine": datasets.load_wine,
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }
    inputs, targets = loaders[name](return_X_y=True)
    return inputs, targets
