"""Whether a file holds the weights that a ledger records, and what two ledgers differ in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import ArgumentError, message
from penstock.ledger.book import Ledger
from penstock.ledger.content import content_of
from penstock.ledger.keys import check_keys
from penstock.ledger.record import Record
from penstock.ledger.weights_file import Stored, read_header

SHOWN = 8


@dataclass(frozen=True, slots=True)
class Verification:
    """What a file of weights has in common with a ledger.

    Attributes:
        same: parameters whose bytes have the recorded hash.
        changed: parameters with other bytes: trained, loaded or damaged since.
        missing: recorded ones that the file lacks.
        unknown: tensors of the file that the ledger does not know.
    """

    same: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the file holds what is recorded, all of it and nothing else."""
        return not (self.changed or self.missing or self.unknown)

    def __str__(self) -> str:
        total = len(self.same) + len(self.changed) + len(self.missing)
        lines = [f"{len(self.same)} of {total} parameters have the recorded bytes"]
        for title in ("changed", "missing", "unknown"):
            lines += _listed(title, getattr(self, title))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Difference:
    """What two ledgers differ in.

    Attributes:
        changed: name -> the fields that differ, each as (name, in the first, in the second).
        only_first, only_second: names that one of them lacks.
        seeds: of both.
    """

    changed: Mapping[str, tuple[tuple[str, str, str], ...]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    seeds: tuple[int, int]

    @property
    def ok(self) -> bool:
        """Whether they record the same."""
        return not (self.changed or self.only_first or self.only_second)

    def __str__(self) -> str:
        if self.ok:
            return "both ledgers record the same weights"
        lines = [f"seeds: {self.seeds[0]} and {self.seeds[1]}"] if self.seeds[0] != self.seeds[1] else []
        for name, fields in self.changed.items():
            lines.append(name)
            lines += [f"  {field}: {first} -> {second}" for field, first, second in fields]
        lines += _listed("only in the first", self.only_first) + _listed("only in the second", self.only_second)
        return "\n".join(lines)


def verify(ledger: Ledger, weights: str | os.PathLike[str]) -> Verification:
    """Compare a safetensors file with a ledger, byte by byte through the hashes.

    Args:
        ledger: what was written.
        weights: the file; tied parameters may be there under any of their names.

    Raises:
        ArgumentError: if the file is damaged, or the ledger is of other weights altogether, or contradicts itself.
    """
    check_keys("verify", ledger)
    found = read_header(weights)
    same, changed, missing = [], [], []
    for record in ledger.records:
        stored = next((found[name] for name in (record.name, *record.ties) if name in found), None)
        if stored is None:
            missing.append(record.name)
        else:
            (same if _is_same(record, stored) else changed).append(record.name)
    unknown = tuple(name for name in found if name not in ledger)
    if ledger.records and len(missing) == len(ledger.records):
        names = f"{ledger.records[0].name!r} in the ledger, {next(iter(found), 'nothing')!r} in the file"
        raise ArgumentError(
            message(
                f"verify: the ledger ({ledger.model}) and {str(weights)!r} have no name in common; e.g. {names}.",
                hint="penstock ledger verify weights.safetensors --ledger ITS.ledger.json",
            )
        )
    return Verification(tuple(same), tuple(changed), tuple(missing), unknown)


def ledger_path(weights: str | os.PathLike[str]) -> Path:
    """Where the ledger of a file of weights lies: start.safetensors has start.ledger.json beside it."""
    return Path(weights).with_suffix(".ledger.json")


def difference(first: Ledger, second: Ledger) -> Difference:
    """What two ledgers differ in: recipes, types, shapes, factors, and the hashes of what came out.

    Examples:
        >>> empty = Ledger("Net", 0, ())
        >>> print(difference(empty, empty))
        both ledgers record the same weights
    """
    changed = {}
    for record in first.records:
        if record.name in second:
            fields = tuple(_differences(record, second[record.name]))
            if fields:
                changed[record.name] = fields
    return Difference(
        changed,
        tuple(r.name for r in first.records if r.name not in second),
        tuple(r.name for r in second.records if r.name not in first),
        (first.seed, second.seed),
    )


def _is_same(record: Record, stored: Stored) -> bool:
    if (stored.dtype, stored.shape) != (record.dtype, record.shape):
        return False
    for part in record.parts:
        if part.box is None:
            digest = content_of(stored.pieces(), stored.dtype).digest
        else:
            digest = content_of(stored.array()[tuple(slice(a, b) for a, b in part.box)], stored.dtype).digest
        if digest != part.digest:
            return False
    return bool(record.parts)


def _differences(first: Record, second: Record) -> list[tuple[str, str, str]]:
    found = []
    for field in ("shape", "dtype", "recipe", "key", "factors", "digest"):
        a, b = getattr(first, field), getattr(second, field)
        # Another key for a constant changes nothing.
        if a != b and not (field == "key" and first.parts == second.parts):
            found.append((field, _text(field, a), _text(field, b)))
    if not found and set(first.parts) != set(second.parts):
        found.append(("boxes", str(len(first.parts)), str(len(second.parts))))
    return found


def _text(field: str, value: object) -> str:
    if value is None:
        return "none"
    if field == "recipe":
        return value.describe()  # type: ignore[attr-defined]  (every recipe has it)
    if field == "key":
        return f"{value:016x}"
    return str(value)[:12] if field == "digest" else str(value)


def _listed(title: str, names: tuple[str, ...]) -> list[str]:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{title} ({len(names)}): {', '.join(names[:SHOWN])}{more}"] if names else []
