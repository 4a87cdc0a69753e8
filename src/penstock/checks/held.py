"""What ranks, or files, hold of one model: a hash and a few counts for each part. What the checks of ranks read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Box = tuple[tuple[int, int], ...]

FEW = 8
"""Parts of fewer elements may agree by chance or by design."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One part of one parameter, where it lies.

    Attributes:
        place: the rank, or the file, that holds it.
        name: of the parameter.
        shape: of the whole parameter.
        dtype: of its elements.
        layout: how the parameter lies over the ranks, as text; the same on all of them.
        box: first index and the one behind the last, of each axis.
        digest: hash of the part's bytes.
        elements: of this part.
        constant: whether all of them are equal.
        nonfinite, garbage: shares of elements that are NaN or infinite, or as no initializer makes them (subnormal,
            above 1e10).
        distinct_rows, rows: rows of a matrix, and how many of them differ; None where that was not looked at.
        repeats: how many identical blocks the part is made of along one axis; 1 if it is not, or nobody looked.
        law: the law of random draws that the part still fits ("normal(std=0.02)"); None if it fits none.
        recorded: whether a ledger holds the same hash for it; None without a ledger.
    """

    place: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    box: Box
    digest: str
    elements: int
    constant: bool
    nonfinite: float = 0.0
    garbage: float = 0.0
    rows: int | None = None
    distinct_rows: int | None = None
    repeats: int = 1
    law: str | None = None
    recorded: bool | None = None

    @property
    def varied(self) -> bool:
        """Whether equal values elsewhere would be no accident: enough elements, not all equal, all finite."""
        return self.elements >= FEW and not self.constant and self.nonfinite == 0.0


@dataclass(frozen=True)
class Holdings:
    """Everything that was looked at.

    Attributes:
        model: its class, or the path of the files.
        kind: "rank" or "file": what `Held.place` names.
        places: all of them.
        parts: what they hold.
        hint: the call that mends what is wrong.
        notes: sentences about what was not looked at, and why.
    """

    model: str
    kind: str
    places: tuple[str, ...]
    parts: tuple[Held, ...]
    hint: str
    notes: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Held, ...]]:
        """Parameter -> its parts."""
        table: dict[str, list[Held]] = {}
        for part in self.parts:
            table.setdefault(part.name, []).append(part)
        return {name: tuple(parts) for name, parts in table.items()}


def places_text(kind: str, places: Iterable[str]) -> str:
    """E.g. "ranks 1 and 3"; more than four are counted."""
    named = list(dict.fromkeys(places))
    if len(named) == 1:
        return f"{kind} {named[0]}"
    if len(named) > 4:
        return f"{len(named)} {kind}s ({', '.join(named[:3])}, ...)"
    return f"{kind}s {', '.join(named[:-1])} and {named[-1]}"


def held_from(data: Mapping[str, Any]) -> Held:
    """A part from plain data, as another rank sent it."""
    values = dict(data)
    values["shape"] = tuple(values["shape"])
    values["box"] = tuple((side[0], side[1]) for side in values["box"])
    return Held(**values)
