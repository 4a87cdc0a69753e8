"""S103: repeated blocks inside one parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.held import Holdings
from penstock.checks.held_symmetry import repeated_blocks
from penstock.checks.places import others_of
from penstock.checks.thresholds import STRUCTURED_ZEROS, TWIN_MIN_SIZE
from penstock.signals import Measured, ParameterStats


def _repeats(parameter: ParameterStats) -> bool:
    geometry = parameter.geometry
    return (
        parameter.repeats >= 2
        and parameter.role in ("weight", "embedding")
        and parameter.trainable
        and parameter.uses > 0
        and math.prod(parameter.shape) // parameter.repeats >= TWIN_MIN_SIZE // 2
        and (parameter.units is None or parameter.units < 2 or parameter.distinct_units != 1)
        and parameter.zero_share < STRUCTURED_ZEROS
        and (geometry is None or geometry.groups == 1)
        and not math.isclose(parameter.max_abs, abs(parameter.mean), rel_tol=1e-6)
    )


def _run(measured: Measured) -> Iterator[Finding]:
    bad = [p for p in measured.parameters.values() if _repeats(p)]
    if bad:
        first = bad[0]
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first.name,
            shape=first.shape,
            observation=f"It is {first.repeats} times the same block along one axis; 1 is right.",
            cause="each shard, gate, head or expert was drawn with the same seed, or one draw was repeated",
            hint="penstock.initialize(model, batch)  # one key a parameter, indexed by logical position",
            value=float(first.repeats),
            threshold=1.0,
            others=others_of(p.name for p in bad[1:]),
        )


def _held(holdings: Holdings) -> Iterator[Finding]:
    return repeated_blocks(CHECK.code, CHECK.title, holdings)


CHECK = Check(
    code="S103",
    title="a parameter repeats one block",
    what="How many identical blocks a parameter is made of along one of its axes. Two and more is an error.",
    why="Shards that were drawn with the same seed, LSTM gates or experts that were filled by one draw: the blocks "
    "start as copies. Equal experts get equal tokens' gradients, equal shards halve the layer's real width.",
    picture="""
      W = [ A ]  rank 0, seed 0
          [ A ]  rank 1, seed 0      rank of W: half of what it looks like
    """,
    fix="Draw the parameter as one tensor: `penstock.initialize(model, batch)`. Its numbers depend on the position in "
    "the whole tensor, so shards of any layout are parts of one draw.",
    silent="Constants, identity and sparse matrices, grouped convolutions (each group sees channels of its own), "
    "frozen parameters, blocks of fewer than 8 elements.",
    source="https://github.com/pytorch/pytorch/issues/166378 (packed projections are independent weights in one "
    "tensor)",
    run=_run,
    held=_held,
)
