"""The fans of a layer or of a tensor, as a table that can be read and printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Literal, NamedTuple

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Fans, Geometry

Role = Literal["weight", "embedding", "bias", "scale", "offset", "gate", "position", "other"]


class Declared(NamedTuple):
    """What an adapter knows of one parameter.

    Attributes:
        geometry: the role of each axis.
        role: "weight", "embedding", "bias", "scale" (of a norm), "offset" (of a norm), "gate" (multiplies a signal),
            "position" (is added to a signal) or "other".
        cell: kind and part of the recurrent cell that it belongs to: "lstm.input", "gru.hidden", "rnn.input"; "" for
            every other layer. A bias has the part that it is added to. "lstm_open" is an LSTM that adds 1 to its forget
            gate itself; ".joined" is one weight on input and state side by side.
    """

    geometry: Geometry
    role: Role
    cell: str = ""


class FansRow(NamedTuple):
    """One parameter: the roles of its axes, its fans (None where it has none, as a bias) and its own role."""

    geometry: Geometry
    fans: Fans | None
    role: Role


@dataclass(frozen=True, slots=True)
class FansTable(Mapping[str, FansRow]):
    """The fans of each parameter of a layer, in order. Prints as a table.

    Examples:
        >>> table = fans_of_shape((8, 3, 3, 3), in_axes=1, out_axes=0, window_axes=(2, 3))
        >>> table.fan_in, table.fan_out
        (27.0, 72.0)
    """

    rows: tuple[tuple[str, FansRow], ...]

    def __getitem__(self, name: str) -> FansRow:
        for key, row in self.rows:
            if key == name:
                return row
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def fan_in(self) -> float:
        """fan_in of the only weight.

        Raises:
            ArgumentError: if there is no weight, or more than one.
        """
        return self._only().fan_in

    @property
    def fan_out(self) -> float:
        """fan_out of the only weight.

        Raises:
            ArgumentError: if there is no weight, or more than one.
        """
        return self._only().fan_out

    def _only(self) -> Fans:
        """The fans of the only parameter that has any."""
        found = {name: row.fans for name, row in self.rows if row.fans is not None}
        if len(found) == 1:
            return next(iter(found.values()))
        listed = ", ".join(list(found)[:5]) + (", ..." if len(found) > 5 else "")
        name = next(iter(found), "weight")
        raise ArgumentError(
            message(
                f"fans: fan_in and fan_out need exactly one weight; this has {len(found)}"
                + (f": {listed}." if found else "."),
                hint=f"table[{name!r}].fans.fan_in" if found else None,
            )
        )

    def __str__(self) -> str:
        head = ("parameter", "shape", "role", "fan_in", "fan_out", "notes")
        body = [
            (
                name,
                "x".join(map(str, row.geometry.shape)) or "scalar",
                row.role,
                *_numbers(row.fans),
                _notes(row.geometry),
            )
            for name, row in self.rows
        ]
        widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
        right = (3, 4)
        lines = [
            "  ".join(
                cell.rjust(w) if i in right else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in (head, *body)
        ]
        return "\n".join(line.rstrip() for line in lines)


def fans_table(declared: Mapping[str, Declared]) -> FansTable:
    """The table of what an adapter declares."""
    return FansTable(
        tuple(
            (name, FansRow(geometry, geometry.fans if geometry.is_weight else None, role))
            for name, (geometry, role, _) in declared.items()
        )
    )


def fans_of_shape(
    shape: Sequence[int],
    *,
    in_axes: int | Sequence[int],
    out_axes: int | Sequence[int],
    batch_axes: int | Sequence[int] = (),
    window_axes: int | Sequence[int] = (),
    groups: int = 1,
    stride: int = 1,
    transposed: bool = False,
    lookup: bool = False,
) -> FansTable:
    r"""Compute the fans of a tensor whose axes are named, since no shape says which axis is summed.

    .. math::  n_\mathrm{in} = \prod_{a \in in} s_a \prod_{k \in window} s_k, \quad
               n_\mathrm{out} = \prod_{a \in out} s_a \prod_{k \in window} s_k \,/\, (groups \cdot stride)

    n_in: terms summed into one output unit; n_out: terms summed into one input unit's gradient. With `transposed` it is
    n_in that is divided by groups and stride.

    Args:
        shape: of the whole tensor, never of a shard.
        in_axes: axes that are summed over. Negative ones count from the end, here and below.
        out_axes: axes that index output units.
        batch_axes: axes of independent weights (experts, heads); in no fan.
        window_axes: taps of a convolution.
        groups: groups of a grouped convolution, whose in axis (out axis, if transposed) holds one group only.
        stride: product of the strides.
        transposed: a transposed convolution.
        lookup: rows are picked, not summed (an embedding): fan_in is 1.

    Returns:
        A table with one row, "weight".

    Raises:
        ShapeError: if an axis is out of range or named twice, an axis of size > 1 is not named, or groups do not fit.

    Examples:
        >>> fans_of_shape((8, 1024, 512), in_axes=2, out_axes=1, batch_axes=0).fan_in
        512.0
        >>> fans_of_shape((64, 1, 3, 3), in_axes=1, out_axes=0, window_axes=(2, 3), groups=64).fan_out
        9.0
    """
    size = tuple(index(s) for s in shape)
    in_roles, out_roles = _axes("in_axes", in_axes, len(size)), _axes("out_axes", out_axes, len(size))
    batch, window = _axes("batch_axes", batch_axes, len(size)), _axes("window_axes", window_axes, len(size))
    unnamed = [a for a in range(len(size)) if size[a] != 1 and a not in in_roles + out_roles + batch + window]
    if unnamed:
        raise ShapeError(
            message(
                f"fans: every axis must be named; axis {unnamed[0]} of shape {size} is not.",
                hint=f"penstock.fans(tensor, ..., batch_axes={unnamed[0]}), if it stacks independent weights",
            )
        )
    if groups < 1 or stride < 1:
        raise ShapeError(message(f"fans: groups and stride must be at least 1; got groups={groups}, stride={stride}."))
    geometry = Geometry(
        size,
        in_axes=in_roles,
        out_axes=out_roles,
        window_axes=window,
        batch_axes=batch,
        groups=groups,
        split="out" if transposed else "in",
        stride=stride,
        transposed=transposed,
        lookup=lookup,
    )
    whole = in_roles if transposed else out_roles
    if groups > 1 and (not whole or size[whole[0]] % groups):
        raise ShapeError(message(f"fans: groups must divide the axis that holds all of them; got {groups} for {size}."))
    row = FansRow(
        geometry, geometry.fans, "embedding" if lookup else "weight"
    )  # raises where there is no in or out axis
    return FansTable((("weight", row),))


def _axes(name: str, value: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """Axes as a tuple of numbers from the front."""
    axes = tuple(value) if isinstance(value, Sequence) else (value,)
    for axis in axes:
        if not -ndim <= index(axis) < ndim:
            raise ShapeError(message(f"fans: {name} must lie in {-ndim}..{ndim - 1}; got {axis}."))
    return tuple(index(axis) % ndim for axis in axes)


def _numbers(fans: Fans | None) -> tuple[str, str]:
    return ("-", "-") if fans is None else (f"{fans.fan_in:g}", f"{fans.fan_out:g}")


def _notes(geometry: Geometry) -> str:
    """What is special about this parameter, for people."""
    notes = []
    if geometry.blocks:
        notes.append("blocks " + ", ".join(geometry.block_names or map(str, geometry.blocks)))
    if geometry.batch_axes:
        notes.append("stacked " + "x".join(str(geometry.shape[a]) for a in geometry.batch_axes))
    if geometry.groups > 1:
        notes.append(f"groups {geometry.groups}")
    if geometry.stride > 1:
        notes.append(f"strides {geometry.stride} in all")
    notes += [word for word in ("transposed", "lookup", "bilinear") if getattr(geometry, word)]
    return ", ".join(notes)
