"""Measure each parameter: scale, zeros, garbage, identical units, repeated blocks, twins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from penstock.fan_table import Declared
from penstock.geometry import Geometry
from penstock.graph import Graph
from penstock.signals import ParameterStats
from penstock.torch.meter import real_float

HUGE = 1e10
"""No initializer draws a weight of this size; uninitialized memory often holds some."""

REPEATS = (2, 3, 4, 5, 6, 7, 8, 16, 32, 64)
"""Numbers of blocks that are looked for: those of ranks, heads and gates."""

GradientRms = Mapping[str, float]


def measure_parameters(
    model: nn.Module,
    graph: Graph,
    declared: Mapping[str, Declared],
    gradients: GradientRms,
) -> dict[str, ParameterStats]:
    """Measure every parameter of a model; tied ones once, under their first name.

    Args:
        model: whose parameters.
        graph: says how each is used.
        declared: axis roles and roles that the layers declare.
        gradients: RMS of each gradient that came.
    """
    ties = _ties(model)
    made: dict[str, ParameterStats] = {}
    tensors: dict[str, torch.Tensor] = {}
    for name, names in ties.items():
        parameter = model.get_parameter(name)
        geometry = next(
            (n.geometry for n in graph.users(name) if n.kind == "contraction" and n.parameters[0] == name), None
        )
        known = declared.get(name)
        geometry = geometry or (known.geometry if known else None)
        made[name] = replace(
            measure(name, parameter.detach(), geometry if geometry and geometry.is_weight else None),
            role=role_of(name, graph, known.role if known else None, is_scalar=parameter.numel() == 1),
            geometry=geometry,
            grad_rms=gradients.get(name),
            uses=len(graph.users(name)),
            trainable=parameter.requires_grad,
            ties=tuple(names[1:]),
        )
        tensors[name] = parameter.detach()
    return _with_twins(made, tensors)


def _ties(model: nn.Module) -> dict[str, list[str]]:
    """First name of each parameter -> all of its names."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {group[0]: group for group in names.values()}


def role_of(name: str, graph: Graph, declared: str | None, *, is_scalar: bool = False) -> str:
    """What a parameter is for: as its use shows it, or else as its layer declares it."""
    for node in graph.users(name):
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


def measure(name: str, parameter: torch.Tensor, geometry: Geometry | None) -> ParameterStats:
    """The numbers of one parameter alone."""
    x = real_float(parameter)
    count = x.numel()
    base = ParameterStats(name, tuple(parameter.shape), str(parameter.dtype).removeprefix("torch."), "other", geometry, 0.0)
    if count == 0 or parameter.is_meta or parameter.layout != torch.strided:
        return base
    rms = float(torch.linalg.vector_norm(x)) / math.sqrt(count)
    nonfinite = 0.0
    if not math.isfinite(rms):
        finite = torch.isfinite(x)
        nonfinite = 1.0 - float(finite.sum()) / count
        x = torch.where(finite, x, torch.zeros_like(x))
        rms = float(torch.linalg.vector_norm(x.double())) / math.sqrt(count)
    nonzero = int(torch.count_nonzero(x))
    peak = float(torch.linalg.vector_norm(x, ord=math.inf))
    units, distinct = _distinct_units(x, geometry)
    return replace(
        base,
        rms=rms,
        mean=float(x.mean()),
        max_abs=peak,
        zero_share=1.0 - nonzero / count,
        nonfinite_share=nonfinite,
        garbage_share=_garbage_share(x, rms, peak, parameter.dtype),
        outlier=_outlier(x, rms, peak, nonzero),
        units=units,
        distinct_units=distinct,
        repeats=_repeats(x, distinct) if nonfinite == 0.0 else 1,
        block_rms=_block_rms(x, geometry),
    )


