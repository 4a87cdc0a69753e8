"""Small synthetic reports, in a shape that real models give."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.checks.finding import Finding
from penstock.geometry import Geometry
from penstock.graph import Graph, Kind, Node
from penstock.report.report import Report
from penstock.signals import LossStats, Measured, ParameterStats, SignalStats


@dataclass
class Builder:
    """Adds nodes one after the other, each reading the one before it."""

    model: str = "Model"
    nodes: list[Node] = field(default_factory=list)
    signals: list[SignalStats | None] = field(default_factory=list)
    parameters: dict[str, ParameterStats] = field(default_factory=dict)

    def add(self, kind: Kind, op: str, *, rms: float, path: str = "", weight: str = "", **stats: Any) -> int:
        """Add a node and what was measured of its signal; a weight is a square matrix, a sum is residual."""
        index = len(self.nodes)
        inputs = (index - 1,) if index else ()
        signal = SignalStats(**{"shape": (32, 64), "dtype": "float32", "rms": rms, "grad_rms": 1.0, **stats})
        geometry = None
        if weight:
            size = signal.shape[-1]
            geometry = Geometry(shape=(size, size), in_axes=(1,), out_axes=(0,))
            grad_rms = None if signal.grad_rms is None else signal.grad_rms / 10
            self.parameters[weight] = ParameterStats(
                weight, geometry.shape, "float32", "weight", geometry, rms=0.1, grad_rms=grad_rms, uses=1
            )
        weights = (weight,) if weight else ()
        self.nodes.append(Node(index, kind, op, inputs, path, weights, geometry, residual=kind == "sum"))
        self.signals.append(signal)
        return index

    def report(
        self,
        findings: Sequence[Finding] = (),
        *,
        notes: Sequence[str] = (),
        unknown: Sequence[str] = (),
        loss: LossStats | None = None,
        batch_size: int | None = 32,
    ) -> Report:
        """The report of what was added."""
        graph = Graph(tuple(self.nodes), (len(self.nodes) - 1,), tuple(unknown))
        measured = Measured(
            self.model,
            graph,
            tuple(self.signals),
            self.parameters,
            loss or LossStats(0.3, given=False),
            batch_size,
            tuple(notes),
        )
        return Report(measured, tuple(findings))


def finding(code: str = "F101", severity: Any = "error", place: str = "layers.39", **changes: Any) -> Finding:
    """A finding with texts of realistic length."""
    values: dict[str, Any] = {
        "title": "forward signal vanishes",
        "shape": (32, 64),
        "observation": "RMS falls from 1.00 at the input to 3.12e-12 here; below 1e-4 no output depends on it.",
        "cause": "Weights too small for the function behind them: each layer keeps less than half of the signal.",
        "hint": "penstock.initialize(model, batch)",
        "value": 3.12e-12,
        "threshold": 1e-4,
    }
    return Finding(code, severity, place=place, **(values | changes))


def mlp(depth: int = 40, *, gain: float = 0.5, model: str = "GeluMLP") -> Builder:
    """A plain stack whose signal changes by `gain` each layer, forward and backward."""
    build = Builder(model)
    build.add("input", "input", rms=1.0, grad_rms=1.0, path="x")
    for i in range(depth):
        back = gain ** (depth - i)
        build.add(
            "contraction",
            "linear",
            rms=gain**i * 0.9,
            grad_rms=back,
            path=f"layers.{2 * i}",
            weight=f"layers.{2 * i}.weight",
            correlation=0.1,
        )
        build.add(
            "pointwise",
            "gelu",
            rms=gain ** (i + 1),
            grad_rms=back,
            path=f"layers.{2 * i + 1}",
            correlation=min(1.0, 0.1 + 0.05 * i),
        )
    build.add(
        "contraction", "linear", rms=gain**depth * 0.3, grad_rms=0.1, path="head", shape=(32, 10), weight="head.weight"
    )
    return build


def transformer(depth: int = 12, *, model: str = "GPT") -> Builder:
    """A healthy residual stack with norms: like numbers in every block."""
    build = Builder(model)
    shape = (4, 128, 768)
    wobble = itertools.cycle((1.0, 1.02, 0.97))
    build.add(
        "contraction", "embedding", rms=0.02, path="transformer.wte", shape=shape, weight="transformer.wte.weight"
    )
    for i in range(depth):
        at = f"transformer.h.{i}"
        f = next(wobble)
        build.add("norm", "layer_norm", rms=f, path=f"{at}.ln_1", shape=shape)
        build.add(
            "contraction",
            "linear",
            rms=0.55 * f,
            path=f"{at}.attn.c_attn",
            shape=(4, 128, 2304),
            weight=f"{at}.attn.c_attn.weight",
        )
        build.add("move", "view", rms=0.55 * f, path=f"{at}.attn", shape=(4, 12, 128, 64))
        build.add("mix", "attention", rms=0.1 * f, path=f"{at}.attn", shape=(4, 12, 128, 64))
        build.add(
            "contraction",
            "linear",
            rms=0.06 * f,
            path=f"{at}.attn.c_proj",
            shape=shape,
            weight=f"{at}.attn.c_proj.weight",
        )
        build.add("sum", "add", rms=1.0 + 0.01 * i, path=at, shape=shape)
        build.add("norm", "layer_norm", rms=1.0, path=f"{at}.ln_2", shape=shape)
        build.add(
            "contraction",
            "linear",
            rms=0.55 * f,
            path=f"{at}.mlp.c_fc",
            shape=(4, 128, 3072),
            weight=f"{at}.mlp.c_fc.weight",
        )
        build.add("pointwise", "gelu", rms=0.4 * f, path=f"{at}.mlp.act", shape=(4, 128, 3072))
        build.add(
            "contraction",
            "linear",
            rms=0.15 * f,
            path=f"{at}.mlp.c_proj",
            shape=shape,
            weight=f"{at}.mlp.c_proj.weight",
        )
        build.add("sum", "add", rms=1.0 + 0.01 * i, path=at, shape=shape)
    build.add("norm", "layer_norm", rms=1.0, path="transformer.ln_f", shape=shape)
    build.add("contraction", "linear", rms=0.55, path="lm_head", shape=(4, 128, 50257), weight="lm_head.weight")
    return build


def broken_mlp() -> Report:
    """A vanishing stack with an error, its consequences, a warning and a note."""
    vanishing = finding(others=(*(f"layers.{i}" for i in range(41, 51, 2)), "and 15 more"))
    same = finding(
        "F103",
        "warning",
        "layers.71",
        title="inputs become indistinguishable",
        observation="Mean cosine between the batch's inputs is 1.00, above 0.99.",
        cause="Each layer shrinks the angles between inputs.",
    )
    note = finding("P102", "note", "head.weight", title="outlier", observation="Largest weight is 9.1 RMS, above 9.")
    consequences = [finding("B101", "note", "layers.0.weight", follows="F101", title="gradient vanishes")] * 2
    return mlp().report([vanishing, same, note, *consequences], loss=LossStats(2.31, given=True, constant=2.303))


def healthy_transformer() -> Report:
    """No finding; notes."""
    return transformer().report(notes=["Dropout was left off."], unknown=["aten._fancy", "aten._fancy"], batch_size=4)


def hostile() -> Report:
    """Names that try to break every output."""
    evil = "<script>alert('x')</script>\x1b[31m\n::error::\t%0A"
    build = Builder(model=evil)
    build.add("contraction", evil, rms=1.0, path=evil, weight=f"{evil}.weight")
    build.add("pointwise", evil, rms=float("nan"), grad_rms=float("inf"), path=evil * 5)
    found = finding(
        evil, place=evil, title=evil, observation=evil, cause=evil, hint=evil, others=(evil,), value=float("nan")
    )
    return build.report([found], notes=[evil], unknown=[evil])
