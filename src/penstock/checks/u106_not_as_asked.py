"""U106: a parameter that does not measure what its initializer was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import AUDIT_MIN_SIZE, AUDIT_ROUNDING, AUDIT_SIGMAS
from penstock.provenance import Audited, Form, FormMeasured, History, TensorRecord, Write


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


def _wrong_form(tensor: TensorRecord) -> tuple[History, Write, str, float, float] | None:
    """What is told of a matrix that has not the form asked for: a sentence, the measured number and its limit."""
    for history in (tensor.direct, tensor.meta):
        write = history.writes[-1] if history and history.writes else None
        form, found = (write.form if write else None), (history.form if history else None)
        if history is None or write is None or form is None or found is None:
            continue
        if form.gain is not None:
            if not found.gram <= AUDIT_ROUNDING:
                told = (
                    f"asks for orthogonal rows (columns, where they are fewer) of length {number(form.gain)}; their "
                    f"inner products, over {number(form.gain**2)}, differ from those by up to {number(found.gram)}. "
                    f"Rounding explains {number(AUDIT_ROUNDING)}."
                )
                return history, write, told, found.gram, AUDIT_ROUNDING
            continue
        wrong = _wrong_zeros(form, found, tensor.size)
        if wrong is not None:
            return history, write, *wrong
    return None


def _wrong_zeros(form: Form, found: FormMeasured, size: int) -> tuple[str, float, float] | None:
    """The share of zeros, then mean and std of the others, each against its standard error and rounding."""
    zeros = form.zeros or 0.0
    limit = AUDIT_SIGMAS * math.sqrt(zeros * (1.0 - zeros) / size) + 1.0 / size
    if abs(found.zeros - zeros) > limit:
        told = (
            f"asks for {zeros:.4g} of the elements to be zero; {found.zeros:.4g} are. Chance explains {number(limit)}."
        )
        return told, abs(found.zeros - zeros), limit
    rest = round((1.0 - found.zeros) * size)
    if rest < AUDIT_MIN_SIZE:
        return None
    for_mean, for_std = _limits(Write("", "", "", 0.0, form.std), rest)
    if abs(found.mean) <= for_mean and abs(found.std - form.std) <= for_std:
        return None
    told = (
        f"asks for mean 0, std {number(form.std)} of the elements that are not zero; measured are mean "
        f"{number(found.mean)}, std {number(found.std)}. Sampling and rounding explain {number(for_mean)} and "
        f"{number(for_std)}."
    )
    return told, abs(found.std - form.std), for_std


_CALLS = {"orthogonal_": "orthogonal_(w, gain=...)", "sparse_": "sparse_(w, sparsity=..., std=...)"}


class _Wrong(NamedTuple):
    """One tensor that is not as asked: the call, a sentence about it, the number and its limit."""

    tensor: TensorRecord
    write: Write
    told: str
    value: float
    limit: float


def _found(tensor: TensorRecord) -> _Wrong | None:
    wrong = _wrong(tensor)
    if wrong is None:
        form = _wrong_form(tensor)
        return None if form is None else _Wrong(tensor, *form[1:])
    history, write = wrong
    for_mean, for_std = _limits(write, tensor.size)
    told = (
        f"asks for mean {number(write.mean or 0.0)}, std {number(write.std or 0.0)}; measured are mean "
        f"{number(history.mean)}, std {number(history.std)}. Sampling and rounding explain {number(for_mean)} and "
        f"{number(for_std)}."
    )
    return _Wrong(tensor, write, told, abs(history.std - (write.std or 0.0)), for_std)


def _audit(audited: Audited) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[_Wrong]] = {}
    for tensor in audited.tensors.values():
        wrong = _found(tensor)
        if wrong is not None:
            groups.setdefault((wrong.write.site, wrong.write.asked), []).append(wrong)
    for first, *others in groups.values():
        name = first.write.asked.partition("(")[0]
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first.tensor.name,
            shape=first.tensor.shape,
            observation=f"{first.write.asked} at {first.write.site} {first.told}",
            cause="numbers too small or too large for the type, an initializer that draws wrongly in half precision, "
            "or a change that no operation shows (through NumPy, or a hook)",
            hint=audited.hints.get(CHECK.code)
            or f"draw in float32 and round once: penstock.torch.init.{_CALLS.get(name, 'normal_(w, std=...)')}",
            value=first.value,
            threshold=first.limit,
            others=others_of(other.tensor.name for other in others),
        )


CHECK = Check(
    code="U106",
    title="weights are not what was asked for",
    what="The mean and standard deviation of each tensor against those that its last initializer was asked for: "
    "normal, truncated normal (moments of the cut law), uniform, Kaiming, Xavier and constants. Of orthogonal matrices "
    "the inner products of their rows (of the first 1024), of sparse ones the share of zeros and the law of the rest. "
    "Found by `penstock.audit`.",
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
