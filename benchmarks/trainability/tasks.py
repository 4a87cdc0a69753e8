"""The data of the proving ground: what scikit-learn brings, and generators with fixed rules. Nothing is downloaded."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from penstock.racing.data import ArrayData, Data, FunctionData, ceiling_of

BATCH = 128
LOOKED_AT = 256
"""Training rows on which the score is taken: the question is whether a network trains, not whether it generalises."""

WORDS = "the water runs down through a narrow pipe and turns the wheel so light comes on over many small towns at night"
SIGNS = sorted(set(WORDS) | {" ", "."})

Pair = tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]


@cache
def _digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    pixels, labels = load_digits(return_X_y=True)
    return ((pixels - pixels.mean()) / pixels.std()).astype(np.float32), labels.astype(np.int64)


def digits(batch: int = BATCH) -> Data:
    """Images of 8 x 8 as 64 numbers; ten classes."""
    x, y = _digits()
    return ArrayData("digits", "classes", ceiling_of(y, "classes"), x, y, x[:LOOKED_AT], y[:LOOKED_AT], batch)


def copied_digits() -> Data:
    """The images as their own targets."""
    x, _ = _digits()
    return ArrayData("copied digits", "values", ceiling_of(x, "values"), x, x, x[:LOOKED_AT], x[:LOOKED_AT], BATCH)


def picture() -> Data:
    """Coordinates in [-1, 1]^2 and the grey values of 64 digits side by side, 64 x 64."""
    x, _ = _digits()
    grey = x[:64].reshape(8, 8, 8, 8).transpose(0, 2, 1, 3).reshape(64, 64)
    place = np.linspace(-1, 1, 64, dtype=np.float32)
    coordinates = np.stack(np.meshgrid(place, place, indexing="ij"), axis=-1).reshape(-1, 2)
    values = grey.reshape(-1, 1)
    held = coordinates[::4], values[::4]
    return ArrayData("picture", "values", ceiling_of(values, "values"), coordinates, values, *held, 512)


def text(random: np.random.Generator) -> Pair:
    """16 signs of made-up sentences, and the sign that follows each."""
    words = WORDS.split()
    rows = np.empty((16, 17), dtype=np.int64)
    for row in rows:
        line = ". ".join(
            " ".join(words[(first + k) % len(words)] for k in range(4)) for first in random.integers(24, size=2)
        )
        begin = int(random.integers(len(line) - 17))
        row[:] = [SIGNS.index(sign) for sign in line[begin : begin + 17]]
    return rows[:, :-1], rows[:, 1:]


def adding(random: np.random.Generator, length: int = 400) -> Pair:
    """Numbers with two of them marked; the target is their sum (Hochreiter & Schmidhuber 1997)."""
    x = np.zeros((32, length, 2), dtype=np.float32)
    x[..., 0] = random.uniform(size=(32, length))
    marks = np.stack([random.integers(length // 2, size=32), random.integers(length // 2, length, size=32)])
    x[np.arange(32), marks, 1] = 1.0
    return x, x[np.arange(32), marks, 0].sum(axis=0)[:, None]


def adding_100(random: np.random.Generator) -> Pair:
    """The same with 100 numbers."""
    return adding(random, 100)


def copying(random: np.random.Generator) -> Pair:
    """Five of eight signs, twenty blanks, then five times the sign that asks for them."""
    signs = random.integers(8, size=(64, 5))
    tokens = np.concatenate([signs, np.full((64, 20), 8), np.full((64, 5), 9)], axis=1)
    return np.eye(10, dtype=np.float32)[tokens], signs


def made(function: object) -> Data:
    """Batches of one of the functions above."""
    assert callable(function)
    _, targets = function(np.random.default_rng(0))
    kind = "values" if targets.dtype.kind == "f" else "classes"
    return FunctionData(function.__name__, kind, ceiling_of(targets, kind), function)
