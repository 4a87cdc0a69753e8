"""R103: a part of a parameter that was never written, or that nobody holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.held import Box, Held, Holdings, places_text
from penstock.checks.places import others_of
from penstock.checks.thresholds import GARBAGE_SHARE


def _empty(parts: tuple[Held, ...]) -> list[Held]:
    """Parts that hold garbage, or a constant where the other parts are drawn."""
    drawn = any(part.varied and part.garbage <= GARBAGE_SHARE for part in parts)
    return [
        part
        for part in parts
        if part.elements
        and (
            part.nonfinite > 0.0
            # Subnormal numbers are honest in half types with narrow exponents.
            or (part.garbage > GARBAGE_SHARE and part.dtype != "float16")
            # A bias may be constant by blocks (the forget gate's); a weight is not.
            or (drawn and part.constant and part.elements > 1 and len(part.shape) > 1)
        )
    ]


def covered(shape: tuple[int, ...], boxes: set[Box]) -> int:
    """Elements of a tensor that lie in at least one box. Boxes of a layout either coincide or do not touch."""
    return min(math.prod(shape), sum(math.prod(stop - start for start, stop in box) for box in boxes))


def _held(holdings: Holdings) -> Iterator[Finding]:
    bad: dict[str, tuple[Held, str, float]] = {}
    for name, parts in holdings.by_name.items():
        empty = _empty(parts)
        missing = math.prod(parts[0].shape) - covered(parts[0].shape, {part.box for part in parts})
        if empty:
            where = places_text(holdings.kind, [part.place for part in empty])
            bad[name] = empty[0], f"Its part on {where} was never written: {_seen(empty[0])}", float(len(empty))
        elif missing > 0 and len({part.shape for part in parts}) == 1:
            text = f"{missing:,} of its {math.prod(parts[0].shape):,} elements are on no {holdings.kind}"
            bad[name] = parts[0], text, float(missing)
    if bad:
        part, text, value = next(iter(bad.values()))
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=part.name,
            shape=part.shape,
            observation=f"{text}; 0 parts should be left out.",
            cause="one rank did not run the initialization, or ended before it was through",
            hint=holdings.hint,
            value=value,
            threshold=0.0,
            others=others_of(bad, first=part.name),
        )


def _seen(part: Held) -> str:
    if part.nonfinite > 0.0:
        return f"{100 * part.nonfinite:.3g} % of it is NaN or infinite"
    if part.constant:
        return "it is one constant, the other parts are drawn"
    return f"{100 * part.garbage:.3g} % of it is subnormal or above 1e10"


CHECK = Check(
    code="R103",
    title="a rank was left out",
    what="Whether a part of a parameter holds NaN, garbage, or one constant where the other parts are drawn, and "
    "whether all parts together make up the whole parameter. Found by `penstock.check_ranks`, and in files by "
    "`penstock check`.",
    why="The model runs, and a part of each layer is what was in memory. Often these are zeros, and nothing shows but "
    "a worse loss.",
    picture="""
      rank 0  [ drawn ]
      rank 1  [ drawn ]
      rank 2  [ 0 0 0 ]   to_empty, and then nothing
    """,
    fix="Call the initialization on every rank: `penstock.materialize(model, seed=0)` says so where one is missing. "
    "For files: write them again from all ranks.",
    silent="Parameters that are constant on all ranks: biases, the scales of norms.",
    source="https://github.com/pytorch/torchtitan/issues/3106 (initialization with CPU offload)",
    held=_held,
)
