"""R101: ranks that should hold the same values hold different ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.held import Held, Holdings, places_text
from penstock.checks.places import others_of


def _differing(parts: tuple[Held, ...]) -> list[Held]:
    """The parts that differ from what most places hold for the same box."""
    found = []
    for box in dict.fromkeys(part.box for part in parts):
        same = [part for part in parts if part.box == box]
        usual = Counter(part.digest for part in same).most_common(1)[0][0]
        found += [part for part in same if part.digest != usual]
    return found


def _held(holdings: Holdings) -> Iterator[Finding]:
    bad = {name: found for name, parts in holdings.by_name.items() if (found := _differing(parts))}
    if bad:
        name, found = next(iter(bad.items()))
        places = [part.place for part in found]
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=name,
            shape=found[0].shape,
            observation=f"Its values on {places_text(holdings.kind, places)} are not those of the others; "
            f"{len(set(places))} of {len(holdings.places)} differ{'s' * (len(set(places)) == 1)}, 0 should.",
            cause="each rank drew with a random state of its own, or one of them loaded or changed something alone",
            hint=holdings.hint,
            value=float(len(set(places))),
            threshold=0.0,
            others=others_of(bad, first=name),
        )


CHECK = Check(
    code="R101",
    title="replicas differ",
    what="Whether ranks that hold the same part of a parameter (data parallel replicas, DTensors with Replicate) hold "
    "the same bytes. One that differs is an error. Found by `penstock.check_ranks`, and in files by `penstock check`.",
    why="Replicas that start apart stay apart: gradients are averaged, weights are not. The average gradient is that "
    "of no model, and which weights are saved depends on the rank that saves.",
    picture="""
      rank 0  [ A ]     gradients are averaged,
      rank 1  [ A']     A and A' never meet
    """,
    fix="Draw by name and index, not by each rank's random state: `penstock.materialize(model, seed=0)` on all ranks. "
    "Or send one rank's: `torch.distributed.broadcast(p, 0)` for every parameter.",
    silent="Stages of a pipeline, whose parameters have different names.",
    source="https://github.com/allenai/OLMo-core/issues/319 (replicas with different weights in a real run)",
    held=_held,
)
