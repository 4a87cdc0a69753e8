"""One root cause, one error: findings that follow from another one become notes that name it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from penstock.checks.finding import SEVERITIES, Finding

_FORWARD = ("F101", "F102", "F103")
_BACKWARD = ("B101", "B102", "B103", "B104")
_UNITS = ("A101", "A102")
_OUTPUT = ("L101", "L102", "L103")
_SIGNALS = (*_FORWARD, *_BACKWARD, *_UNITS, *_OUTPUT, "P101")

# What explains what, causes first: the first cause that is present is named. Of two that could explain each other the
# earlier one does, unless the later one is worse.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "U102": ("U103", "S101", "S102", "S103", "G101", "G102", "P102", *_SIGNALS),
    "U103": ("S101", "S102", "S103", "G101", "G102", "P102", *_SIGNALS),
    "S101": ("G102", *_SIGNALS),
    "P102": ("G101", "G102", *_SIGNALS),
    "G101": ("G102", *_SIGNALS),
    # A layer that is dead as a whole passes nothing on.
    "A101": ("F101", "F103", "B101", "B103", "B104", "L102", "L103"),
    # Saturation and overflow are what explosion does; a saturated stack passes no gradient and keeps signs only.
    "F102": ("P101", "A102", "A101", "B101", "B102", "B104", "F103", *_OUTPUT),
    # What vanishes forward vanishes backward: the same product of gains. What remains of it are biases.
    "F101": ("F103", "A101", "B101", "B103", "B104", "P101", "L102", "L103"),
    "A102": ("F103", "B101", "B103", "B104", "L103"),
    # In the ordered phase inputs converge and gradients vanish at one and the same rate (Schoenholz et al. 2017).
    "F103": ("B101", "B103", "B104", "L103", "P101"),
    # An output that is the same for every input has no gradient to send back.
    "L103": ("B101", "B103", "B104", "L102"),
    "B102": ("B104", "P101"),
    "B101": ("B103", "B104", "P101"),
    "P101": ("B103", "B104", "L101", "L102", "L103"),
    "L102": ("L101", "B104"),
}


def settle(findings: Iterable[Finding]) -> list[Finding]:
    """Turns each finding that a present one explains into a note with `follows`.

    A cause explains only what is no worse than itself: a warning never hides an error.

    Args:
        findings: as the checks made them.

    Returns:
        The same findings in the same order.
    """
    given = list(findings)
    rank = {severity: i for i, severity in enumerate(SEVERITIES)}
    order = {code: i for i, code in enumerate(EXPLAINS)}
    worst: dict[str, int] = {}
    for finding in given:
        worst[finding.code] = min(rank[finding.severity], worst.get(finding.code, len(rank)))

    def cause(finding: Finding) -> str | None:
        if finding.severity == "note":
            return None
        for code, explained in EXPLAINS.items():
            present, mine = worst.get(code, len(rank)), rank[finding.severity]
            first = order[code] < order.get(finding.code, len(order))
            if finding.code in explained and (present < mine or (present == mine and first)):
                return code
        return None

    settled: list[Finding] = []
    for finding in given:
        code = cause(finding)
        settled.append(replace(finding, severity="note", follows=code) if code else finding)
    return settled
