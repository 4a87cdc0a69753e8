"""Measure one signal, or one gradient, that lies in a NumPy array."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.graph import Graph, Node
from penstock.saturation import saturated_share
from penstock.signals import QUANTILE_LEVELS, SignalStats

SAMPLE_SIZE = 1024
"""Values kept of each signal to evaluate a function's slope on: 3 % standard error on a share of one half is
enough to tell 0.7 from 0.9."""

MOSTLY_ZERO = 0.5
"""Dead units are only counted where at least this share of the elements is zero: elsewhere few can be dead."""

SMALL = 1e-18
"""Its square is near float32's smallest normal number: below, sums of squares need float64."""

_BLOCK = 1 << 16
"""Elements that are squared together: they stay in the cache, and float32 sums of them lose some 1e-6."""

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Range:
    """Limits of an element type: its name, and its smallest normal number."""

    name: str
    tiny: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured of one signal; see `penstock.signals.SignalStats`."""

    shape: tuple[int, ...]
    dtype: str
    rms: float
    mean: float
    zero_share: float
    nonfinite_share: float
    subnormal_share: float
    correlation: float | None
    dead: int | None
    units: int | None
    sample: npt.NDArray[np.float64]
    grad_rms: float | None = None
    grad_nonfinite_share: float = 0.0
    grad_subnormal_share: float = 0.0
    grad_sample: npt.NDArray[np.float64] | None = None


def read(values: Array, kind: Range, *, batch_size: int | None, unit_axis: int | None) -> Reading:
    """Measure a signal.

    Args:
        values: at least one element, of any floating-point or complex type.
        kind: the element type, as the model has it.
        batch_size: number of inputs in the batch; None where it cannot be told, then no correlations.
        unit_axis: axis whose dead units are counted.
    """
    x = as_real(values)
    mean, rms, correlation = _moments(x, batch_size)
    zeros = 1.0 - np.count_nonzero(x) / x.size
    known = unit_axis is not None and unit_axis < values.ndim
    return Reading(
        shape=tuple(values.shape),
        dtype=kind.name,
        rms=rms,
        mean=mean,
        zero_share=zeros,
        nonfinite_share=0.0 if math.isfinite(rms) else float(np.mean(~np.isfinite(x))),
        subnormal_share=_subnormal_share(x, rms, kind),
        correlation=correlation,
        dead=_dead(values, unit_axis, zeros) if known and unit_axis is not None else None,
        units=values.shape[unit_axis] if known and unit_axis is not None else None,
        sample=_sample(x),
    )


def with_gradient(reading: Reading, gradient: Array, kind: Range) -> Reading:
    """The reading with what the signal's gradient shows."""
    x = as_real(gradient)
    rms = rms_of(x)
    return replace(
        reading,
        grad_rms=rms,
        grad_nonfinite_share=0.0 if math.isfinite(rms) else float(np.mean(~np.isfinite(x))),
        grad_subnormal_share=_subnormal_share(x, rms, kind),
        grad_sample=_sample(x),
    )


def signal_stats(graph: Graph, readings: Mapping[int, Reading]) -> Iterator[SignalStats | None]:
    """One entry a node, from its own reading and, for saturation, that of its input."""
    for node in graph.nodes:
        reading = readings.get(node.index)
        yield None if reading is None else _stats(node, reading, readings)


def _stats(node: Node, reading: Reading, readings: Mapping[int, Reading]) -> SignalStats:
    source = readings.get(node.inputs[0]) if node.inputs else None
    saturated = saturated_share(node.function, source.sample) if node.function is not None and source else None
    return SignalStats(
        shape=reading.shape,
        dtype=reading.dtype,
        rms=reading.rms,
        mean=reading.mean,
        zero_share=reading.zero_share,
        nonfinite_share=reading.nonfinite_share,
        subnormal_share=reading.subnormal_share,
        correlation=reading.correlation,
        saturated_share=saturated,
        dead_units=reading.dead,
        units=reading.units,
        grad_rms=reading.grad_rms,
        grad_nonfinite_share=reading.grad_nonfinite_share,
        grad_subnormal_share=reading.grad_subnormal_share,
        quantiles=quantiles(reading.sample),
        grad_quantiles=quantiles(reading.grad_sample),
    )


def quantiles(sample: npt.NDArray[np.float64] | None) -> tuple[float, ...]:
    """The distribution of a sample at `QUANTILE_LEVELS`, to four digits; empty without a finite element."""
    finite = sample[np.isfinite(sample)] if sample is not None else np.empty(0)
    if finite.size == 0:
        return ()
    return tuple(float(f"{value:.4g}") for value in np.quantile(finite, QUANTILE_LEVELS))


