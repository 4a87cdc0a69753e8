"""R104: ranks that build one model have built different ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.held import Held, Holdings, places_text
from penstock.checks.places import others_of


def _kind(part: Held) -> tuple[tuple[int, ...], str, str]:
    return part.shape, part.dtype, part.layout


def _held(holdings: Holdings) -> Iterator[Finding]:
    bad: dict[str, tuple[Held, Held, list[str]]] = {}
    for name, parts in holdings.by_name.items():
        usual = Counter(_kind(part) for part in parts).most_common(1)[0][0]
        other = [part for part in parts if _kind(part) != usual]
        if other:
            like = next(part for part in parts if _kind(part) == usual)
            bad[name] = other[0], like, [part.place for part in other]
    if bad:
        part, usual, places = next(iter(bad.values()))
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=part.name,
            shape=part.shape,
            observation=f"On {places_text(holdings.kind, places)} it is {part.shape} {part.dtype} {part.layout}, on "
            f"{holdings.kind} {usual.place} {usual.shape} {usual.dtype} {usual.layout}; 0 places should differ.",
            cause="the ranks read different configurations, or run different code",
            hint="build the model from one configuration on every rank, then " + holdings.hint,
            value=float(len(set(places))),
            threshold=0.0,
            others=others_of(bad, first=part.name),
        )


CHECK = Check(
    code="R104",
    title="ranks hold different models",
    what="Whether a parameter has the same whole shape, type and placement on every rank that holds it. Found by "
    "`penstock.check_ranks`; `penstock.materialize` compares them, with seed and plan, before it writes.",
    why="Collectives between such ranks hang, fail far from the cause, or mix numbers that do not belong together.",
    picture="""
      rank 0  w (1024, 512) float32
      rank 1  w (1024, 768) float32     another configuration
    """,
    fix="Build the model from one configuration on every rank; then `penstock.materialize(model, seed=0)`.",
    silent="Parameters that only some ranks hold: stages of a pipeline.",
    source="https://github.com/pytorch/pytorch/issues/104187 (what ranks may assume of each other at initialization)",
    held=_held,
)
