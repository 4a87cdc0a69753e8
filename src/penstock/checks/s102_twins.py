"""S102: the same values in two parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import others_of
from penstock.checks.thresholds import STRUCTURED_ZEROS, TWIN_MIN_SIZE
from penstock.provenance import Audited
from penstock.signals import Measured, ParameterStats


def _counts(parameter: ParameterStats | None) -> bool:
    """Whether equal values in this parameter are no accident and no design."""
    return (
        parameter is not None
        and parameter.role in ("weight", "embedding")
        and parameter.trainable
        and parameter.uses > 0
        and math.prod(parameter.shape) >= TWIN_MIN_SIZE
        and parameter.distinct_units != 1
        and parameter.zero_share < STRUCTURED_ZEROS
        and not math.isclose(parameter.max_abs, abs(parameter.mean), rel_tol=1e-6)
    )


def _run(measured: Measured) -> Iterator[Finding]:
    pairs: dict[frozenset[str], tuple[ParameterStats, ParameterStats]] = {}
    for parameter in measured.parameters.values():
        twin = measured.parameters.get(parameter.twin) if parameter.twin else None
        if twin is not None and twin is not parameter and _counts(parameter) and _counts(twin):
            pairs.setdefault(frozenset({parameter.name, twin.name}), (twin, parameter))
    if pairs:
        first, second = next(iter(pairs.values()))
        copies = {p.name for pair in pairs.values() for p in pair}
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=second.name,
            shape=second.shape,
            observation=f"It holds the same values as {first.name} and is not tied to it: {len(copies)} parameters of "
            "the model are copies, 0 should be.",
            cause="a deep copy of a module, a seed that was set again before each layer, or an initializer object that "
            "was used twice",
            hint="tie them, `b.weight = a.weight`, or draw them anew: penstock.initialize(model, batch)",
            value=float(len(copies)),
            threshold=0.0,
            others=others_of(sorted(copies), first=second.name),
        )


def _audit(audited: Audited) -> Iterator[Finding]:
    pairs: dict[str, str] = {}
    for tensor in audited.tensors.values():
        twin = next((h.twin for h in (tensor.direct, tensor.meta) if h is not None and h.twin is not None), None)
        if twin is not None:
            pairs[tensor.name] = twin
    if pairs:
        name, twin = next(iter(pairs.items()))
        second = audited.tensors[name]
        write = second.shown.last
        by = f" It comes from {write.asked} at {write.site}." if write else ""
        copies = {*pairs, *pairs.values()}
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=name,
            shape=second.shape,
            observation=f"It holds the same drawn values as {twin} and is not tied to it: {len(copies)} parameters of "
            f"the model are copies, 0 should be.{by}",
            cause="a deep copy of a module, a seed that was set again before each layer, or an initializer object or "
            "a key that was used twice",
            hint=audited.hints.get(CHECK.code)
            or "model.apply(reset), with reset calling each module's reset_parameters(), after the copies are made",
            value=float(len(copies)),
            threshold=0.0,
            others=others_of(sorted(copies), first=name),
        )


CHECK = Check(
    code="S102",
    title="two parameters hold the same values",
    what="Whether two parameters that are not tied are equal, element by element.",
    why="Layers that were meant to be independent start as one. Side by side (heads, experts, ensemble members) they "
    "compute the same thing and learn slower apart; one behind the other they repeat the same direction, and products "
    "of the same matrix grow or shrink faster than products of independent ones.",
    picture="""
      torch.manual_seed(0); a = nn.Linear(8, 8)
      torch.manual_seed(0); b = nn.Linear(8, 8)   # equal weights
    """,
    fix="Tie them if they are meant to be one (`b.weight = a.weight`), else draw them anew: "
    "`penstock.initialize(model, batch)` derives each parameter's numbers from its own name.",
    silent="Tied parameters, constants, identity and sparse matrices, frozen copies (target networks, sinusoidal "
    "positions), biases and norms, parameters of fewer than 16 elements.",
    source="https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html (all layers are initialized "
    "with the same parameters: initialize them after creating it)",
    run=_run,
    audit=_audit,
)