def as_real(values: Array) -> Floats:
    """The array in float32 or wider; complex numbers as pairs."""
    if values.dtype.kind == "c":
        return np.ascontiguousarray(values).view(np.float64 if values.dtype == np.complex128 else np.float32)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)


def rms_of(x: Floats) -> float:
    """The RMS of an array of float32 or wider, also where its squares leave the range."""
    return math.sqrt(sum_of_squares(x) / max(x.size, 1))


def sum_of_squares(x: Floats) -> float:
    """Sum of squares; again in float64 where float32 does not hold them."""
    flat = x.reshape(-1)
    with np.errstate(all="ignore"):
        total = sum(float(np.dot(p, p)) for p in _pieces(flat))
        if flat.dtype == np.float64 or (math.isfinite(total) and total > SMALL**2 * flat.size):
            return total
        return sum(float(np.dot(p, p)) for p in (piece.astype(np.float64) for piece in _pieces(flat)))


def _pieces(flat: Floats) -> Iterator[Floats]:
    return (flat[begin : begin + _BLOCK] for begin in range(0, flat.size, _BLOCK))


def _moments(x: Floats, batch_size: int | None) -> tuple[float, float, float | None]:
    """Mean, RMS, and mean cosine between the batch's inputs.

    With unit vectors u_b of B inputs, the mean over pairs of u_b . u_c is (|sum_b u_b|^2 - B) / (B (B - 1)).
    """
    rows = _by_input(x, batch_size)
    with np.errstate(all="ignore"):
        mean = float(x.mean(dtype=np.float64 if x.size < _BLOCK else None))
    if rows is None or batch_size is None:
        return mean, rms_of(x), None
    squares = _squares_of_rows(rows)
    rms = math.sqrt(float(squares.sum()) / x.size)
    live = int(np.count_nonzero(squares > 0.0))
    if live < 2 or not math.isfinite(rms):
        return mean, rms, None
    if rows.shape[1] == 1:
        # The cosine of two numbers is a sign. With their common RMS as length, the mean over pairs still tells
        # outputs that are all the same (1) from outputs that differ.
        column = rows.astype(np.float64)
        mean_square = float(column.mean()) ** 2 / float(np.square(column).mean())
        return mean, rms, (batch_size * mean_square - 1.0) / (batch_size - 1.0)
    with np.errstate(all="ignore"):
        lengths = np.where(squares > 0.0, 1.0 / np.sqrt(squares), 0.0)
        safe = np.isfinite(lengths.astype(x.dtype)).all()
        total = lengths.astype(x.dtype) @ rows if safe else lengths @ rows.astype(np.float64)
    return mean, rms, (sum_of_squares(total) - live) / (live * (live - 1))


def _squares_of_rows(rows: Floats) -> npt.NDArray[np.float64]:
    """Sum of squares of each row: all rows at once where float32 holds them, for most are short and many."""
    if rows.shape[1] > _BLOCK:
        return np.array([sum_of_squares(row) for row in rows])
    with np.errstate(all="ignore"):
        squares = np.matmul(rows[:, None, :], rows[:, :, None]).reshape(-1).astype(np.float64)
        held = np.isfinite(squares) & (squares > SMALL**2 * rows.shape[1])
    for place in np.flatnonzero(~held):
        squares[place] = sum_of_squares(rows[place])
    return squares


def _by_input(x: Floats, batch_size: int | None) -> Floats | None:
    """The signal as one row an input."""
    if batch_size is None or batch_size < 2 or x.ndim == 0 or x.shape[0] % batch_size:
        return None
    return x.reshape(batch_size, -1)


def _subnormal_share(x: Floats, rms: float, kind: Range) -> float:
    """Share of the nonzero elements below the type's smallest normal number; looked at only where it can matter."""
    if not math.isfinite(rms) or rms > 1e4 * kind.tiny:
        return 0.0
    size = np.abs(x)
    nonzero = np.count_nonzero(size)
    return float(np.count_nonzero((size > 0) & (size < kind.tiny)) / nonzero) if nonzero else 0.0


def _dead(values: Array, axis: int, zero_share: float) -> int:
    """How many units are zero for the whole batch."""
    if zero_share < MOSTLY_ZERO or values.ndim < 2:
        return 0
    return int(np.count_nonzero(~(values != 0).any(axis=tuple(a for a in range(values.ndim) if a != axis))))


def _sample(x: Floats) -> npt.NDArray[np.float64]:
    # An even step would meet the same few units again and again: widths are multiples of powers of two.
    return x.reshape(-1)[:: (x.size // SAMPLE_SIZE) | 1][:SAMPLE_SIZE].astype(np.float64)
