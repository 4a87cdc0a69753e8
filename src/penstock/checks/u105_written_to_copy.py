"""U105: an initializer that wrote to a copy of the parameter."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import others_of
from penstock.provenance import Audited, TensorRecord, Write


def _missed(tensor: TensorRecord, audited: Audited) -> tuple[Write, Severity] | None:
    """The write that missed a tensor, and how bad it is."""
    for history in (tensor.direct, tensor.meta):
        for write in history.missed if history else ():
            # PyTorch's default of a parametrized layer, on a path that the model's library does not go.
            harmless = write.builtin and history is tensor.meta and not audited.loads_through_meta
            return write, "warning" if harmless else "error"
    return None


def _audit(audited: Audited) -> Iterator[Finding]:
    groups: dict[str, list[tuple[TensorRecord, Write, Severity]]] = {}
    for tensor in audited.tensors.values():
        missed = _missed(tensor, audited)
        if missed is not None:
            groups.setdefault(missed[0].site, []).append((tensor, *missed))
    for group in groups.values():
        tensor, write, severity = group[0]
        unwritten = max((h.unwritten for h in (tensor.direct, tensor.meta) if h), default=0.0)
        state = "and nothing else writes it" if unwritten else "which keeps what it had"
        yield Finding(
            code=CHECK.code,
            severity=severity,
            title=CHECK.title,
            place=tensor.name,
            shape=tensor.shape,
            observation=f"{write.asked} at {write.site} ({write.writer}) writes to a tensor that was computed from "
            f"this one, {state}: 1 write was lost, 0 may be.",
            cause="w.float(), w[index], w.clone() and a parametrized weight make new tensors: what is written to them "
            "is thrown away with them",
            hint="write to the parameter itself: torch.nn.init.normal_(module.weight, std=0.02); of a weight-normed "
            "layer, to parametrizations.weight.original0 and original1",
            value=1.0,
            threshold=0.0,
            others=others_of(other.name for other, _, _ in group[1:]),
        )


CHECK = Check(
    code="U105",
    title="an initializer wrote to a copy",
    what="Whether a call replaced the values of a tensor that was computed from a parameter, and nothing of it ever "
    "came back to a parameter or buffer of the model. Found by `penstock.audit`.",
    why="The parameter keeps what it had: PyTorch's default, or uninitialized memory. The code reads as if it were "
    "initialized.",
    picture="""
    init.normal_(w.float(), std=0.02)     w (bfloat16) -- float() --> copy
                                          unchanged                   dropped
    """,
    fix="Write to the parameter itself, `torch.nn.init.normal_(w, std=0.02)`; where wider numbers are needed, copy "
    "them back: `w.copy_(torch.nn.init.normal_(w.float(), std=0.02))`.",
    silent="Copies that are copied back, that become a parameter or buffer of the model, or that such values are "
    "computed from.",
    source="https://github.com/huggingface/transformers/pull/46030 (NaN heads: normal_(w.float()) wrote to a copy)",
    audit=_audit,
)
