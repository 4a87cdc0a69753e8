"""U107: a layer of a checkpoint that still is what it was drawn as."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.held import Held, Holdings
from penstock.checks.places import others_of

MOST = 0.8
"""If more than this share of the weights still fit their law, the file is a start and not a trained model."""


def _as_drawn(part: Held) -> bool:
    return part.recorded is True or (part.recorded is None and part.law is not None)


def _held(holdings: Holdings) -> Iterator[Finding]:
    judged = [p for p in holdings.parts if p.varied and (p.law is not None or p.rows is not None)]
    drawn = [p for p in judged if _as_drawn(p)]
    if not drawn:
        return
    first = drawn[0]
    start = len(drawn) > MOST * len(judged)
    how = "its ledger holds the same hash" if first.recorded else f"its values fit {first.law}"
    yield Finding(
        code=CHECK.code,
        severity="note" if start else "warning",
        title="weights as they were drawn" if start else CHECK.title,
        place=first.name,
        shape=first.shape,
        observation=f"{len(drawn)} of {len(judged)} weights still are as they were drawn; {how}"
        + (": this is a fresh start." if start else ". In a trained model 0 are."),
        cause="the key was missing in the checkpoint that was loaded, or the layer gets no gradient",
        hint="compare the names with those of the checkpoint: model.load_state_dict(state, strict=True)",
        value=float(len(drawn)),
        threshold=0.0,
        others=others_of((p.name for p in drawn), first=first.name),
    )


CHECK = Check(
    code="U107",
    title="a layer was never loaded or never trained",
    what="Whether a weight in a file still fits the law of an initializer (mean, kurtosis, extremes, and the spread of "
    "the lengths of its rows and columns, each within five standard errors), or has the hash that its ledger recorded. "
    "A warning where other weights of the file do not. Found by `penstock check` on files.",
    why="A head that was drawn anew because its key did not match, or a layer without a gradient, is random in a model "
    "that otherwise works: it costs quality, and nothing fails.",
    picture="""
      encoder.*       rows of unequal lengths: trained
      classifier.w    normal(std=0.02), every row alike: as drawn
    """,
    fix="Load with `torch.nn.Module.load_state_dict(state, strict=True)`, or train the layer; "
    "`penstock.check(model, batch, loss=...)` finds parameters without a gradient (B103).",
    silent="Weights of fewer than 4096 elements, which can fit by chance, constants, biases and norms. A note where "
    "most of the file is as drawn: then it is a start.",
    source="https://github.com/huggingface/transformers/pull/44575 (weights that were silently not loaded)",
    held=_held,
)
