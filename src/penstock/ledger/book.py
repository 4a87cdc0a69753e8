"""The ledger of a model: one record a parameter. It prints, goes to JSON and back, and joins those of other ranks."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from penstock.errors import ArgumentError, message
from penstock.ledger.record import Record, record_from_dict

FORMAT, VERSION = "penstock ledger", 1


@dataclass(frozen=True)
class Ledger:
    """What `penstock.initialize`, `Plan.apply` and `penstock.materialize` wrote.

    Attributes:
        model: name of the model's class.
        seed: that all keys come from, with the parameters' names.
        records: one a parameter, in the model's order, then the buffers that a checkpoint holds.
        notes: what else there is to say.
    """

    model: str
    seed: int
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Record:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def _by_name(self) -> dict[str, Record]:
        return {name: record for record in self.records for name in (record.name, *record.ties)}

    def to_dict(self) -> dict[str, Any]:
        """The ledger as plain data, with a version."""
        records = [record.to_dict() for record in self.records]
        head = {"format": FORMAT, "version": VERSION, "model": self.model, "seed": self.seed}
        return head | {"notes": list(self.notes), "records": records}

    def to_json(self) -> str:
        """The ledger as JSON text, one record a line."""
        data = self.to_dict()
        lines = ",\n".join(f"  {json.dumps(record, allow_nan=False)}" for record in data.pop("records"))
        head = json.dumps(data, allow_nan=False, indent=1).removesuffix("\n}")
        return f'{head},\n "records": [\n{lines}\n ]\n}}\n'

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ledger to a JSON file; the file appears under its name when it is complete."""
        place = Path(path)
        handle, part = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.to_json())
            umask = os.umask(0)
            os.umask(umask)
            Path(part).chmod(0o666 & ~umask)
            Path(part).replace(place)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    @staticmethod
    def from_dict(data: Any) -> Ledger:
        """The ledger that `to_dict` wrote.

        Raises:
            ArgumentError: if the data is none, or one of another version.
        """
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        if found != FORMAT or data.get("version") != VERSION:
            version = f" of version {data.get('version')!r}" if found == FORMAT else ""
            raise ArgumentError(
                message(f"Ledger.from_dict: data must be a ledger of version {VERSION}; got {found!r}{version}.")
            )
        seed, records, notes = data.get("seed"), data.get("records"), data.get("notes", [])
        if (
            type(seed) is not int
            or not 0 <= seed < 2**64
            or not isinstance(records, list)
            or not isinstance(notes, list)
        ):
            raise ArgumentError(message("Ledger.from_dict: data must have a seed of 64 bits and a list of records."))
        made = tuple(record_from_dict(record) for record in records)
        names = [name for record in made for name in (record.name, *record.ties)]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ArgumentError(message(f"Ledger.from_dict: a name must be recorded once; {twice!r} is there twice."))
        return Ledger(str(data.get("model")), seed, made, tuple(str(note) for note in notes))

    @staticmethod
    def from_json(text: str) -> Ledger:
        """The ledger that `to_json` wrote.

        Raises:
            ArgumentError: if the text is no JSON, or no ledger.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArgumentError(message(f"Ledger.from_json: text must be JSON; {error}.")) from None
        return Ledger.from_dict(data)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Ledger:
        """The ledger in a JSON file.

        Raises:
            ArgumentError: if there is no such file, or it is no ledger; its name is in the message.
        """
        try:
            return Ledger.from_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ArgumentError) as error:
            reason = str(error).removeprefix("Ledger.from_json: ").removeprefix("Ledger.from_dict: ")
            raise ArgumentError(message(f"Ledger.load: {str(path)!r} must be a ledger; {reason}")) from None

    def joined(self, *others: Ledger) -> Ledger:
        """This rank's ledger and those of other ranks as one: each parameter with the boxes of all.

        Raises:
            ArgumentError: if two of them were drawn with different seeds, recipes, shapes or types.
        """
        merged = {record.name: record for record in self.records}
        for other in others:
            for record in other.records:
                mine = merged.get(record.name, record)
                plain = {"parts": (), "measured": None}
                if self.seed != other.seed or replace(mine, **plain) != replace(record, **plain):
                    fact = f"Ledger.joined: all ranks must have written the same; {record.name!r} differs."
                    raise ArgumentError(message(fact, hint="penstock.check_ranks(model)"))
                parts = tuple(dict.fromkeys((*mine.parts, *record.parts)))
                same = mine.measured if mine.parts == record.parts else None
                merged[record.name] = replace(mine, parts=parts, measured=same)
        return replace(self, records=tuple(merged.values()))

    def __str__(self) -> str:
        from penstock.ledger.show import ledger_text

        return ledger_text(self)

    def __repr__(self) -> str:
        drawn = sum(record.recipe is not None for record in self.records)
        size = sum(math.prod(record.shape) for record in self.records)
        return f"<Ledger of {self.model}: {drawn} of {len(self.records)} drawn, {size:,} elements, seed {self.seed}>"
