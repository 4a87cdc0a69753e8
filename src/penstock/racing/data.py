"""What is learned: arrays, a function that makes batches, or batches as they come; the same for every start."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.randomness import key_for

Kind = Literal["classes", "values", "custom"]
"""Targets that are whole numbers of classes, real values, or anything that the user's own loss reads."""

Array: TypeAlias = "npt.NDArray[Any]"
Arrays: TypeAlias = "Array | tuple[Array, ...] | dict[str, Array]"
Batch = tuple[Any, Any]
"""Inputs (an array, a tuple of positional ones or a dict of keyword ones) and targets."""

HELD_OUT_SHARE = 0.2
"""The share of given arrays that no arm trains on."""

MOST_HELD_OUT = 1024
"""So many held-out rows tell a score to 1.6 percentage points; more would cost more than the training."""


@dataclass(frozen=True, eq=False)
class Data(ABC):
    """Where batches come from. Any two arms of one seed get the same batches in the same order.

    Attributes:
        name: for tables.
        kind: what the targets are.
        ceiling: loss of a model that knows nothing: the entropy of the classes in nats, or the variance of the
            values; None where that depends on the user's own loss.
    """

    name: str
    kind: Kind
    ceiling: float | None

    @abstractmethod
    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """The batch of each step."""

    @abstractmethod
    def held_out(self) -> Batch | None:
        """Data that no arm trains on; None if there is none."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A text that changes when the data does."""

    def first(self, seed: int) -> Batch:
        """The first batch, on which starts that look at data are made."""
        return next(self.batches(seed, 1))


@dataclass(frozen=True, eq=False)
class ArrayData(Data):
    """Rows of arrays, each epoch in a new order.

    Attributes:
        inputs, targets: to train on.
        test_inputs, test_targets: held out; None if nothing is.
        batch_size: rows of a batch.
    """

    inputs: Arrays
    targets: Array
    test_inputs: Arrays | None
    test_targets: Array | None
    batch_size: int

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """Each epoch is a permutation of its own; the last, incomplete batch of one is filled from the next."""
        left, epoch, rows = np.empty(0, dtype=np.int64), 0, len(self.targets)
        for _ in range(steps):
            while len(left) < min(self.batch_size, rows):
                left = np.concatenate([left, generator(seed, "order", str(epoch)).permutation(rows)])
                epoch += 1
            taken, left = left[: self.batch_size], left[self.batch_size :]
            yield take(self.inputs, taken), self.targets[taken]

    def held_out(self) -> Batch | None:
        """The test rows."""
        return None if self.test_inputs is None else (self.test_inputs, self.test_targets)

    def fingerprint(self) -> str:
        """A hash of every array."""
        return f"{self.name} {self.batch_size} " + _hash(self.inputs, self.targets, self.test_inputs, self.test_targets)


@dataclass(frozen=True, eq=False)
class FunctionData(Data):
    """Batches that a function makes, from random numbers that depend on the seed and the step alone.

    Attributes:
        function: from a NumPy random generator to (inputs, targets).
    """

    function: Callable[[np.random.Generator], Batch]

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """One call a step."""
        for step in range(steps):
            yield as_batch(self.function(generator(seed, "batch", str(step))))

    def held_out(self) -> Batch:
        """A batch of random numbers that no seed uses."""
        return as_batch(self.function(generator(0, "held out")))

    def fingerprint(self) -> str:
        """A hash of the held-out batch: the function itself cannot be compared."""
        return f"{self.name} " + _hash(*self.held_out())


@dataclass(frozen=True, eq=False)
class BatchesData(Data):
    """Given batches, over and over, in their own order: that of a loader whose rows cannot be had one by one.

    Attributes:
        given: the batches.
        test: the held-out one.
    """

    given: tuple[Batch, ...]
    test: Batch | None

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """The same for every seed, but each seed begins at a batch of its own."""
        first = int(generator(seed, "order").integers(len(self.given)))
        for step in range(steps):
            yield self.given[(first + step) % len(self.given)]

    def held_out(self) -> Batch | None:
        """The batch that was kept apart."""
        return self.test

    def fingerprint(self) -> str:
        """A hash of every batch."""
        return f"{self.name} " + _hash(*(part for batch in self.given for part in batch))


def generator(seed: int, *words: str) -> np.random.Generator:
    """Random numbers that depend on the seed and on what they are for."""
    return np.random.Generator(np.random.Philox(key_for(seed, "race", *words)))


def take(arrays: Arrays, rows: npt.NDArray[np.int64]) -> Arrays:
    """These rows of each array."""
    if isinstance(arrays, dict):
        return {name: values[rows] for name, values in arrays.items()}
    return tuple(values[rows] for values in arrays) if isinstance(arrays, tuple) else arrays[rows]


def call_arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs as the positional and keyword arguments of a call."""
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def row_count(inputs: Arrays) -> int:
    """Length of the first axis, which is that of the rows.

    Raises:
        ArgumentError: if the arrays have different lengths or none.
    """
    parts = (
        list(inputs.values()) if isinstance(inputs, dict) else list(inputs) if isinstance(inputs, tuple) else [inputs]
    )
    counts = {len(part) if np.ndim(part) else 0 for part in parts}
    if len(counts) != 1 or 0 in counts:
        raise ArgumentError(
            message(f"race: data must hold arrays with as many rows each; their first axes have {sorted(counts)}.")
        )
    return counts.pop()


def as_batch(made: Any) -> Batch:
    """What a function or a loader gave, as (inputs, targets) of NumPy arrays.

    Raises:
        ArgumentError: if it is no pair.
    """
    if not isinstance(made, tuple | list) or len(made) != 2:
        what = f"{len(made)} things" if isinstance(made, tuple | list) else f"a {type(made).__name__}"
        raise ArgumentError(
            message(
                f"race: data must give pairs (inputs, targets); got {what}.",
                hint="penstock.race(factory, starts, lambda rng: (inputs, targets), steps=300)",
            )
        )
    inputs, targets = made
    return arrays_of(inputs), np.asarray(targets)


def arrays_of(inputs: Any) -> Arrays:
    """Inputs as NumPy arrays, in the form that they had."""
    if isinstance(inputs, dict):
        return {str(name): np.asarray(values) for name, values in inputs.items()}
    return tuple(np.asarray(v) for v in inputs) if isinstance(inputs, tuple) else np.asarray(inputs)


def kind_of(targets: Array, *, own_loss: bool) -> Kind:
    """What targets are: whole numbers are classes."""
    if own_loss:
        return "custom"
    return "classes" if np.issubdtype(targets.dtype, np.integer) else "values"


def ceiling_of(targets: Array, kind: Kind) -> float | None:
    """The loss of the best model that does not look at its inputs."""
    if kind == "custom":
        return None
    if kind == "values":
        return float(np.mean(np.var(targets.astype(np.float64), axis=0)))
    shares = np.unique(targets, return_counts=True)[1] / targets.size
    return float(-np.sum(shares * np.log(shares))) if len(shares) > 1 else math.nan


def _hash(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        values = list(part.values()) if isinstance(part, dict) else list(part) if isinstance(part, tuple) else [part]
        for array in values:
            plain = np.ascontiguousarray(np.asarray(array if array is not None else ()))
            digest.update(f"{plain.dtype} {plain.shape}".encode() + plain.tobytes())
    return digest.hexdigest()
