"""Equal rows and repeated blocks in files: what S101 and S103 find where only the weights are known."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.finding import Finding, Severity
from penstock.checks.held import Holdings
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import DUPLICATE_ERROR, DUPLICATE_MIN_ROW, DUPLICATE_WARNING

CAUSE = "shards, gates or heads were drawn with one seed, or one draw was repeated, before the file was written"


def duplicate_rows(code: str, title: str, holdings: Holdings) -> Iterator[Finding]:
    """Weights many of whose rows are equal, and that are not whole blocks repeated."""
    bad: dict[Severity, list[tuple[str, tuple[int, ...], int, int]]] = {}
    for part in holdings.parts:
        rows, distinct = part.rows, part.distinct_rows
        if rows is None or distinct is None or rows < 2 or part.repeats > 1 or not part.varied:
            continue
        if math.prod(part.shape[1:]) < DUPLICATE_MIN_ROW or distinct > DUPLICATE_WARNING * rows:
            continue
        severity: Severity = "error" if distinct <= DUPLICATE_ERROR * rows else "warning"
        bad.setdefault(severity, []).append((part.name, part.shape, rows, distinct))
    for severity, found in bad.items():
        name, shape, rows, distinct = found[0]
        limit = (DUPLICATE_ERROR if severity == "error" else DUPLICATE_WARNING) * rows
        yield Finding(
            code=code,
            severity=severity,
            title=title,
            place=name,
            shape=shape,
            observation=f"Only {distinct} of its {rows} rows differ; at most {number(limit)} is too few.",
            cause=CAUSE,
            hint=holdings.hint,
            value=float(distinct),
            threshold=limit,
            others=others_of((n for n, *_ in found), first=name),
        )


def repeated_blocks(code: str, title: str, holdings: Holdings) -> Iterator[Finding]:
    """Weights that are one block several times."""
    bad = [part for part in holdings.parts if part.repeats > 1 and part.varied]
    if bad:
        first = bad[0]
        yield Finding(
            code=code,
            severity="error",
            title=title,
            place=first.name,
            shape=first.shape,
            observation=f"It is {first.repeats} times the same block along one axis; 1 is right.",
            cause=CAUSE,
            hint=holdings.hint,
            value=float(first.repeats),
            threshold=1.0,
            others=others_of((part.name for part in bad), first=first.name),
        )
