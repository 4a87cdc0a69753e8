"""A ledger as a table."""

from __future__ import annotations

from penstock.ledger.book import Ledger
from penstock.ledger.record import Record

SHOWN = 40
"""Rows printed; the rest is counted."""


def ledger_text(ledger: Ledger) -> str:
    """One line a record: name, shape, what was drawn, requested and measured std, the beginning of the hash."""
    rows = [_row(record) for record in ledger.records[:SHOWN]]
    head = ("parameter", "shape", "from", "std asked", "std got", "blake2b")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [repr(ledger).strip("<>"), ""]
    lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
    if len(ledger.records) > SHOWN:
        lines.append(f"... and {len(ledger.records) - SHOWN} more")
    return "\n".join([*lines, *(f"note: {note}" for note in ledger.notes)])


def _row(record: Record) -> tuple[str, ...]:
    shape = "×".join(str(size) for size in record.shape) or "()"
    source = record.recipe.describe() if record.recipe is not None else "stored" if record.stored else "as it was"
    factor = "".join(f" x {f:.4g}" for f in record.factors)
    asked = f"{record.requested.std:.3g}" if record.requested is not None else ""
    got = f"{record.measured.std:.3g}" if record.measured is not None else ""
    digest = record.digest[:12] if record.digest else f"{len(record.parts)} boxes"
    return record.name, f"{shape} {record.dtype}", source + factor, asked, got, digest
