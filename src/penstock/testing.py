"""Assertions for the tests of your own models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.checks.finding import SEVERITIES, Finding, Severity
from penstock.doors import check
from penstock.errors import ArgumentError, closest, message


def assert_healthy(
    model: Any,
    batch: Any,
    *,
    loss: Callable[[Any], Any] | None = None,
    ignore: Sequence[str] = (),
    severity: Severity = "warning",
) -> None:
    """Assert that `penstock.check` finds nothing wrong with a model before its first step.

    The model comes back as it was, as from `penstock.check`.

    Args:
        model: as for `penstock.check`.
        batch: as for `penstock.check`.
        loss: as for `penstock.check`.
        ignore: codes of findings that are right for this model, e.g. ["B103"].
        severity: the mildest severity that fails: "error", "warning" or "note".

    Raises:
        AssertionError: if anything of that severity or worse is found; the message lists each finding with its place,
            what was measured, and the call that mends it.
        ArgumentError: if `severity` is none of the three, or `ignore` is a string.
        ArgumentError, ModelError, UnsupportedError: as `penstock.check`.

    Examples:
        >>> import torch
        >>> from penstock.testing import assert_healthy
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> _ = torch.nn.init.ones_(model[0].weight)
        >>> assert_healthy(model, batch)
        Traceback (most recent call last):
        ...
        AssertionError: Sequential is not healthy: ...
        >>> assert_healthy(model, batch, severity="error", ignore=["S101"])
    """
    if severity not in SEVERITIES:
        raise ArgumentError(
            message(
                f"assert_healthy: severity must be one of {', '.join(SEVERITIES)}; got {severity!r}.",
                hint=closest(str(severity), SEVERITIES),
            )
        )
    if isinstance(ignore, str):
        raise ArgumentError(
            message(
                f"assert_healthy: ignore must be a list of codes; got the string {ignore!r}.",
                hint=f"assert_healthy(model, batch, ignore=[{ignore!r}])",
            )
        )
    report = check(model, batch, loss=loss)
    found = report.at_least(severity, ignore=ignore)
    if found:
        raise AssertionError(_message(report.measured.model, found))


def _message(model: str, found: Sequence[Finding]) -> str:
    counts = [(sum(f.severity == s for f in found), s) for s in SEVERITIES]
    text = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count)
    return "\n\n".join([f"{model} is not healthy: {text}.", *(_paragraph(f) for f in found)])


def _paragraph(finding: Finding) -> str:
    shape = f" {finding.shape}" if finding.shape else ""
    others = f", and {len(finding.others)} more" if finding.others else ""
    return (
        f"{finding.code} {finding.severity}: {finding.title}\n"
        f"  at: {finding.place}{shape}{others}\n"
        f"  {finding.observation}\n"
        f"Hint: {finding.hint}"
    )
