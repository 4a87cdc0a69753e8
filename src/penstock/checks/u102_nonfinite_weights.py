"""U102: weights that are NaN or infinite."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.provenance import Audited, History, TensorRecord
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    bad = [p for p in measured.parameters.values() if p.nonfinite_share > 0]
    if bad:
        first = bad[0]
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first.name,
            shape=first.shape,
            observation=f"{number(100 * first.nonfinite_share)} % of its elements are NaN or infinite; none may be.",
            cause="memory that was never written, a division by zero in an initializer, or a broken checkpoint",
            hint="penstock.initialize(model, batch)",
            value=first.nonfinite_share,
            threshold=0.0,
            others=others_of(p.name for p in bad[1:]),
        )


def _audit(audited: Audited) -> Iterator[Finding]:
    bad: list[tuple[TensorRecord, History]] = []
    for tensor in audited.tensors.values():
        history = next((h for h in (tensor.direct, tensor.meta) if h is not None and h.nonfinite > 0), None)
        # A buffer of -inf is a mask.
        if history is not None and tensor.kind == "parameter":
            bad.append((tensor, history))
    if bad:
        first, history = bad[0]
        write = history.writes[-1] if history.writes else None
        by = f" {write.asked} at {write.site} wrote them." if write else ""
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first.name,
            shape=first.shape,
            observation=f"{number(100 * history.nonfinite)} % of its elements were written as NaN or infinite; none "
            f"may be.{by}",
            cause="a division by zero, the logarithm of 0 or a number too large for the type in an initializer",
            hint=audited.hints.get(CHECK.code)
            or "compute it in float32 and away from 0, e.g. torch.log(u.clamp(min=1e-4))",
            value=history.nonfinite,
            threshold=0.0,
            others=others_of(tensor.name for tensor, _ in bad[1:]),
        )


CHECK = Check(
    code="U102",
    title="weights are not finite",
    what="The share of NaN and infinite elements of every parameter. One is too many.",
    why="One NaN reaches every output through the sums that it enters, and every gradient on the way back: after the "
    "first step all weights are NaN.",
    picture="""
    w = [ 0.1  nan -0.2 ]      y = w . x = nan
               ^^^             loss = nan, every gradient = nan
    """,
    fix="Write the weights: `penstock.initialize(model, batch)`. A module that came from the meta device or from "
    "`torch.empty` needs its `reset_parameters()`.",
    silent="Attention masks of -inf are no parameters and are not looked at.",
    source="https://pytorch.org/docs/stable/generated/torch.empty.html (what uninitialized memory may hold)",
    run=_run,
    audit=_audit,
)
