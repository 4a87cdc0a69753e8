"""G101: the weight's scale fits a wrong fan."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import (
    FAN_ACCIDENT,
    FAN_CLEAR,
    FAN_ERROR,
    FAN_HARMLESS,
    FAN_LOG_RANGE,
    FAN_MIN_SIZE,
    FAN_NOTE,
    FAN_ROUNDING,
    FAN_SIGMAS,
)
from penstock.checks.wrong_fans import SHARD, WrongFan, right_fans, wrong_fans
from penstock.geometry import Geometry
from penstock.graph import Graph, Node
from penstock.signals import Measured, ParameterStats, SignalStats

PYTORCH_DEFAULT = 1 / math.sqrt(3)
# What rules multiply by: LeCun and Xavier, He, PyTorch's default, tanh's 5/3, an uncorrected truncated normal.
RIGHT_GAINS = (1.0, math.sqrt(2.0), PYTORCH_DEFAULT, 5 / 3, 0.8796256610342398)
# A small weight fits every second round number by chance; constants show in other layers as well.
ROUND_TOLERANCE = 0.02
ROUND_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
# The ones that everybody types: no measured harm makes these a fan.
USUAL_STEPS = (1.0, 2.0, 5.0)

# LSTM and GRU as PyTorch and as Keras order their gates.
GATES = (("i", "f", "g", "o"), ("r", "z", "n"), ("z", "r", "n"))


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviation of a weight as measured, and how far (relatively) it may lie from that of its rule."""

    std: float
    tolerance: float
    uniform: bool

    def fits(self, std: float) -> bool:
        """Whether this is a draw of that standard deviation."""
        return abs(math.log(self.std / std)) <= self.tolerance


@dataclass(frozen=True, slots=True)
class Fit:
    """A weight whose standard deviation is gain / sqrt(a wrong fan)."""

    parameter: ParameterStats
    spread: Spread
    wrong: WrongFan
    gain: float


def _spread(parameter: ParameterStats) -> Spread | None:
    """The largest of n uniform numbers tells their bound to 1/n; other draws tell their std to 1/sqrt(2n)."""
    size = math.prod(parameter.shape)
    centred = abs(parameter.mean) < 0.5 * parameter.rms
    if size < FAN_MIN_SIZE or not math.isfinite(parameter.rms) or not centred or parameter.zero_share > 0.01:
        return None
    rounding = FAN_ROUNDING if "16" not in parameter.dtype else 4 * FAN_ROUNDING
    peak = parameter.max_abs / parameter.rms / math.sqrt(3.0)
    if abs(peak - 1.0) <= FAN_SIGMAS * 0.45 / math.sqrt(size) + rounding:
        return Spread(parameter.max_abs * (1 + 1 / size) / math.sqrt(3.0), 8 / size + rounding, True)
    return Spread(parameter.rms, FAN_SIGMAS / math.sqrt(2 * size) + rounding, False)


def _is_round(spread: Spread, steps: tuple[float, ...] = ROUND_STEPS) -> bool:
    """Whether the std, or the bound, is a number that people type (0.02, 0.01, 0.5)."""
    for value in (spread.std, spread.std * math.sqrt(3.0)) if spread.uniform else (spread.std,):
        decade = 10.0 ** math.floor(math.log10(value))
        near = min(spread.tolerance, ROUND_TOLERANCE)
        if any(abs(math.log(value / (decade * step))) <= near for step in (*steps, 10.0)):
            return True
    return False


def _gains(spread: Spread, wrong: WrongFan) -> tuple[float, ...]:
    """The gains that naive code would use with this fan: PyTorch's own only for its uniform fan_in default."""
    plain = (1.0, math.sqrt(2.0))
    return (*plain, PYTORCH_DEFAULT) if spread.uniform and wrong.mode == "fan_in" else plain


def _fits_right(geometry: Geometry, spread: Spread) -> bool:
    for fan in right_fans(geometry):
        for gain in RIGHT_GAINS:
            # What frameworks call fan_in of a transposed convolution is its fan_out: taken on purpose by nobody.
            swapped = geometry.transposed and fan == geometry.fans.fan_out != geometry.fans.fan_in
            if spread.fits(gain / math.sqrt(fan)) and not swapped:
                return True
    return False


def _candidates(measured: Measured) -> list[tuple[ParameterStats, Spread, Geometry]]:
    """Weights whose spread can be judged and is not one constant for layers of different fans."""
    known: list[tuple[ParameterStats, Spread, Geometry]] = []
    for parameter in measured.parameters.values():
        geometry = parameter.geometry
        if parameter.role not in ("weight", "embedding") or geometry is None or not geometry.is_weight:
            continue
        spread = _spread(parameter) if parameter.rms > 0 and parameter.nonfinite_share == 0 else None
        if spread is not None:
            known.append((parameter, spread, geometry))
    return [entry for entry in known if not _is_round(entry[1], USUAL_STEPS) and not _is_shared(entry, known)]


