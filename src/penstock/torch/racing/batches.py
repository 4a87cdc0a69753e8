"""Between NumPy's arrays and PyTorch's tensors, data sets and loaders."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from penstock.errors import ArgumentError, message
from penstock.racing.data import HELD_OUT_SHARE, Batch, BatchesData, Data, as_batch, ceiling_of, generator, kind_of
from penstock.racing.named_data import BATCH_SIZE, array_data


def as_tensors(batch: Batch, like: torch.Tensor) -> tuple[Any, Any]:
    """A batch as tensors on the model's device; real numbers in the model's own type."""
    inputs, targets = batch
    if isinstance(inputs, dict):
        return {name: _tensor(values, like) for name, values in inputs.items()}, _tensor(targets, like)
    if isinstance(inputs, tuple):
        return tuple(_tensor(values, like) for values in inputs), _tensor(targets, like)
    return _tensor(inputs, like), _tensor(targets, like)


def race_data(given: Any, *, steps: int, batch_size: int | None, own_loss: bool) -> Data | None:
    """A PyTorch data set or loader as data of a race; None for anything else.

    Rows of a data set that has a length are read once, as many as the race can use, and shuffled by the race itself,
    so that every start gets the same batches. Other loaders are read for so many batches.

    Raises:
        ArgumentError: if it gives no pairs (inputs, targets), or nothing.
    """
    if isinstance(given, DataLoader):
        plain = given.collate_fn is default_collate and given.batch_size is not None
        if plain and not isinstance(given.dataset, IterableDataset):
            return _from_rows(given.dataset, steps, batch_size or given.batch_size, own_loss)
        return _from_batches(given, steps, own_loss)
    if isinstance(given, IterableDataset):
        return _from_batches(DataLoader(given, batch_size=batch_size or BATCH_SIZE), steps, own_loss)
    if isinstance(given, Dataset):
        return _from_rows(given, steps, batch_size, own_loss)
    return None


def _from_rows(dataset: Any, steps: int, batch_size: int | None, own_loss: bool) -> Data:
    size = batch_size or BATCH_SIZE
    name = type(dataset).__name__
    if len(dataset) == 0:
        raise ArgumentError(f"race: data must hold rows; {name} is empty.")
    if isinstance(dataset, TensorDataset):
        *inputs, targets = dataset.tensors
        made: Any = (inputs[0] if len(inputs) == 1 else tuple(inputs), targets)
    else:
        usable = round(steps * size / (1.0 - HELD_OUT_SHARE)) + 1
        rows = generator(0, "rows").permutation(len(dataset))[:usable]
        made = default_collate([dataset[int(row)] for row in rows])
        made = tuple(made) if isinstance(made, list) else made
    inputs, targets = as_batch(_arrays(made))
    return array_data(name, inputs, targets, batch_size=size, own_loss=own_loss)


def _from_batches(loader: Any, steps: int, own_loss: bool) -> Data:
    batches = [as_batch(_arrays(batch)) for batch in islice(loader, steps + 1)]
    if len(batches) < 2:
        raise ArgumentError(
            message(
                f"race: data must give two batches at least, one of which is held out; got {len(batches)}.",
                because="a loader that cannot be read row by row is read batch by batch",
            )
        )
    *given, test = batches
    targets = np.concatenate([np.atleast_1d(t) for _, t in given])
    kind = kind_of(targets, own_loss=own_loss)
    return BatchesData(type(loader.dataset).__name__, kind, ceiling_of(targets, kind), tuple(given), test)


def _arrays(value: Any) -> Any:
    """Tensors as arrays, in whatever they are nested."""
    if isinstance(value, torch.Tensor):
        # NumPy has no bfloat16; float32 holds all its values.
        plain = value.detach().cpu()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    if isinstance(value, dict):
        return {name: _arrays(item) for name, item in value.items()}
    return tuple(_arrays(item) for item in value) if isinstance(value, tuple | list) else value


def _tensor(values: Any, like: torch.Tensor) -> torch.Tensor:
    made = torch.from_numpy(np.ascontiguousarray(values))
    if made.is_floating_point():
        return made.to(device=like.device, dtype=like.dtype)
    return made.to(like.device, torch.int64) if made.dtype not in {torch.bool, torch.int64} else made.to(like.device)
