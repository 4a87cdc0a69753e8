"""The report as strict JSON with a version, and back."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar

from penstock.checks.finding import SEVERITIES, Finding
from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.graph import Graph, Node
from penstock.report.report import Report
from penstock.report.verdict import Verdict
from penstock.signals import LossStats, Measured, ParameterStats, SignalStats

VERSION = 1
# JSON has no number for these; as words they survive every strict parser.
NONFINITE = ("nan", "inf", "-inf")
# A function has no form as data.
LEFT_OUT = frozenset({"function"})

T = TypeVar("T")


def report_to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, strings, finite numbers, bools and None.

    NaN and infinities become "nan", "inf" and "-inf". The scalar functions of pointwise nodes are left out.

    Returns:
        A dict with the keys "version", "verdict", "model", "batch_size", "loss", "findings", "nodes", "outputs",
        "unknown_ops", "signals" (one a node, None where there is none), "parameters" and "notes".
    """
    measured = report.measured
    data = {
        "version": VERSION,
        "verdict": verdict_to_dict(report),
        "model": measured.model,
        "batch_size": measured.batch_size,
        "loss": measured.loss,
        "findings": report.findings,
        "nodes": measured.graph.nodes,
        "outputs": measured.graph.outputs,
        "unknown_ops": measured.graph.unknown_ops,
        "signals": measured.signals,
        "parameters": list(measured.parameters.values()),
        "notes": measured.notes,
    }
    return plain(data)


def verdict_to_dict(report: Verdict) -> dict[str, Any]:
    """Whether a report is fine, and how many findings of each severity it has."""
    counts = {f"{severity}s": sum(f.severity == severity for f in report.findings) for severity in SEVERITIES}
    return {"ok": report.ok, **counts}


def report_to_json(report: Report, *, indent: int | None = 2) -> str:
    """The report as JSON text that any strict parser reads.

    Args:
        report: what to write.
        indent: spaces a level; None for one line.
    """
    return json.dumps(report_to_dict(report), indent=indent, allow_nan=False)


def report_from_dict(data: Mapping[str, Any]) -> Report:
    """The report that `report_to_dict` wrote, but for the scalar functions of its nodes.

    Raises:
        ArgumentError: if this is no report, or one of another version.
    """
    if not isinstance(data, Mapping) or data.get("version") != VERSION:
        found = data.get("version") if isinstance(data, Mapping) else type(data).__name__
        raise ArgumentError(
            message(
                f"report_from_dict: data must be a report with version {VERSION}; got {found!r}.",
                hint="report_from_dict(json.loads(report.to_json()))",
            )
        )
    try:
        return _report(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ArgumentError(
            message(
                f"report_from_dict: data must be a whole report; got one that breaks at {error}.",
                hint="report_from_dict(json.loads(report.to_json()))",
            )
        ) from error


def _report(data: Mapping[str, Any]) -> Report:
    nodes = tuple(_build(Node, node) for node in data["nodes"])
    graph = Graph(nodes, tuple(data["outputs"]), tuple(data["unknown_ops"]))
    parameters = [_build(ParameterStats, parameter) for parameter in data["parameters"]]
    measured = Measured(
        model=data["model"],
        graph=graph,
        signals=tuple(None if signal is None else _build(SignalStats, signal) for signal in data["signals"]),
        parameters={parameter.name: parameter for parameter in parameters},
        loss=_build(LossStats, data["loss"]),
        batch_size=data["batch_size"],
        notes=tuple(data["notes"]),
    )
    return Report(measured, tuple(_build(Finding, finding) for finding in data["findings"]))


def plain(value: Any) -> Any:
    """A value as plain data; numbers of NumPy become Python's."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.name not in LEFT_OUT}
    return [plain(item) for item in value]


def _build(kind: type[T], data: Mapping[str, Any]) -> T:
    """A dataclass of the contract from its plain data; what a later version added is left out."""
    known: tuple[Field[Any], ...] = fields(kind)  # type: ignore[arg-type]
    missing = [f.name for f in known if f.default is MISSING and f.name not in data]
    if missing:
        raise KeyError(f"{kind.__name__}.{missing[0]}")
    return kind(**{f.name: _value(f, data[f.name]) for f in known if f.name in data})


def _value(field: Field[Any], value: Any) -> Any:
    if isinstance(value, Mapping):
        return _build(Geometry, value)
    if isinstance(value, list):
        return tuple(_value(field, item) for item in value)
    # The contract's annotations are strings: "float | None", "tuple[float, ...]".
    if "float" in str(field.type) and value in NONFINITE:
        return float(value)
    return value