def _is_shared(
    entry: tuple[ParameterStats, Spread, Geometry], known: list[tuple[ParameterStats, Spread, Geometry]]
) -> bool:
    """Whether half of the weights of another fan have the same std: then it is a constant, not a rule about fans."""
    fan, std = entry[2].fans.fan_in, entry[1].std
    others = [spread for _, spread, geometry in known if not math.isclose(geometry.fans.fan_in, fan)]
    return bool(others) and 2 * sum(other.fits(std) for other in others) >= len(others)


def find_fits(measured: Measured) -> list[list[Fit]]:
    """Groups of weights that one mistake explains, where chance does not.

    A std lies within the tolerance t of a given number with probability 2t / ln(100). Over the different fans that
    one mistake and gain explain these multiply; times the ways to choose them and the hypotheses tried, that is how
    often any model of this kind would raise a false alarm. Where that is not rare, the measured harm must agree.
    """
    fits: dict[tuple[str, str, float], list[Fit]] = {}
    tried: dict[tuple[str, str, float], set[float]] = {}
    for parameter, spread, geometry in _candidates(measured):
        correct = _fits_right(geometry, spread)
        for wrong in wrong_fans(geometry):
            for gain in _gains(spread, wrong):
                mistake = "".join(c for c in wrong.mistake if not c.isdigit())
                tried.setdefault((mistake, wrong.mode, gain), set()).add(round(wrong.fan, 6))
                if not correct and spread.fits(gain / math.sqrt(wrong.fan)):
                    fits.setdefault((mistake, wrong.mode, gain), []).append(Fit(parameter, spread, wrong, gain))
    groups: list[list[Fit]] = []
    for rule, group in fits.items():
        chance: dict[float, float] = {}
        for fit in group:
            fan = round(fit.wrong.fan, 6)
            chance[fan] = min(chance.get(fan, 1.0), 2 * fit.spread.tolerance / FAN_LOG_RANGE)
        accident = math.comb(len(tried[rule]), len(chance)) * math.prod(chance.values()) * len(tried)
        weak = accident >= FAN_ACCIDENT or rule[0].startswith(SHARD)
        # Too few weights, or a number that people type: their spread alone says too little, the harm that this mistake
        # does must be there as well.
        sound = [fit for fit in group if not (weak or _is_round(fit.spread)) or _does_harm(measured, fit)]
        if sound:
            groups.append(sound)
    # Several mistakes may fit one weight: the one that explains most weights, and those most closely, is told.
    return sorted(groups, key=lambda group: (-len(group), sum(_misfit(fit) for fit in group) / len(group)))


def _misfit(fit: Fit) -> float:
    """Distance from the mistake's exact value; averages of two fans are tried by few."""
    away = abs(math.log(fit.spread.std / (fit.gain / math.sqrt(fit.wrong.fan)))) / fit.spread.tolerance
    return away + (1.0 if fit.wrong.mode == "fan_avg" else 0.0)


def _kept(measured: Measured, fit: Fit) -> tuple[float, float, float] | None:
    """What the layer does to its signal; None where it was not measured.

    RMS out over RMS in, and spread out over the spread in front of the function that feeds it. The second is what a
    start keeps that uses a function around a point of its own (a sigmoid around 0, where it is 0.5 and has slope
    1/4): the layer then undoes what the function does to what varies. The third is the spread out itself: a layer
    whose outputs have unit size has no wrong scale, wherever it took it from.
    """
    for node in measured.graph.users(fit.parameter.name):
        source = next((i for i in node.inputs if measured.signals[i] is not None), None)
        made = measured.signals[node.index]
        if source is None or made is None:
            continue
        before = measured.graph.nodes[source]
        while before.kind in ("pointwise", "move") and len(before.inputs) == 1:
            before = measured.graph.nodes[before.inputs[0]]
        fed, start = measured.signals[source], measured.signals[before.index]
        if fed is not None and fed.rms > 0 and made.rms > 0:
            spread, out = _spread_of(start) if start is not None else 0.0, _spread_of(made)
            return made.rms / fed.rms, out / spread if spread > 0 else math.inf, out
    return None


def _spread_of(signal: SignalStats) -> float:
    return math.sqrt(max(signal.rms**2 - signal.mean**2, 0.0))


def _is_harmless(kept: tuple[float, float, float]) -> bool:
    return any(1 / FAN_HARMLESS <= ratio <= FAN_HARMLESS for ratio in kept)


def _does_harm(measured: Measured, fit: Fit) -> bool:
    """Whether the layer fails to keep its signal, by a factor that matters, and would keep it with the right fan."""
    kept = _kept(measured, fit)
    if kept is None or fit.wrong.factor < FAN_CLEAR or _is_harmless(kept):
        return False
    mended = kept[0] * math.sqrt(fit.wrong.fan / fit.wrong.right)
    return 1 / FAN_HARMLESS <= mended <= FAN_HARMLESS


