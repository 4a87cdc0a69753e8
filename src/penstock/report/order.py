"""The order in which findings are told: causes worst first, each with what follows from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.checks.finding import Finding


@dataclass(frozen=True, slots=True)
class Told:
    """A finding that is told, and the codes of those that follow from it, one each time it was found."""

    finding: Finding
    consequences: tuple[str, ...] = ()


def told(findings: Sequence[Finding]) -> list[Told]:
    """The findings that do not follow from another one, in order, with all that follows from each code.

    Consequences of consequences are listed at the first cause, behind the last finding of its code. A finding that
    follows from a code that was not found stands for itself.
    """
    follows = {f.code: f.follows for f in findings if f.follows is not None}
    causes = {f.code for f in findings if f.follows is None}
    roots = [_root(f, follows, causes) for f in findings]
    own = [f for f, root in zip(findings, roots, strict=True) if root is None]
    last = {f.code: i for i, f in enumerate(own)}
    return [
        Told(f, tuple(g.code for g, root in zip(findings, roots, strict=True) if root == f.code and last[f.code] == i))
        for i, f in enumerate(own)
    ]


def _root(finding: Finding, follows: dict[str, str], causes: set[str]) -> str | None:
    """Code of the cause at the end of the chain; None for a finding that is told itself."""
    code, seen = finding.follows, {finding.code}
    while code is not None and code not in causes:
        if code in seen:
            return None
        seen.add(code)
        code = follows.get(code)
    return code


def counted(codes: Sequence[str], times: str) -> str:
    """Codes with how often each was found.

    Examples:
        >>> counted(["F101", "B101", "B101"], "x")
        'F101, B101 (x2)'
    """
    return ", ".join(
        code + (f" ({times}{codes.count(code)})" if codes.count(code) > 1 else "") for code in dict.fromkeys(codes)
    )


# Checks name a few further places and end with how many more there were.
MORE = re.compile(r"and (\d+) more")
MAX_OTHERS = 6


def split_others(others: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The further places of a finding by name, and how many more there were.

    Examples:
        >>> split_others(("a", "b", "and 3 more"))
        (('a', 'b'), 3)
    """
    more = MORE.fullmatch(others[-1]) if others else None
    return (tuple(others[:-1]), int(more[1])) if more else (tuple(others), 0)


def place_count(finding: Finding) -> int:
    """How many places a finding names, its own included."""
    named, more = split_others(finding.others)
    return 1 + len(named) + more


def others_text(names: Sequence[str], more: int) -> str:
    """Some of the further places and how many are left.

    Examples:
        >>> others_text(["a", "b"], 3)
        'a, b and 3 more'
    """
    left = more + max(len(names) - MAX_OTHERS, 0)
    return ", ".join(names[:MAX_OTHERS]) + (f" and {left} more" if left else "")
