"""A finding: one thing that is wrong, where, with which numbers, why, and the call that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a model.

    Attributes:
        code: stable code, e.g. "F101".
        severity: "error", "warning" or "note".
        title: what is wrong, in a few words ("forward signal vanishes").
        place: parameter or signal path.
        shape: shape of that parameter or signal.
        observation: one sentence with the number that was measured and the threshold that it crosses.
        cause: one sentence: the usual cause.
        hint: the literal call that mends it.
        value, threshold: the two numbers of the observation.
        others: further places where the same was found.
        follows: code of another finding that this one is a consequence of; such a finding is a note.
    """

    code: str
    severity: Severity
    title: str
    place: str
    shape: tuple[int, ...]
    observation: str
    cause: str
    hint: str
    value: float
    threshold: float
    others: tuple[str, ...] = ()
    follows: str | None = None
