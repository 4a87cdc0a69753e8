"""The table of all checks, and what is done with it: find, look up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from penstock.checks import (
    a101_dead_units,
    a102_saturated_units,
    b101_gradient_vanishes,
    b102_gradient_explodes,
    b103_no_gradient,
    b104_gradient_ratios,
    f101_forward_vanishes,
    f102_forward_explodes,
    f103_inputs_collapse,
    g101_wrong_fan,
    g102_gain_mismatch,
    l101_loss_at_start,
    l102_output_scale,
    l103_constant_output,
    p101_range,
    p102_outliers,
    r101_replicas_differ,
    r102_equal_shards,
    r103_left_out,
    r104_ranks_disagree,
    s101_identical_units,
    s102_twins,
    s103_repeated_blocks,
    u101_unwritten,
    u102_nonfinite_weights,
    u103_garbage_weights,
    u104_written_twice,
    u105_written_to_copy,
    u106_not_as_asked,
    u107_never_trained,
)
from penstock.checks.check import Check
from penstock.checks.eval_mode import forgive_stale_norms
from penstock.checks.finding import SEVERITIES, Finding
from penstock.checks.held import Holdings
from penstock.checks.settle import settle
from penstock.errors import ArgumentError, closest, message
from penstock.provenance import Audited
from penstock.signals import CALL, Measured

CHECKS: tuple[Check, ...] = (
    a101_dead_units.CHECK,
    a102_saturated_units.CHECK,
    b101_gradient_vanishes.CHECK,
    b102_gradient_explodes.CHECK,
    b103_no_gradient.CHECK,
    b104_gradient_ratios.CHECK,
    f101_forward_vanishes.CHECK,
    f102_forward_explodes.CHECK,
    f103_inputs_collapse.CHECK,
    g101_wrong_fan.CHECK,
    g102_gain_mismatch.CHECK,
    l101_loss_at_start.CHECK,
    l102_output_scale.CHECK,
    l103_constant_output.CHECK,
    p101_range.CHECK,
    p102_outliers.CHECK,
    r101_replicas_differ.CHECK,
    r102_equal_shards.CHECK,
    r103_left_out.CHECK,
    r104_ranks_disagree.CHECK,
    s101_identical_units.CHECK,
    s102_twins.CHECK,
    s103_repeated_blocks.CHECK,
    u101_unwritten.CHECK,
    u102_nonfinite_weights.CHECK,
    u103_garbage_weights.CHECK,
    u104_written_twice.CHECK,
    u105_written_to_copy.CHECK,
    u106_not_as_asked.CHECK,
    u107_never_trained.CHECK,
)

# Causes before consequences: weights nobody wrote, copies, geometry, precision, units, then signals and outputs.
FAMILIES = "URSGPAFBL"


def find(measured: Measured) -> tuple[Finding, ...]:
    """Run all checks.

    Args:
        measured: a graph with the numbers of one forward and one backward pass.

    Returns:
        What is wrong, worst first, then by family (U R S G P A F B L) and code. What follows from another finding is a
        note that names it.
    """
    found = settle(finding for check in CHECKS for finding in check.run(measured))
    return tuple(_as_called(one, measured.call) for one in _sorted(forgive_stale_norms(measured, found)))


def _as_called(finding: Finding, call: str) -> Finding:
    """The finding with a hint that calls penstock as the user did."""
    return replace(finding, hint=finding.hint.replace(f"({CALL}", f"({call}"))


def find_audited(audited: Audited) -> tuple[Finding, ...]:
    """Run all checks on what an audit recorded.

    Args:
        audited: who wrote each tensor, on each path.

    Returns:
        What is wrong, in the order of `find`.
    """
    return _sorted(finding for check in CHECKS for finding in check.audit(audited))


def find_held(holdings: Holdings) -> tuple[Finding, ...]:
    """Run all checks on what ranks or files hold.

    Args:
        holdings: the parts, with their hashes.

    Returns:
        What is wrong, in the order of `find`.
    """
    return _sorted(finding for check in CHECKS for finding in check.held(holdings))


def _sorted(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda f: (SEVERITIES.index(f.severity), FAMILIES.index(f.code[0]), f.code)))


def check_of(code: str) -> Check:
    """The check with this code, in any case.

    Args:
        code: e.g. "F101".

    Returns:
        The check.

    Raises:
        ArgumentError: if there is no such check.

    Examples:
        >>> check_of("f101").title
        'forward signal vanishes'
    """
    table = {check.code: check for check in CHECKS}
    name = code.strip().upper()
    if name not in table:
        raise ArgumentError(
            message(
                f"explain: code must be that of a check; got {code!r}. {closest(name, table)}",
                hint="penstock explain F101",
            )
        )
    return table[name]
