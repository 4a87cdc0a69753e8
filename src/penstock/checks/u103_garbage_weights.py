"""U103: values that look like memory that nothing ever initialized."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import FLOAT16_NORMAL, GARBAGE_MARGIN, GARBAGE_SHARE
from penstock.signals import Measured, ParameterStats


def _allowed(parameter: ParameterStats) -> float:
    """The share of garbage-like elements that an honest draw may have."""
    if "float16" in parameter.dtype and "bfloat16" not in parameter.dtype and parameter.rms > 0:
        honest = math.sqrt(2 / math.pi) * FLOAT16_NORMAL / parameter.rms
        return GARBAGE_SHARE + GARBAGE_MARGIN * honest
    return GARBAGE_SHARE


def _run(measured: Measured) -> Iterator[Finding]:
    bad = [p for p in measured.parameters.values() if p.garbage_share > _allowed(p)]
    if bad:
        first = max(bad, key=lambda p: p.garbage_share)
        limit = _allowed(first)
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first.name,
            shape=first.shape,
            observation=f"{number(100 * first.garbage_share)} % of its elements are subnormal or above 1e10, "
            f"largest {number(first.max_abs)}; no initializer makes more than {number(100 * limit)} %.",
            cause="the tensor was made with torch.empty, to_empty or an empty buffer, and nothing wrote to it since",
            hint="penstock.initialize(model, batch)",
            value=first.garbage_share,
            threshold=limit,
            others=others_of((p.name for p in bad), first=first.name),
        )


CHECK = Check(
    code="U103",
    title="weights look like uninitialized memory",
    what="The share of elements whose magnitude no initializer makes: subnormal numbers, or above 1e10. Memory that "
    "was used for integers, text or addresses shows such values when it is read as floating-point numbers.",
    why="Whatever was in memory becomes the model. It differs from run to run, machine to machine and rank to rank, "
    "and now and then it is all zeros, so that it works in the test and fails in the real run.",
    picture="""
    torch.empty(3, 2) -> [[ 2.7e-41  4.5e+33 ]
                          [ 0.0      8.9e-41 ]     left over from somebody else
                          [ 1.4e-45  3.1e+27 ]]
    """,
    fix="Write every parameter once: `penstock.initialize(model, batch)`. After `model.to_empty(device=...)` each "
    "module's `reset_parameters()` must run; a parameter made with `torch.empty` needs it, too.",
    silent="Up to one element in a thousand; float16 weights may have as many subnormal elements as a normal "
    "distribution of their RMS, three times over.",
    source="https://pytorch.org/docs/stable/generated/torch.nn.Module.html (to_empty: without copying storage)",
    run=_run,
)