def _severity(measured: Measured, fit: Fit) -> Severity:
    graph, geometry = measured.graph, fit.parameter.geometry
    if fit.wrong.factor < FAN_NOTE or (geometry is not None and (geometry.lookup or _is_gated(geometry, fit))):
        return "note"
    if any(_is_restored(graph, node) for node in graph.users(fit.parameter.name)):
        return "note"
    kept = _kept(measured, fit)
    if kept is not None and _is_harmless(kept):
        return "note"
    # PyTorch's own default is what the framework's users have: no more than a warning.
    return "error" if fit.wrong.factor >= FAN_ERROR and fit.gain != PYTORCH_DEFAULT else "warning"


def _is_gated(geometry: Geometry, fit: Fit) -> bool:
    """Fused gates under Glorot's rule for one output of all: the default of Keras, at most sqrt(gates) too small.

    A gate's output lies between 0 and 1 wherever its input does, and what is carried through time passes no weight.
    """
    return geometry.block_names in GATES and fit.wrong.factor <= math.sqrt(len(geometry.block_names))


def _is_restored(graph: Graph, node: Node) -> bool:
    """Whether a norm gives the size back, with weights at most in between: those of a separable convolution."""
    readers = [graph.nodes[c] for c in graph.consumers[node.index]]
    linear = ("contraction", "move")
    return bool(readers) and all(r.kind == "norm" or (r.kind in linear and _is_restored(graph, r)) for r in readers)


def _run(measured: Measured) -> Iterator[Finding]:
    seen: set[str] = set()
    for group in find_fits(measured):
        fits = [fit for fit in group if fit.parameter.name not in seen]
        if not fits:
            continue
        seen.update(fit.parameter.name for fit in fits)
        ranks: tuple[Severity, ...] = ("error", "warning", "note")
        severities = {fit.parameter.name: _severity(measured, fit) for fit in fits}
        worst: Severity = next(s for s in ranks if s in severities.values())
        first = max((f for f in fits if severities[f.parameter.name] == worst), key=lambda f: f.wrong.factor)
        yield _finding(first, worst, [f.parameter.name for f in fits])


def _finding(fit: Fit, severity: Severity, names: list[str]) -> Finding:
    parameter, wrong = fit.parameter, fit.wrong
    target = fit.gain / math.sqrt(wrong.right)
    return Finding(
        code=CHECK.code,
        severity=severity,
        title=CHECK.title,
        place=parameter.name,
        shape=parameter.shape,
        observation=f"Its std {number(fit.spread.std)} is {number(fit.gain)}/sqrt({number(wrong.fan)}); {wrong.mode} "
        f"is {number(wrong.right)}, which gives {number(target)}: off by a factor {number(wrong.factor)}, from "
        f"{number(FAN_NOTE)} on it matters.",
        cause=f"{wrong.mistake}: the fan was read off the shape",
        hint=f"penstock.initialize(model, batch)  # or draw it with std={number(target)}",
        value=wrong.factor,
        threshold=FAN_NOTE,
        others=others_of(names, first=parameter.name),
    )


CHECK = Check(
    code="G101",
    title="weight's scale fits a wrong fan",
    what="Whether a weight's standard deviation is gain/sqrt(fan) for a fan that naive code computes (groups left out, "
    "input and output of a transposed convolution swapped or its stride left out, fused projections as one output, "
    "stacked experts as a receptive field) and for no fan that is right.",
    why="The fan is the number of terms that one output sums. If it is wrong by k, the layer scales its signal by "
    "sqrt(k) or 1/sqrt(k): 8 for a depthwise convolution over 64 channels.",
    picture="""
      depthwise (64, 1, 3, 3), fan_out:   64 * 9 = 576   read off the shape
                                           1 * 9 =   9   terms that there are
    """,
    fix="Let the layer say what its axes mean: `penstock.fans(layer)` and `penstock.initialize(model, batch)`; by hand "
    "`torch.nn.init.normal_(layer.weight, std=(2 / fan) ** 0.5)` with the fan above.",
    silent="Round numbers (0.02) and stds that layers of different fans share; spreads that fit a right fan as well; "
    "what chance may explain. A note only, where the factor is below 1.6, a norm follows (perhaps behind another "
    "weight), the gates of an LSTM or GRU are fused (the default of Keras), or the layer measurably keeps its signal.",
    source="https://github.com/pytorch/pytorch/issues/23854 (groups), https://github.com/pytorch/pytorch/pull/30079 "
    "(transposed), https://github.com/pytorch/pytorch/issues/166378 (packed q, k, v)",
    run=_run,
)