def _garbage_share(x: torch.Tensor, rms: float, peak: float, dtype: torch.dtype) -> float:
    """Share of elements that are subnormal or huge; only looked for where the scale is suspicious or spread wide."""
    tiny = torch.finfo(torch.float32 if dtype == torch.bfloat16 else dtype if dtype.is_floating_point else x.dtype).tiny
    sample = x.reshape(-1)[:: max(1, x.numel() // 65536)]
    size = sample.abs()
    suspicious = peak > HUGE or bool(((size > 0) & (size < tiny)).any())
    if not suspicious:
        return 0.0
    size = x.abs()
    return float(((size > HUGE) | ((size > 0) & (size < tiny))).sum()) / x.numel()


def _outlier(x: torch.Tensor, rms: float, peak: float, nonzero: int) -> float:
    """Largest magnitude over the RMS of the other nonzero elements."""
    if nonzero < 2 or peak == 0.0:  # noqa: PLR2004
        return 0.0
    # Those within a factor of 2 of the largest are one group of outliers, or the bulk itself (ones, identities).
    size = x.abs()
    rest = size < peak / 2
    others = int((rest & (size > 0)).sum())
    if others < nonzero / 2:
        return 1.0
    total = float(torch.linalg.vector_norm(torch.where(rest, size, torch.zeros_like(size))))
    return peak / (total / math.sqrt(others)) if total > 0 else 1.0


def _rows(x: torch.Tensor, geometry: Geometry) -> torch.Tensor | None:
    """The weight as (units, everything else); stacked experts keep their axis with the units."""
    axes = geometry.batch_axes + geometry.out_axes
    if geometry.lookup:
        axes = geometry.in_axes
    if not axes or x.dim() != len(geometry.shape) or tuple(x.shape) != geometry.shape:
        return None
    others = [a for a in range(x.dim()) if a not in axes]
    return x.permute(*axes, *others).reshape(math.prod(x.shape[a] for a in axes), -1)


def _distinct_units(x: torch.Tensor, geometry: Geometry | None) -> tuple[int | None, int | None]:
    """Number of units and of different ones. Equal rows have nearly equal projections: only those are compared."""
    rows = _rows(x, geometry) if geometry is not None else None
    if rows is None:
        return None, None
    units = rows.shape[0]
    direction = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(1)).to(rows)
    projected = rows @ direction
    order = torch.argsort(projected)
    gap = projected[order][1:] - projected[order][:-1]
    scale = float(torch.linalg.vector_norm(rows)) / math.sqrt(units) + 1e-300
    close = torch.nonzero(gap <= 1e-5 * scale).flatten()
    if len(close) == 0:
        return units, units
    same = (rows[order[close]] == rows[order[close + 1]]).all(dim=1)
    return units, units - int(same.sum())


def _repeats(x: torch.Tensor, distinct: int | None) -> int:
    """How many identical blocks the parameter is made of, along either of its first two axes."""
    if x.dim() < 2 or distinct == 1 or bool((x == x.reshape(-1)[0]).all()):  # noqa: PLR2004
        return 1
    found = 1
    for axis in (0, 1):
        size = x.shape[axis]
        for k in REPEATS:
            if k < size and size % k == 0:
                first, second = (x.narrow(axis, i * (size // k), size // k) for i in (0, 1))
                if torch.equal(first, second) and _all_equal(x, axis, k):
                    found = max(found, k)
    return found


def _all_equal(x: torch.Tensor, axis: int, k: int) -> bool:
    parts = x.chunk(k, dim=axis)
    return all(torch.equal(parts[0], p) for p in parts[1:])


def _block_rms(x: torch.Tensor, geometry: Geometry | None) -> tuple[float, ...]:
    if geometry is None or not geometry.blocks or x.dim() != len(geometry.shape):
        return ()
    parts = x.split(list(geometry.blocks), dim=geometry.out_axes[0])
    return tuple(float(torch.linalg.vector_norm(p)) / math.sqrt(p.numel()) for p in parts)


def _with_twins(made: dict[str, ParameterStats], tensors: Mapping[str, torch.Tensor]) -> dict[str, ParameterStats]:
    """Mark parameters with the values of an earlier one; equal numbers only point at candidates, the bits decide."""
    seen: dict[tuple[object, ...], list[str]] = {}
    for name, stats in made.items():
        constant = stats.rms == 0.0 or math.isclose(abs(stats.mean), stats.rms, rel_tol=1e-6)
        if constant or tensors[name].numel() < 2:  # noqa: PLR2004
            continue
        twin = _twin(name, seen.setdefault((stats.shape, stats.dtype, stats.rms, stats.max_abs), []), tensors)
        if twin is not None:
            made[name] = replace(stats, twin=twin)
    return made


def _twin(name: str, candidates: list[str], tensors: Mapping[str, torch.Tensor]) -> str | None:
    found: Sequence[str] = [c for c in candidates if torch.equal(tensors[c], tensors[name])]
    candidates.append(name)
    return found[0] if found else None
