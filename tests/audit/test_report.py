"""What an audit prints, and as data."""

from __future__ import annotations

import json

import pytest
from audit.broken import CASES, General, Resettable, Scale
from torch import nn

import penstock
from penstock.report.audit_text import audit_to_text
from penstock.report.github import report_to_github


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(12))
        for layer in self.layers:
            nn.init.orthogonal_(layer.weight)


@pytest.fixture(scope="module")
def stack():
    return penstock.audit(Stack)


def test_like_parameters_are_one_line(stack):
    lines = str(stack).splitlines()
    assert lines[0] == "Stack: ok"
    assert lines[1].startswith("24 parameters · built directly and on the meta device · torch ")
    (weights,) = [line for line in lines if "weight" in line]
    assert weights.split()[:4] == ["layers.{0..11}.weight", "(×12)", "16×16", "orthogonal_()"]
    # Orthogonal rows of 16 have an RMS of exactly 1/4; std is that but for the mean.
    assert float(weights.split()[4]) == pytest.approx(0.25, rel=0.02)
    assert any(line.startswith("  1  Stack.__init__, tests/audit/test_report.py:") for line in lines)


@pytest.mark.parametrize("width", [48, 80, 120])
def test_no_line_is_longer_than_the_page(width, stack):
    for report in (stack, *(penstock.audit(case.broken) for case in CASES[:6])):
        assert max(map(len, audit_to_text(report, width=width).splitlines())) <= width


def test_plain_signs_where_the_encoding_has_no_others(stack):
    assert audit_to_text(stack, encoding="ascii").isascii()
    assert not audit_to_text(stack, encoding="utf-8").isascii()


def test_what_is_lost_on_meta_is_marked_in_the_table():
    text = str(penstock.audit(lambda: Scale("made")))
    assert "not on meta: ones" in text
    assert "not on meta" not in str(penstock.audit(Resettable))


def test_the_report_as_json():
    report = penstock.audit(lambda: General(heeds=False))
    data = json.loads(report.to_json())
    assert data["kind"] == "audit"
    assert data["verdict"] == {"ok": False, "errors": 0, "warnings": 1, "notes": 0}
    (bias,) = [t for t in data["tensors"] if t["name"] == "mixer.step.bias"]
    lost = [w for w in bias["direct"]["writes"] if w["overwritten_by"] is not None]
    assert [w["writer"] for w in lost] == ["Mixer.__init__"]
    assert json.dumps(data, allow_nan=False)


def test_other_forms():
    report = penstock.audit(lambda: Scale("never"))
    assert repr(report) == "<AuditReport of Scale: 1 errors, 0 warnings, 0 notes>"
    assert report_to_github(report).startswith("::error title=U101 weights that nothing writes::scale: 100 %25")
    page = report.to_html()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    bundle = report._repr_mimebundle_()
    assert bundle["text/plain"] == str(report)
    assert bundle["text/html"].startswith("<pre>")
