"""Random values made in a tensor's own memory, without a copy beside it: the fast way of `penstock.torch.init`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.autograd.graph import increment_version
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from penstock.geometry import Geometry
from penstock.randomness import Distribution, Window, fill
from penstock.randomness.transforms import TRUNCATED_STD, UNIFORM_STD
from penstock.recipes.normal import Normal
from penstock.recipes.recipe import Recipe
from penstock.recipes.scaling import VarianceScaling
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform
from penstock.recipes.uniform_between import UniformBetween

_RAW_STD: dict[Distribution, float] = {"normal": 1.0, "truncated_normal": TRUNCATED_STD, "uniform": UNIFORM_STD}
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

Law = tuple[Distribution, float, float]
"""Raw values, their factor and shift, as `penstock.randomness.fill` takes them."""


def fill_memory(target: torch.Tensor, recipe: Recipe, geometry: Geometry, key: int, window: Window | None) -> bool:
    """Write a window of an elementwise recipe's values into a tensor's memory.

    The bits are those of `recipe.draw`, rounded once. The tensor's version is raised, as by any write of PyTorch's.

    Returns:
        Whether it was done. Not for other recipes, devices, types, subclasses, overlapping memory, or where something
        watches PyTorch's operations: then values must be drawn and copied.
    """
    law = _LAWS.get(type(recipe))
    if law is None or not _plain(target):
        return False
    terms = law(recipe, geometry)
    if terms is None:
        return False
    distribution, scale, shift = terms
    memory = _memory(target)
    kind = "bfloat16" if target.dtype is torch.bfloat16 else None
    threads = torch.get_num_threads()
    fill(
        distribution,
        geometry.shape,
        key,
        window=window,
        scale=scale,
        shift=shift,
        dtype=kind,
        out=memory,
        threads=threads,
    )
    increment_version(target)
    return True


def _plain(target: torch.Tensor) -> bool:
    return (
        type(target) in (torch.Tensor, nn.Parameter)
        and target.device.type == "cpu"
        and target.dtype in _FLOATS
        and target.layout is torch.strided
        and (target.is_contiguous() or all(step > 0 for step in target.stride()))
        and not target.is_neg()
        and not target.is_inference()
        and not is_in_torch_dispatch_mode()
    )


def _memory(target: torch.Tensor) -> npt.NDArray[Any]:
    """The tensor's memory as an array; bfloat16, which NumPy lacks, as the 16 bits of each value."""
    values = target.detach()
    return values.view(torch.int16).numpy().view(np.uint16) if values.dtype is torch.bfloat16 else values.numpy()


def _normal(recipe: Normal, geometry: Geometry) -> Law:
    return "normal", recipe.sigma, recipe.mean


def _truncated(recipe: TruncatedNormal, geometry: Geometry) -> Law:
    return "truncated_normal", recipe.sigma / TRUNCATED_STD, 0.0


def _uniform(recipe: Uniform, geometry: Geometry) -> Law:
    return "uniform", recipe.bound, 0.0


def _between(recipe: UniformBetween, geometry: Geometry) -> Law | None:
    scale, shift, clip = recipe.affine()
    return ("uniform", scale, shift) if clip is None else None


def _scaling(recipe: VarianceScaling, geometry: Geometry) -> Law:
    return recipe.distribution, recipe.std(geometry) / _RAW_STD[recipe.distribution], 0.0


_LAWS: dict[type[Recipe], Callable[[Any, Geometry], Law | None]] = {
    Normal: _normal,
    TruncatedNormal: _truncated,
    Uniform: _uniform,
    UniformBetween: _between,
    VarianceScaling: _scaling,
}
