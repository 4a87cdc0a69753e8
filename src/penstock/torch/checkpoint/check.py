"""`penstock check weights/`: what is wrong with weights in files, without the model."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.checks.held import Held, Holdings
from penstock.checks.registry import find_held
from penstock.errors import ArgumentError, message
from penstock.ledger.book import Ledger
from penstock.ledger.elements import ELEMENTS
from penstock.ledger.verify import ledger_path
from penstock.report.ranks_report import RanksReport
from penstock.torch.checkpoint.files import Chunk, chunks_of
from penstock.torch.checkpoint.parts import held_part

HINT = "penstock.materialize(model, seed=0), then write the files again from all ranks"


def check_weights(
    path: str | os.PathLike[str], *, ledger: Ledger | None = None, allow_pickle: bool = False
) -> RanksReport:
    """See `penstock.check_weights`."""
    place = Path(path)
    known = _ledger(place) if ledger is None else ledger
    parts: list[Held] = []
    skipped: list[str] = []
    for chunk in chunks_of(place, allow_pickle=allow_pickle):
        if chunk.dtype in ELEMENTS:
            parts.append(_held(chunk, known))
        else:
            skipped.append(f"{chunk.name} is of the type {chunk.dtype}, which is not known here: left out.")
    if not parts:
        raise ArgumentError(message(f"check: {str(path)!r} holds no tensors."))
    notes = (*skipped, *(("Compared with the ledger beside it.",) if known is not None and ledger is None else ()))
    places = tuple(dict.fromkeys(part.place for part in parts))
    holdings = Holdings(str(path), "file", places, tuple(parts), HINT, notes)
    return RanksReport(holdings, find_held(holdings))


def _ledger(path: Path) -> Ledger | None:
    """The ledger that lies beside a file, if there is one."""
    beside = ledger_path(path)
    return Ledger.load(beside) if path.suffix == ".safetensors" and beside.is_file() else None


def _held(chunk: Chunk, ledger: Ledger | None) -> Held:
    recorded = ledger[chunk.name].digest if ledger is not None and chunk.name in ledger else None
    whole = chunk.box == tuple((0, size) for size in chunk.shape)
    return held_part(
        chunk.values,
        place=chunk.place,
        name=chunk.name,
        shape=chunk.shape,
        dtype=chunk.dtype,
        layout="whole" if whole else "in parts",
        box=chunk.box,
        recorded=recorded if whole else None,
    )
