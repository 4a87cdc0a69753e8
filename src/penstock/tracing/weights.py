"""Measure each parameter that lies in a NumPy array: scale, zeros, garbage, identical units, repeats, twins."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.graph import Graph
from penstock.signals import ParameterStats
from penstock.tracing.readings import Floats, Range, as_real, sum_of_squares

HUGE = 1e10
"""No initializer draws a weight of this size; uninitialized memory often holds some."""

REPEATS = (2, 3, 4, 5, 6, 7, 8, 16, 32, 64)
"""Numbers of blocks that are looked for: those of ranks, heads and gates."""

SAMPLE = 65536
"""Elements of a parameter that are looked at for subnormal numbers; only if there are any, all are."""

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Held:
    """One parameter of a model.

    Attributes:
        values: its numbers, in an array of NumPy, or of another kind that its own functions measure.
        kind: the element type.
        role: what its layer declares of it; None where it declares nothing.
        geometry: the axis roles that are declared.
        grad_rms: RMS of its gradient; None where none came.
        trainable: requires a gradient.
        ties: other names of it.
        cell: kind and part of the recurrent cell that it belongs to, as declared.
    """

    values: Any
    kind: Range
    role: str | None = None
    geometry: Geometry | None = None
    grad_rms: float | None = None
    trainable: bool = True
    ties: tuple[str, ...] = ()
    cell: str = ""


Measure = Callable[[str, Any, Range, Geometry | None], ParameterStats]
Equal = Callable[[Any, Any], bool]


def measure_parameters(
    graph: Graph, held: Mapping[str, Held], *, measure: Measure | None = None, equal: Equal = np.array_equal
) -> dict[str, ParameterStats]:
    """Measure every parameter of a model; tied ones once, under their first name.

    Args:
        graph: says how each is used.
        held: the parameters by name.
        measure: takes the numbers of one parameter alone; None for arrays of NumPy.
        equal: whether the values of two are the same.
    """
    measure = measure or _measure
    made: dict[str, ParameterStats] = {}
    for name, one in held.items():
        users = graph.users(name)
        shown = next((n.geometry for n in users if n.kind == "contraction" and n.parameters[0] == name), None)
        geometry = shown or one.geometry
        stats = measure(name, one.values, one.kind, geometry if geometry and geometry.is_weight else None)
        made[name] = replace(
            stats,
            role=role_of(name, graph, one.role, is_scalar=math.prod(stats.shape) == 1),
            geometry=geometry or Geometry(stats.shape, out_axes=tuple(range(len(stats.shape)))),
            grad_rms=one.grad_rms,
            uses=len(users),
            trainable=one.trainable,
            ties=one.ties,
            cell=one.cell,
        )
    return _with_twins(made, held, equal)


def in_order_of_use(graph: Graph, held: Mapping[str, Held]) -> dict[str, Held]:
    """The parameters as the graph uses them: trees are sorted by name, "layers.10" before "layers.2"."""
    used = ((i, k, n) for i, node in enumerate(graph.nodes) for k, n in enumerate(node.parameters))
    first = {n: (i, k) for i, k, n in sorted(used, reverse=True)}
    last = (len(graph.nodes), 0)
    return {name: held[name] for name in sorted(held, key=lambda n: first.get(n, last))}


def role_of(name: str, graph: Graph, declared: str | None, *, is_scalar: bool = False) -> str:
    """What a parameter is for: as its use shows it, or else as its layer declares it."""
    # A weight is one, also where it first met a constant (the zero state of a recurrent loop).
    for node in sorted(graph.users(name), key=lambda n: n.kind != "contraction"):
        place = node.parameters.index(name)
        if node.kind == "contraction":
            lookup = node.geometry is not None and node.geometry.lookup
            if place == 0:
                return "embedding" if lookup else "weight"
            return "bias" if declared in (None, "other") else declared
        if node.kind == "norm" and is_scalar:
            return "gate"
        if node.kind == "norm":
            return declared if declared in ("scale", "offset") else ("scale", "offset")[min(place, 1)]
        if node.kind in ("gate", "sum") and declared in (None, "other"):
            return "gate" if node.kind == "gate" else "position"
    return declared or "other"


def _measure(name: str, values: npt.NDArray[Any], kind: Range, geometry: Geometry | None) -> ParameterStats:
    """The numbers of one parameter alone."""
    base = ParameterStats(name, tuple(values.shape), kind.name, "other", geometry, 0.0)
    if values.size == 0 or values.dtype.kind in "iub":
        return base
    x = as_real(values)
    finite = np.isfinite(x)
    nonfinite = x.size - int(np.count_nonzero(finite))
    x = np.where(finite, x, np.zeros_like(x)) if nonfinite else x
    low, high, nonzero = float(x.min()), float(x.max()), int(np.count_nonzero(x))
    rms, peak = math.sqrt(sum_of_squares(x) / x.size), max(-low, high)
    constant = low == high
    units, distinct = _distinct_units(x, geometry, constant=constant)
    return replace(
        base,
        rms=rms,
        mean=float(x.sum(dtype=np.float64)) / x.size,
        max_abs=peak,
        zero_share=1.0 - nonzero / x.size,
        nonfinite_share=nonfinite / x.size,
        garbage_share=_garbage_share(x, peak, kind),
        outlier=1.0 if constant and nonzero > 1 else _outlier(x, peak, nonzero),
        units=units,
        distinct_units=distinct,
        repeats=1 if distinct == 1 or nonfinite or constant else _repeats(x),
        block_rms=_block_rms(x, geometry),
    )


def _garbage_share(x: Floats, peak: float, kind: Range) -> float:
    """Share of elements that are subnormal or huge; only looked for where the scale is suspicious or spread wide."""
    flat = x.reshape(-1)
    size = np.abs(flat[:: max(1, flat.size // SAMPLE)])
    if peak <= HUGE and not ((size > 0) & (size < kind.tiny)).any():
        return 0.0
    sizes = (np.abs(piece) for piece in _pieces(flat))
    return sum(int(np.count_nonzero((s > HUGE) | ((s > 0) & (s < kind.tiny)))) for s in sizes) / flat.size


def _pieces(flat: Floats) -> Iterator[Floats]:
    return (flat[begin : begin + _BLOCK] for begin in range(0, flat.size, _BLOCK))


def _outlier(x: Floats, peak: float, nonzero: int) -> float:
    """Largest magnitude over the RMS of the other nonzero elements."""
    if nonzero < 2 or peak == 0.0:
        return 0.0
    others, squares = 0, 0.0
    for piece in _pieces(x.reshape(-1)):
        # Those within a factor of 2 of the largest are one group of outliers, or the bulk itself (ones, identities).
        rest = piece[np.abs(piece) <= peak / 2]
        others += int(np.count_nonzero(rest))
        squares += sum_of_squares(rest)
    if others < nonzero / 2 or squares == 0.0:
        return 1.0
    return peak / math.sqrt(squares / others)


def _rows(x: Floats, geometry: Geometry) -> Floats | None:
    """The weight as (units, everything else); stacked experts keep their axis with the units."""
    axes = geometry.in_axes if geometry.lookup else geometry.batch_axes + geometry.out_axes
    if not axes or tuple(x.shape) != geometry.shape:
        return None
    others = [a for a in range(x.ndim) if a not in axes]
    return x.transpose(*axes, *others).reshape(math.prod(x.shape[a] for a in axes), -1)


def _distinct_units(x: Floats, geometry: Geometry | None, *, constant: bool) -> tuple[int | None, int | None]:
    """Number of units and of different ones. Equal rows have nearly equal projections: only those are compared."""
    rows = _rows(x, geometry) if geometry is not None else None
    if rows is None:
        return None, None
    units, width = rows.shape
    if constant:
        return units, 1
    projected = rows @ np.random.default_rng(1).standard_normal(width).astype(x.dtype)
    order = np.argsort(projected, kind="stable")
    scale = math.sqrt(sum_of_squares(x) / units)
    close = np.flatnonzero(np.diff(projected[order]) <= 1e-5 * scale)
    equal = sum(bool(np.array_equal(rows[order[i]], rows[order[i + 1]])) for i in close)
    return units, units - equal


def _repeats(x: Floats) -> int:
    """How many identical blocks the parameter is made of, along either of its first two axes."""
    found = 1
    for axis in range(min(2, x.ndim)) if x.ndim > 1 else ():
        size = x.shape[axis]
        for k in REPEATS:
            # One slice of each of the first two blocks tells nearly always; only then are the blocks compared.
            if k < size and size % k == 0 and np.array_equal(x.take(0, axis), x.take(size // k, axis)):
                parts = np.split(x, k, axis=axis)
                found = max(found, k if all(np.array_equal(parts[0], part) for part in parts[1:]) else 1)
    return found


def _block_rms(x: Floats, geometry: Geometry | None) -> tuple[float, ...]:
    if geometry is None or not geometry.blocks or tuple(x.shape) != geometry.shape:
        return ()
    ends = np.cumsum(geometry.blocks)[:-1].tolist()
    return tuple(math.sqrt(sum_of_squares(p) / p.size) for p in np.split(x, ends, axis=geometry.out_axes[0]))


def _with_twins(made: dict[str, ParameterStats], held: Mapping[str, Held], equal: Equal) -> dict[str, ParameterStats]:
    """Mark parameters with the values of an earlier one; equal numbers only point at candidates, the bits decide."""
    seen: dict[tuple[object, ...], list[str]] = {}
    for name, stats in made.items():
        constant = stats.rms == 0.0 or math.isclose(abs(stats.mean), stats.rms, rel_tol=1e-6)
        if constant or math.prod(stats.shape) < 2:
            continue
        candidates: Sequence[str] = seen.setdefault((stats.shape, stats.dtype, stats.rms, stats.max_abs), [])
        twin = next((c for c in candidates if equal(held[c].values, held[name].values)), None)
        seen[(stats.shape, stats.dtype, stats.rms, stats.max_abs)].append(name)
        made[name] = replace(stats, twin=twin) if twin is not None else stats
    return made
