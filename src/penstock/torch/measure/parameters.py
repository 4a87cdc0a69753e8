"""Measure each parameter: scale, zeros, garbage, identical units, repeated blocks, twins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from penstock.fan_table import Declared
from penstock.geometry import Geometry
from penstock.graph import Graph
from penstock.signals import ParameterStats
from penstock.torch.measure.blocks import BLOCK, Totals, blocks, flat, real_float, rest, totals
from penstock.tracing import weights
from penstock.tracing.readings import Range
from penstock.tracing.weights import HUGE, REPEATS, SAMPLE, Held

# The numbers are those of `penstock.tracing.weights`, taken with PyTorch where the parameter lies: on its device, block
# by block, without a float32 copy of a model in half precision.

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
    held: dict[str, Held] = {}
    for name, names in _ties(model).items():
        parameter, known = model.get_parameter(name), declared.get(name)
        held[name] = Held(
            parameter.detach(),
            _kind(parameter.dtype),
            role=known.role if known else None,
            geometry=known.geometry if known else None,
            grad_rms=gradients.get(name),
            trainable=parameter.requires_grad,
            ties=tuple(names[1:]),
            cell=known.cell if known else "",
        )
    return weights.measure_parameters(graph, held, measure=measure, equal=torch.equal)


def _kind(dtype: torch.dtype) -> Range:
    tiny = torch.finfo(dtype if dtype.is_floating_point or dtype.is_complex else torch.float32).tiny
    return Range(str(dtype).removeprefix("torch."), tiny)


def _ties(model: nn.Module) -> dict[str, list[str]]:
    """First name of each parameter -> all of its names."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {group[0]: group for group in names.values()}


def measure(name: str, parameter: torch.Tensor, kind: Range, geometry: Geometry | None) -> ParameterStats:
    """The numbers of one parameter alone."""
    base = ParameterStats(name, tuple(parameter.shape), kind.name, "other", geometry, 0.0)
    if parameter.numel() == 0 or parameter.is_meta or parameter.layout != torch.strided:
        return base
    x = torch.view_as_real(parameter.resolve_conj()) if parameter.is_complex() else parameter
    sums = totals(x)
    if sums.nonfinite:
        x = torch.where(torch.isfinite(x), x, torch.zeros_like(x))
    units, distinct = _distinct_units(x, geometry, sums)
    return replace(
        base,
        rms=sums.rms,
        mean=sums.total / sums.count,
        max_abs=sums.peak,
        zero_share=1.0 - sums.nonzero / sums.count,
        nonfinite_share=sums.nonfinite / sums.count,
        garbage_share=_garbage_share(x, sums.peak, kind.tiny),
        outlier=_outlier(x, sums),
        units=units,
        distinct_units=distinct,
        repeats=_repeats(x, sums, distinct),
        block_rms=_block_rms(x, geometry),
    )


def _garbage_share(x: torch.Tensor, peak: float, tiny: float) -> float:
    """Share of elements that are subnormal or huge; only looked for where the scale is suspicious or spread wide."""
    values = flat(x)
    size = real_float(values[:: max(1, values.numel() // SAMPLE)]).abs()
    suspicious = peak > HUGE or bool(((size > 0) & (size < tiny)).any())
    if not suspicious:
        return 0.0
    sizes = (block.abs() for block in blocks(x))
    return sum(int(((s > HUGE) | ((s > 0) & (s < tiny))).sum()) for s in sizes) / values.numel()


def _outlier(x: torch.Tensor, sums: Totals) -> float:
    """Largest magnitude over the RMS of the other nonzero elements."""
    if sums.nonzero < 2 or sums.peak == 0.0:
        return 0.0
    if sums.low == sums.high:
        return 1.0
    # Those within a factor of 2 of the largest are one group of outliers, or the bulk itself (ones, identities).
    others, norm = rest(x, sums.peak / 2, wide=sums.wide)
    if others < sums.nonzero / 2 or norm == 0.0:
        return 1.0
    return sums.peak / (norm / math.sqrt(others))


def _rows(x: torch.Tensor, geometry: Geometry) -> torch.Tensor | None:
    """The weight as (units, everything else); stacked experts keep their axis with the units."""
    axes = geometry.batch_axes + geometry.out_axes
    if geometry.lookup:
        axes = geometry.in_axes
    if not axes or x.dim() != len(geometry.shape) or tuple(x.shape) != geometry.shape:
        return None
    others = [a for a in range(x.dim()) if a not in axes]
    return x.permute(*axes, *others).reshape(math.prod(x.shape[a] for a in axes), -1)


def _distinct_units(x: torch.Tensor, geometry: Geometry | None, sums: Totals) -> tuple[int | None, int | None]:
    """Number of units and of different ones. Equal rows have nearly equal projections: only those are compared."""
    rows = _rows(x, geometry) if geometry is not None else None
    if rows is None:
        return None, None
    units, width = rows.shape
    if sums.low == sums.high:
        return units, 1
    direction = torch.randn(width, generator=torch.Generator().manual_seed(1)).to(rows.device)
    few = max(1, BLOCK // max(width, 1))
    projected, order = torch.sort(_project(rows, direction, few))
    scale = sums.rms * math.sqrt(sums.count / units)
    close = torch.nonzero(projected.diff() <= 1e-5 * scale).flatten()
    pairs = zip(order[close].split(few), order[close + 1].split(few), strict=True)
    return units, units - sum(int((rows[a] == rows[b]).all(dim=1).sum()) for a, b in pairs)


def _project(rows: torch.Tensor, direction: torch.Tensor, few: int) -> torch.Tensor:
    """Each row's component along a direction; half precision is widened a few rows at a time."""
    if rows.dtype in (torch.float32, torch.float64):
        return rows @ direction.to(rows.dtype)
    return torch.cat([real_float(part) @ direction for part in rows.split(few)])


def _repeats(x: torch.Tensor, sums: Totals, distinct: int | None) -> int:
    """How many identical blocks the parameter is made of, along either of its first two axes."""
    if x.dim() < 2 or distinct == 1 or sums.nonfinite or sums.low == sums.high:
        return 1
    found = 1
    for axis in (0, 1):
        size = x.shape[axis]
        for k in REPEATS:
            # One slice of each of the first two blocks tells nearly always; only then are the blocks compared.
            if k < size and size % k == 0 and torch.equal(x.select(axis, 0), x.select(axis, size // k)):
                found = max(found, k if _all_equal(x, axis, k) else 1)
    return found


def _all_equal(x: torch.Tensor, axis: int, k: int) -> bool:
    parts = x.chunk(k, dim=axis)
    return all(torch.equal(parts[0], p) for p in parts[1:])


def _block_rms(x: torch.Tensor, geometry: Geometry | None) -> tuple[float, ...]:
    if geometry is None or not geometry.blocks or x.dim() != len(geometry.shape):
        return ()
    parts = x.split(list(geometry.blocks), dim=geometry.out_axes[0])
    return tuple(totals(p).rms for p in parts)
