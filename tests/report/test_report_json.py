"""The report as JSON: strict, whole, and back."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from report_builders import Builder, broken_mlp, healthy_transformer, hostile

from penstock.checks.finding import Finding
from penstock.errors import ArgumentError
from penstock.graph import Node
from penstock.report.json import report_from_dict, report_to_dict, report_to_json
from penstock.report.report import Report
from penstock.report.text import report_to_text
from penstock.signals import ParameterStats, SignalStats

REPORTS = [broken_mlp, healthy_transformer, hostile]


def refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


@pytest.mark.parametrize("make", REPORTS)
def test_strict(make):
    """No NaN or Infinity, which Python writes and reads but no other parser does."""
    data = json.loads(report_to_json(make()), parse_constant=refuse)
    assert data["version"] == 1


def test_control_python_alone_would_write_nan():
    with pytest.raises(ValueError, match="NaN is not JSON"):
        json.loads(json.dumps({"rms": math.nan}), parse_constant=refuse)


@pytest.mark.parametrize("make", REPORTS)
def test_round_trip(make):
    """The text is the same; so is the value where it has no NaN, which is unequal to itself."""
    report = make()
    back = report_from_dict(json.loads(report.to_json()))
    assert report_to_text(back, encoding="utf-8") == report_to_text(report, encoding="utf-8")
    assert report_to_dict(back) == report_to_dict(report)
    assert (back == report) == (make is not hostile)


def test_nonfinite_numbers_are_words():
    data = report_to_dict(hostile())
    assert data["signals"][1]["rms"] == "nan"
    assert data["signals"][1]["grad_rms"] == "inf"
    signal = report_from_dict(data).measured.signals[1]
    assert signal is not None
    assert math.isnan(signal.rms)
    assert signal.grad_rms == math.inf


def test_names_that_look_like_numbers_stay_names():
    build = Builder(model="nan")
    build.add("contraction", "inf", rms=1.0, path="nan", weight="inf")
    back = report_from_dict(build.report(notes=["nan"]).to_dict())
    assert (back.measured.model, back.measured.notes) == ("nan", ("nan",))
    assert (back.measured.graph.nodes[0].op, list(back.measured.parameters)) == ("inf", ["inf"])


def test_everything_is_in_it():
    data = report_to_dict(broken_mlp())
    assert data["verdict"] == {"ok": False, "errors": 1, "warnings": 1, "notes": 3}
    assert set(data["findings"][0]) == {f.name for f in fields(Finding)}
    assert set(data["nodes"][0]) == {f.name for f in fields(Node)} - {"function"}
    assert set(data["signals"][0]) == {f.name for f in fields(SignalStats)}
    assert set(data["parameters"][0]) == {f.name for f in fields(ParameterStats)}
    assert set(data) == {"version", "verdict", "model", "batch_size", "loss", "findings", "nodes", "outputs",
                         "unknown_ops", "signals", "parameters", "notes"}  # fmt: skip


def test_numbers_of_numpy_become_plain():
    build = Builder()
    build.add("norm", "norm", rms=np.float32(0.5), units=np.int64(3), dead_units=0)  # type: ignore[arg-type]
    signal = json.loads(build.report().to_json())["signals"][0]
    assert (signal["rms"], signal["units"]) == (0.5, 3)


def test_functions_are_left_out():
    """A pointwise node's function has no form as data; the rest of the node comes back."""
    report = healthy_transformer()
    graph = report.measured.graph
    nodes = tuple(replace(n, function=np.tanh) if n.kind == "pointwise" else n for n in graph.nodes)
    whole = Report(replace(report.measured, graph=replace(graph, nodes=nodes)), report.findings)
    back = report_from_dict(whole.to_dict())
    assert back == whole
    assert all(node.function is None for node in back.measured.graph.nodes)


@pytest.mark.parametrize("data", [{}, {"version": 2}, [], "text", {"version": "1"}])
def test_other_versions_are_refused(data):
    with pytest.raises(ArgumentError, match="must be a report with version 1"):
        report_from_dict(data)


def test_a_torn_report_is_refused():
    data = broken_mlp().to_dict()
    del data["findings"][0]["severity"]
    with pytest.raises(ArgumentError, match=r"breaks at 'Finding\.severity'"):
        report_from_dict(data)
    with pytest.raises(ArgumentError, match="breaks at 'nodes'"):
        report_from_dict({"version": 1})


def test_fields_of_later_versions_are_left_out():
    report = broken_mlp()
    data = report.to_dict()
    data["findings"][0]["new"] = 1
    assert report_from_dict(data) == report
