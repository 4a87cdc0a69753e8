"""A weight as a stack of matrices and back: what orthogonal and identity weights are defined on."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry


def matrix_stack(function: str, geometry: Geometry) -> tuple[int, int, int, int]:
    """How many matrices a weight holds, and their shape: (stacked, groups, rows, columns).

    Rows are the output axes of one group, columns its input axes and then its window, all row-major.

    Raises:
        ShapeError: if the parameter is no weight, an axis has no role, or the groups do not divide their axis.
    """
    roles = geometry.batch_axes + geometry.out_axes + geometry.in_axes + geometry.window_axes
    if not geometry.is_weight or len(roles) != len(geometry.shape):
        raise ShapeError(
            message(
                f"{function}: a weight needs an input and an output axis and a role for every axis; got shape "
                f"{geometry.shape} with in_axes={geometry.in_axes}, out_axes={geometry.out_axes}.",
                because="a matrix has rows (outputs) and columns (inputs)",
            )
        )
    shape = geometry.shape
    axis = _grouped_axis(geometry)
    if geometry.groups > 1 and (axis is None or shape[axis] % geometry.groups):
        raise ShapeError(
            message(f"{function}: groups must divide their axis; got groups={geometry.groups} for shape {shape}.")
        )
    rows = math.prod(shape[a] for a in geometry.out_axes)
    columns = math.prod(shape[a] for a in geometry.in_axes + geometry.window_axes)
    if geometry.split == "in":
        rows //= geometry.groups
    else:
        columns //= geometry.groups
    return math.prod(shape[a] for a in geometry.batch_axes), geometry.groups, rows, columns


def to_matrices(function: str, geometry: Geometry, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The weight as an array of shape (stacked, groups, rows, columns)."""
    stacked, groups, rows, columns = matrix_stack(function, geometry)
    ordered = weight.transpose(_order(geometry))
    if geometry.split == "in":
        return ordered.reshape(stacked, groups, rows, columns)
    return ordered.reshape(stacked, rows, groups, columns).swapaxes(1, 2)


def from_matrices(geometry: Geometry, matrices: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The inverse of `to_matrices`."""
    order = _order(geometry)
    ordered = matrices if geometry.split == "in" else matrices.swapaxes(1, 2)
    return ordered.reshape([geometry.shape[axis] for axis in order]).transpose(np.argsort(order))


def _order(geometry: Geometry) -> tuple[int, ...]:
    return geometry.batch_axes + geometry.out_axes + geometry.in_axes + geometry.window_axes


def _grouped_axis(geometry: Geometry) -> int | None:
    """The axis that holds all groups; the group is its slowest part."""
    axes = geometry.out_axes if geometry.split == "in" else geometry.in_axes
    return axes[0] if axes else None
