"""The promise of the checks: silent on every healthy model, and on a broken one the right finding alone."""

from __future__ import annotations

import pytest

import penstock
from zoo.breaks import BREAKS, CASES, Case
from zoo.hf import HF, HF_SCALED
from zoo.plain import PLAIN, STRUCTURES
from zoo.row import Row

HEALTHY = (*PLAIN, *STRUCTURES, *HF, *HF_SCALED)

CODES = (
    "A101 A102 B101 B102 B103 B104 F101 F102 F103 G101 G102 L101 L102 L103 P101 P102 S101 S102 S103 U102 U103".split()
)


@pytest.mark.parametrize("row", HEALTHY, ids=lambda row: row.name)
def test_healthy_models_are_silent(row: Row):
    report = penstock.check(row.build(0), row.batch(0), loss=row.loss)
    assert not report.at_least("warning"), str(report)
    assert report.measured.graph.outputs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_break_is_named_and_it_alone(case: Case):
    report = penstock.check(case.build(0), case.batch(0), loss=case.loss)
    told = {finding.code for finding in report.at_least("warning")}
    errors = {finding.code for finding in report.errors}
    assert case.broken.code in told, str(report)
    assert errors <= {case.broken.code}, str(report)


def test_every_code_is_broken_on_purpose():
    assert {broken.code for broken in BREAKS} == set(CODES)


def test_there_are_enough_families():
    assert len({row.name for row in HF}) >= 25
