"""The table of checks, what follows from what, and the texts."""

from __future__ import annotations

import re

import pytest
from checks.builder import residual, stack, with_parameter

from penstock.checks.finding import Finding, Severity
from penstock.checks.registry import CHECKS, FAMILIES, check_of, find
from penstock.checks.settle import EXPLAINS, settle
from penstock.errors import ArgumentError
from penstock.report.explain import explain_to_text

CODES = [check.code for check in CHECKS]


def finding(code: str, severity: Severity = "error") -> Finding:
    return Finding(code, severity, code, "w", (), "o", "c", "h", 1.0, 0.0)


def test_the_table_is_sorted_and_complete():
    assert sorted(CODES) == CODES
    expected = (
        "A101 A102 B101 B102 B103 B104 F101 F102 F103 G101 G102 L101 L102 L103 P101 P102 R101 R102 R103 R104 "
        "S101 S102 S103 U101 U102 U103 U104 U105 U106 U107"
    )
    assert expected.split() == CODES
    assert {code[0] for code in CODES} == set(FAMILIES)


@pytest.mark.parametrize("code", CODES)
def test_explain_says_everything_and_fits_a_terminal(code):
    text, check = explain_to_text(code.lower()), check_of(code)
    assert text.startswith(f"{code} {check.title}\n")
    for part in ("What", "Why", "Fix", "Silent where", "Source"):
        assert f"\n\n{part}\n" in text
    assert re.search(r"`(penstock|torch|parameter)[\w.]*\(", check.fix)
    assert re.search(r"https?://|\(\d{4}\)", check.source)
    long = [line for line in text.splitlines() if len(line) > 80 and " " in line.strip()]
    assert long == []


def test_an_unknown_code_names_the_nearest():
    with pytest.raises(ArgumentError, match=r"Did you mean 'F101'"):
        explain_to_text("F1O1")


@pytest.mark.parametrize(("cause", "consequence"), [(c, e) for c, es in EXPLAINS.items() for e in es])
def test_what_follows_from_a_worse_finding_becomes_a_note(cause, consequence):
    first, second = settle([finding(cause), finding(consequence, "warning")])
    assert (first.severity, first.follows) == ("error", None)
    assert (second.severity, second.follows) == ("note", cause)


def test_a_warning_never_hides_an_error():
    assert [f.severity for f in settle([finding("G101", "warning"), finding("F101")])] == ["warning", "error"]


def test_two_that_explain_each_other_leave_one():
    dead, vanished = settle([finding("A101"), finding("F101")])
    assert (dead.severity, vanished.follows) == ("error", "A101")
    dead, vanished = settle([finding("A101", "warning"), finding("F101")])
    assert (dead.follows, vanished.severity) == ("F101", "error")


@pytest.mark.parametrize("code", CODES)
def test_unrelated_and_single_findings_stay(code):
    assert settle([finding(code)]) == [finding(code)]


@pytest.mark.parametrize("model", [stack(), stack(30), residual(12)], ids=["4", "30", "12 sums"])
def test_find_is_silent_on_healthy_models(model):
    assert find(model) == ()


def test_find_puts_the_cause_first():
    zero = {"rms": 0.0, "distinct_units": 1, "zero_share": 1.0}
    found = find(with_parameter(stack(12, rms=0.2), "layers.1.weight", **zero))
    assert (found[0].code, found[0].severity) == ("S101", "error")
    assert [f.code for f in found if f.severity == "error"] == ["S101"]
    assert "F101" in {f.code for f in found if f.follows == "S101"}
