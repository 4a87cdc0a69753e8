"""U106: a parameter that does not measure what its initializer was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import AUDIT_MIN_SIZE, AUDIT_ROUNDING, AUDIT_SIGMAS
from penstock.provenance import Audited, History, TensorRecord, Write


def _decided(history: History) -> Write | None:
    """The one call that the values are the work of, if it asks for moments and nothing came after it."""
    last = history.writes[-1] if history.writes else None
    if last is None or last.std is None or last.mean is None or last.reads or last.share < 1.0:
        return None
    return last if history.unwritten == 0 and history.nonfinite == 0 else None


def _limits(write: Write, size: int) -> tuple[float, float]:
    """How far the measured mean and std may lie from what was asked for: sampling error, and rounding."""
    std, mean = write.std or 0.0, write.mean or 0.0
    rounding = AUDIT_ROUNDING * max(std, abs(mean))
    return AUDIT_SIGMAS * std / math.sqrt(size) + rounding, AUDIT_SIGMAS * std / math.sqrt(2 * size) + rounding


def _wrong(tensor: TensorRecord) -> tuple[History, Write] | None:
    for history in (tensor.direct, tensor.meta):
        write = _decided(history) if history else None
        if history is None or write is None or write.std is None or write.mean is None:
            continue
        if write.std > 0 and tensor.size < AUDIT_MIN_SIZE:
            continue
        for_mean, for_std = _limits(write, tensor.size)
        if not (abs(history.mean - write.mean) <= for_mean and abs(history.std - write.std) <= for_std):
            return history, write
    return None


def _audit(audited: Audited) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[tuple[TensorRecord, History, Write]]] = {}
    for tensor in audited.tensors.values():
        wrong = _wrong(tensor)
        if wrong is not None:
            groups.setdefault((wrong[1].site, wrong[1].asked), []).append((tensor, *wrong))
    for group in groups.values():
        tensor, history, write = group[0]
        for_mean, for_std = _limits(write, tensor.size)
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=tensor.name,
            shape=tensor.shape,
            observation=f"{write.asked} at {write.site} asks for mean {number(write.mean or 0.0)}, std "
            f"{number(write.std or 0.0)}; measured are mean {number(history.mean)}, std {number(history.std)}. "
            f"Sampling and rounding explain {number(for_mean)} and {number(for_std)}.",
            cause="numbers too small or too large for the type, an initializer that draws wrongly in half precision, "
            "or a change that no operation shows (through NumPy, or a hook)",
            hint="draw in float32 and round once: penstock.torch.init.normal_(w, std=...)",
            value=abs(history.std - (write.std or 0.0)),
            threshold=for_std,
            others=others_of(other.name for other, _, _ in group[1:]),
        )


CHECK = Check(
    code="U106",
    title="weights are not what was asked for",
    what="The mean and standard deviation of each tensor against those that its last initializer was asked for: "
    "normal, truncated normal (moments of the cut law), uniform, Kaiming, Xavier and constants. Found by "
    "`penstock.audit`.",
    why="The recipe in the code is not the one in the model, so everything that was tuned or proved for it does not "
    "hold. Truncated normals in bfloat16 were such a case for years.",
    picture="""
    asked     std 0.02      |-----------#-----------|
    measured  std 0.035     |-----------|---------------#
    """,
    fix="Draw in float32 and round once, `penstock.torch.init.trunc_normal_(w, std=0.02)`, and write to the weight "
    "through PyTorch's operations alone.",
    silent="Within 5 standard errors and 1 % for rounding; drawn tensors of fewer than 16 elements; tensors that "
    "something else changes afterwards or writes a part of (a padding row of zeros).",
    source="https://github.com/pytorch/pytorch/issues/145498 (trunc_normal_ in bfloat16)",
    audit=_audit,
)
