"""R102: different parts of a model are copies of each other."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.held import Held, Holdings, places_text
from penstock.checks.places import others_of


def _copies(holdings: Holdings) -> Iterator[list[Held]]:
    """Groups of parts with equal bytes that are not the same part of the same parameter."""
    groups: dict[tuple[str, int], list[Held]] = {}
    for part in holdings.parts:
        if part.varied:
            groups.setdefault((part.digest, part.elements), []).append(part)
    for group in groups.values():
        different = list({(part.name, part.box): part for part in group}.values())
        shards = len({part.name for part in different}) == 1
        # Equal weights on one rank are ties, or the finding S102 of a check of that rank's model.
        if len(different) > 1 and (shards or len({part.place for part in different}) > 1):
            yield different


def _held(holdings: Holdings) -> Iterator[Finding]:
    groups = list(_copies(holdings))
    if groups:
        first = groups[0]
        names = dict.fromkeys(part.name for part in first)
        what = "parts of it" if len(names) == 1 else f"of it and {next(n for n in names if n != first[0].name)}"
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first[0].name,
            shape=first[0].shape,
            observation=f"{len(first)} {what} hold the same {first[0].elements:,} values, on "
            f"{places_text(holdings.kind, [part.place for part in first])}; no two should.",
            cause="each rank drew its part with the same seed, or one part was written to several places",
            hint=holdings.hint,
            value=float(len(first)),
            threshold=1.0,
            others=others_of((group[0].name for group in groups), first=first[0].name),
        )


CHECK = Check(
    code="R102",
    title="shards are copies of each other",
    what="Whether two different parts of a parameter, or parameters on different ranks, hold the same bytes. Found by "
    "`penstock.check_ranks`, and in sharded files by `penstock check`.",
    why="A layer whose shards are copies has a fraction of its width: equal units get equal gradients and stay equal. "
    "An orthogonal matrix put together from such parts is not orthogonal.",
    picture="""
      rank 0  [ A ]   rows 0..511        the whole: [ A ]
      rank 1  [ A ]   rows 512..1023           [ A ]  half its units are lost
    """,
    fix="`penstock.materialize(model, seed=0)`: each rank draws its own window of one logical tensor. With "
    "`torch.nn.init` on a mesh of CPUs the random states of the ranks must differ, and then no world size agrees with "
    "another.",
    silent="Zeros, ones and other constants, parts of fewer than 8 elements, replicas, tied parameters on one rank.",
    source="measured with torch 2.13 on gloo: meta device, fully_shard, to_empty, manual_seed, trunc_normal_ gives "
    "equal shards; https://github.com/pytorch/pytorch/issues/168058",
    held=_held,
)
