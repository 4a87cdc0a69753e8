"""The shape of a check: one thing that can be wrong, how it is found, and everything there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penstock.checks.finding import Finding
from penstock.checks.held import Holdings
from penstock.provenance import Audited
from penstock.signals import Measured


def nothing(evidence: object) -> Iterable[Finding]:
    """What a check finds in evidence of a kind that it does not read."""
    return ()


@dataclass(frozen=True, slots=True)
class Check:
    """One check. Its texts are what `penstock explain CODE` prints and what the documentation shows.

    Attributes:
        code: stable code, e.g. "F101".
        title: what is wrong, in a few words; also the title of its findings.
        what: what is measured and compared with what.
        why: why it harms learning.
        picture: a few lines of ASCII.
        fix: how to mend it, with the literal call.
        silent: when it stays silent: what is right by design.
        source: the paper or the thread that it rests on.
        run: from what `penstock.check` measured to findings.
        audit: from what `penstock.audit` recorded to findings.
        held: from what ranks or files hold to findings.
    """

    code: str
    title: str
    what: str
    why: str
    picture: str
    fix: str
    silent: str
    source: str
    run: Callable[[Measured], Iterable[Finding]] = nothing
    audit: Callable[[Audited], Iterable[Finding]] = nothing
    held: Callable[[Holdings], Iterable[Finding]] = nothing
