"""How findings name places and numbers."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.thresholds import MAX_OTHERS
from penstock.signals import Measured


def place_of(measured: Measured, index: int) -> str:
    """Name of a signal: the path of the node that made it, else its operation and number."""
    node = measured.graph.nodes[index]
    return node.path or f"{node.op}#{node.index}"


def shape_of(measured: Measured, index: int) -> tuple[int, ...]:
    """Shape of a signal, () where nothing was measured of it."""
    signal = measured.signals[index]
    return signal.shape if signal is not None else ()


def others_of(names: Iterable[str], *, first: str = "") -> tuple[str, ...]:
    """The further places of a finding: each once, at most five by name, the rest as a count.

    Examples:
        >>> others_of(["a", "b", "b", "c"], first="a")
        ('b', 'c')
        >>> others_of("bcdefghi")
        ('b', 'c', 'd', 'e', 'f', 'and 3 more')
    """
    rest = [name for name in dict.fromkeys(names) if name != first]
    named = tuple(rest[:MAX_OTHERS])
    return (*named, f"and {len(rest) - MAX_OTHERS} more") if len(rest) > MAX_OTHERS else named


def number(value: float) -> str:
    """A number as findings print it: three digits.

    Examples:
        >>> number(0.00012345), number(12.0)
        ('0.000123', '12')
    """
    return f"{value:.3g}"


def signal_finding(
    check: Check,
    measured: Measured,
    index: int,
    *,
    others: Iterable[int],
    severity: Severity,
    observation: str,
    cause: str,
    hint: str,
    value: float,
    threshold: float,
) -> Finding:
    """A finding at one signal, and at others where the same was seen."""
    place = place_of(measured, index)
    return Finding(
        code=check.code,
        severity=severity,
        title=check.title,
        place=place,
        shape=shape_of(measured, index),
        observation=observation,
        cause=cause,
        hint=hint,
        value=value,
        threshold=threshold,
        others=others_of((place_of(measured, other) for other in others), first=place),
    )
