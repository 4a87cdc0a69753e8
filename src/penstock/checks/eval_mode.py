"""Batch norm in evaluation mode with running statistics that nothing has measured yet: it normalizes nothing."""

from __future__ import annotations

from dataclasses import replace

from penstock.checks.finding import Finding
from penstock.signals import Measured

# At mean 0 and variance 1 the norm is the identity times its scale, to one part in a hundred (epsilon is 1e-5) ...
_IDENTITY = 0.01
# ... and its output is far from its scale, which is where a norm that works puts it.
_OFF_SCALE = 2.0
_DEPENDENT = frozenset({"F101", "F102", "F103", "B101", "B102", "B104", "A101", "A102", "G102", "L102", "L103"})


def has_stale_norms(measured: Measured) -> bool:
    """Whether some batch norm passes its input on unchanged although that is not normalized."""
    for node in measured.graph.nodes:
        if node.kind != "norm" or "batch_norm" not in node.op or not node.inputs:
            continue
        before, after = measured.signals[node.inputs[0]], measured.signals[node.index]
        scales = [p for n in node.parameters if (p := measured.parameters.get(n)) and p.role == "scale"]
        scale = scales[0].rms if scales else 1.0
        if before is None or after is None or not (before.rms > 0 and after.rms > 0 and scale > 0):
            continue
        size = after.rms / scale
        if abs(size / before.rms - 1) < _IDENTITY and not 1 / _OFF_SCALE < size < _OFF_SCALE:
            return True
    return False


def forgive_stale_norms(measured: Measured, findings: list[Finding]) -> list[Finding]:
    """Turns what such norms make of the signals into notes that say so: in training the norms will work."""
    if not has_stale_norms(measured):
        return findings
    cause = "batch norm in evaluation mode uses running statistics that were never measured, so it normalizes nothing"
    return [
        replace(f, severity="note", cause=cause, hint="model.train() before penstock.check(model, batch)")
        if f.code in _DEPENDENT and f.severity != "note"
        else f
        for f in findings
    ]
