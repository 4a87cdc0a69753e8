"""U104: values that were written on purpose and then replaced by another initializer."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.provenance import Audited, TensorRecord, Write


def _lost(tensor: TensorRecord) -> tuple[Write, Write] | None:
    """A write that was replaced, and the one that replaced it."""
    for history in (tensor.direct, tensor.meta):
        for write in history.writes if history else ():
            if history and write.overwritten_by is not None:
                by = history.writes[write.overwritten_by]
                if by.site != write.site:
                    return write, by
    return None


def _audit(audited: Audited) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[tuple[TensorRecord, Write, Write]]] = {}
    for tensor in audited.tensors.values():
        pair = _lost(tensor)
        if pair is not None:
            groups.setdefault((pair[0].site, pair[1].site), []).append((tensor, *pair))
    for group in groups.values():
        tensor, first, second = group[0]
        now = tensor.shown
        yield Finding(
            code=CHECK.code,
            severity="warning",
            title=CHECK.title,
            place=tensor.name,
            shape=tensor.shape,
            observation=f"{first.asked} at {first.site} ({first.writer}) gave mean {number(first.was_mean)}, std "
            f"{number(first.was_std)}; then {second.asked} at {second.site} ({second.writer}) replaced all of it: now "
            f"mean {number(now.mean)}, std {number(now.std)}. One call should write it.",
            cause="an initialization of the whole model runs after the one that this parameter was given on purpose",
            hint="leave it out of the later one, e.g. by its name or a mark: if not getattr(w, '_no_reinit', False)",
            value=2.0,
            threshold=1.0,
            others=others_of(other.name for other, _, _ in group[1:]),
        )


CHECK = Check(
    code="U104",
    title="an initialization is overwritten",
    what="Whether a module wrote a parameter of one of its children, which it means for that child alone, and a later "
    "call that handles every module of the child's kind replaced all of it with values of another law (mean or "
    "standard deviation differ by more than 5 standard errors). Found by `penstock.audit`.",
    why="The careful initialization is lost without a word: the time-step biases of a Mamba, the zero of a residual "
    "branch, the scale of a head become N(0, 0.02) like everything else.",
    picture="""
    Mixer.__init__      dt_proj.bias <- inverse softplus of the time steps
    apply(_init_weights)    Linear.bias  <- 0         the time steps are gone
    """,
    fix="Let one call write it. Mark the parameter (`parameter._no_reinit = True`) and have the general initializer "
    "pass it by, or write it last. `penstock.audit(build)` shows the order.",
    silent="The general before the special: a layer's own default, or a rule for all layers, under a later call for "
    "this one. The values that a tensor is made with, a second draw of the same law, writes to a part, and changes "
    "that read what was there.",
    source="https://github.com/state-spaces/mamba/blob/main/mamba_ssm/models/mixer_seq_simple.py (_no_reinit); "
    "https://github.com/huggingface/transformers/issues/45591 (dt_bias overwritten)",
    audit=_audit,
)
