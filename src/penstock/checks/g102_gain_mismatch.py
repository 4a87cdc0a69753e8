"""G102: the scale does not fit what the layer feeds on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.checks.by_design import zero_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import GAIN_EFFECT, GAIN_STRETCH
from penstock.checks.walk import difference, tail_signals
from penstock.errors import PenstockError
from penstock.graph import Node, ScalarFunction
from penstock.signals import Measured, ParameterStats, SignalStats


@dataclass(frozen=True, slots=True)
class Gain:
    """A weight with the gain that the function before it wants and the gain that it has.

    `spread` is what differs between the batch's inputs there, an RMS.
    """

    parameter: ParameterStats
    function: str
    wanted: float
    found: float
    spread: float | None

    @property
    def decades(self) -> float:
        """log10 of wanted over found."""
        return math.log10(self.wanted / self.found)


class _Wanted:
    """Gains of functions, each computed once a run and a third of a decade of variance."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], float | None] = {}

    def gain(self, function: ScalarFunction, rms: float) -> float | None:
        """RMS in over RMS out, for a Gaussian of this RMS but at most 1.

        At most, because a function that is fed too much should be fed less, not be made up for; and not always at 1,
        because tanh of a small signal wants no gain.
        """
        step = min(0, math.floor(3 * math.log10(max(rms, 1e-6))))
        key = (id(function), step)
        if key not in self._known:
            self._known[key] = self._compute(function, 10.0 ** (step / 3))
        return self._known[key]

    @staticmethod
    def _compute(function: ScalarFunction, rms: float) -> float | None:
        from penstock.moments import moments

        try:
            return rms * moments(function, variance=rms * rms).gain_forward
        except (PenstockError, ArithmeticError, ValueError):
            return None  # a function that has no second moment (1/x) wants nothing that can be told


def stretches(measured: Measured) -> list[list[Gain]]:
    """Plain stretches of the trunk, without norm or sum: the weights in them that are fed by a function.

    What rescales the data in front of the first weights (pixels / 255) is no such function: its input has no unit size.
    """
    tail, fine = tail_signals(measured.graph), zero_by_design(measured)
    wanted = _Wanted()
    found: list[list[Gain]] = [[]]
    before: Node | None = None
    data = True
    for index in measured.graph.trunk:
        node = measured.graph.nodes[index]
        if node.kind in ("norm", "sum", "gate"):
            found.append([])
            before = None
        elif node.kind == "pointwise":
            before = node
        elif node.kind == "contraction":
            gain = None if data else _gain(measured, node, before, wanted)
            if gain is not None and index not in tail and gain.parameter.name not in fine:
                found[-1].append(gain)
            before, data = None, False
    return [stretch for stretch in found if stretch]


def _gain(measured: Measured, node: Node, before: Node | None, wanted: _Wanted) -> Gain | None:
    parameter = measured.parameters.get(node.parameters[0]) if node.parameters else None
    geometry = node.geometry
    if before is None or before.function is None or parameter is None or geometry is None or not geometry.is_weight:
        return None
    fed = measured.signals[before.inputs[0]] if before.inputs else None
    if not (parameter.rms > 0 and math.isfinite(parameter.rms)) or fed is None or not 0 < fed.rms < math.inf:
        return None
    gain = wanted.gain(before.function, fed.rms)
    if gain is None or not 0 < gain < math.inf:
        return None
    return Gain(parameter, before.op, gain, parameter.rms * math.sqrt(geometry.fans.fan_in), _spread(fed))


def _felt(stretch: list[Gain]) -> bool:
    """Whether what differs between inputs really shrinks (grows) where gains are too small (too large)."""
    known = [g.spread for g in stretch if g.spread is not None]
    if len(known) < 2:
        return True
    wanted = sum(g.decades for g in stretch)
    shrunk = math.log10(known[0] / known[-1])
    return math.copysign(1.0, wanted) * shrunk > math.log10(GAIN_EFFECT)


def _spread(signal: SignalStats) -> float | None:
    """RMS of what differs between the batch's inputs; None where it was not measured."""
    apart = difference(signal)
    return None if apart is None else signal.rms * math.sqrt(apart)


def _run(measured: Measured) -> Iterator[Finding]:
    bad = [s for s in stretches(measured) if abs(sum(g.decades for g in s)) > math.log10(GAIN_STRETCH) and _felt(s)]
    if not bad:
        return
    stretch = max(bad, key=lambda s: abs(sum(g.decades for g in s)))
    total = sum(g.decades for g in stretch)
    first = max(stretch, key=lambda g: math.copysign(1.0, total) * g.decades)
    yield Finding(
        code=CHECK.code,
        severity="warning",
        title=CHECK.title,
        place=first.parameter.name,
        shape=first.parameter.shape,
        observation=f"Behind {first.function} it wants a gain of {number(first.wanted)} and has {number(first.found)}; "
        f"over its stretch of {len(stretch)} weights that is a factor {number(10.0 ** abs(total))}, more than "
        f"{number(GAIN_STRETCH)} is too much.",
        cause="a rule for another function, or a constant std that knows neither the fan nor the function",
        hint="penstock.initialize(model, batch)  # exact gains: penstock.gain(function)",
        value=10.0 ** abs(total),
        threshold=GAIN_STRETCH,
        others=others_of(
            f"{g.parameter.name} (wanted {number(g.wanted)}, found {number(g.found)})"
            for g in stretch
            if g is not first
        ),
    )


CHECK = Check(
    code="G102",
    title="scale does not fit what feeds the layer",
    what="For each weight behind a function: the wanted gain 1/sqrt(E[phi^2]), with phi's own moments at the measured "
    "size, and the found gain, weight RMS times sqrt(fan_in). Their quotient over a whole stretch without norm or sum, "
    "more than 50, is a warning where what differs between inputs shrinks or grows with it.",
    why="ReLU halves the second moment, GELU takes 57 %, sigmoid has a mean: each wants its own gain. What one layer "
    "misses by little, a stack misses by the product.",
    picture="""
      phi      wanted   PyTorch's default
      relu     1.414    0.577
      gelu     1.534    0.577     to the power of the depth
      tanh     1.593    0.577
    """,
    fix="`penstock.initialize(model, batch)`; the number for any function: `penstock.gain(torch.nn.functional.gelu)`.",
    silent="Weights that a norm or a residual sum separates; heads; four layers of PyTorch's default start.",
    source="He et al. (2015), https://arxiv.org/abs/1502.01852, eq. 10; Klambauer et al. (2017), "
    "https://arxiv.org/abs/1706.02515, for moments of general functions",
    run=_run,
)
