"""A race as text of at most 80 columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from penstock.racing.result import RaceResult, Settings, Standing
from penstock.racing.scores import LEARNT
from penstock.racing.uncertainty import Interval
from penstock.report.table import number, pad, wrap

WIDTH = 80


def race_text(result: RaceResult) -> str:
    """The table, the verdict, what differs, and what went wrong."""
    return "\n".join(
        line.rstrip()
        for line in [*_head(result.settings), "", *_table(result), "", *_lines(result.verdict), *_details(result)]
    )


def verdict(result: RaceResult) -> str:
    """Which start wins, or that none does."""
    ran = [s for s in result.standings if s.seeds]
    if not ran:
        return "No arm ran to its end: there is nothing to compare."
    first = ran[0]
    if all(s.area.value >= LEARNT * result.settings.ceiling for s in ran):
        text = "No start learned anything at any of these learning rates."
    elif len(ran) == 1:
        text = f"Only {first.start} ran: there is nothing to compare it with."
    elif first.seeds < 2:
        text = f"{first.start} was ahead, but one seed cannot tell whether by chance."
    else:
        text = _faster(result, first.start)
    return text


def _faster(result: RaceResult, first: str) -> str:
    """What the leader is faster than."""
    beaten = [c.second for c in result.comparisons if c.first == first and c.significant]
    even = [c.second for c in result.comparisons if c.first == first and not c.significant]
    if not beaten:
        return f"No significant difference between {_and([first, *even])}."
    rest = f"; no significant difference from {_and(even)}" if even else ""
    return f"{first} converges faster than {_and(beaten)}{rest}."


def _head(settings: Settings) -> list[str]:
    starts, seeds, rates = len(settings.starts), len(settings.seeds), len(settings.rates)
    text = (
        f"Race of {_count(starts, 'start')}: {settings.model} ({settings.parameters:,} numbers) on {settings.data}, "
        f"{_count(seeds, 'seed')} x {_count(rates, 'learning rate')} x {_count(settings.steps, 'step')} of "
        f"{settings.optimizer}"
    )
    return _lines(text + (f" in batches of {settings.batch}" if settings.batch else ""))


def _table(result: RaceResult) -> list[str]:
    settings = result.settings
    target = "steps" if settings.target is None else f"steps to {settings.target:g}"
    score = {"classes": "right", "values": "R^2"}.get(settings.kind, "")
    header = ["", "rank", "area", target, score, "rate", "rates"]
    rows = [header, *(_row(s, settings) for s in result.standings)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return [
        "  ".join(pad(cell, width, right=i > 0) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _row(standing: Standing, settings: Settings) -> list[str]:
    if not standing.seeds:
        return [standing.start[:13], "-", "no arm ran", "", "", "", ""]
    score = standing.score
    shown = "" if score is None else f"{score.value:.1%}" if settings.kind == "classes" else f"{score.value:.3f}"
    return [
        standing.start[:13],
        _range(standing.rank, standing.rank_low, standing.rank_high),
        _spread(standing.area),
        _steps(standing),
        f"{standing.diverged} diverged" if standing.diverged else shown,
        "" if standing.rate is None else f"{standing.rate:g}" + ("*" if standing.at_edge else ""),
        f"{standing.good_rates[0]}/{standing.good_rates[1]}",
    ]


def _steps(standing: Standing) -> str:
    if standing.steps_to_target is None:
        return ""
    value, low, high = standing.steps_to_target
    if not math.isfinite(value):
        return f"not in {standing.seeds - standing.reached} of {standing.seeds}"
    ends = f" ({low:.0f}..{high:.0f})" if math.isfinite(high) else f" ({low:.0f}..never)"
    return f"{value:.0f}" + (ends if low != high else "")


def _details(result: RaceResult) -> Iterator[str]:
    settings = result.settings
    seeds = max((s.seeds for s in result.standings), default=0)
    if result.comparisons and seeds > 1:
        yield ""
        for c in result.comparisons:
            word = f"p = {number(c.p, digits=2)}" if c.p >= 1e-4 else "p < 0.0001"
            sign = "faster" if c.significant else "no significant difference"
            ratio = "" if c.steps_ratio is None else f", x {c.steps_ratio:.2g} steps"
            yield from _lines(f"{c.first} before {c.second}: {sign}, area +{_interval(c.difference)}, {word}{ratio}", 2)
    yield ""
    yield from _lines(_reading(settings))
    for note in [*_outcomes(result), *result.notes]:
        yield from _lines(f"note: {note}", 2)


def _reading(settings: Settings) -> str:
    text = "area: mean loss over the race (95 % interval over the seeds), nothing above "
    text += (
        f"{number(settings.ceiling)}, the loss of knowing nothing. rates: of those tried, how many get to the target."
    )
    if settings.target is None:
        text += " No start learned enough for a target."
    elif settings.own_target:
        text += " The target is the race's own: a tenth of that loss, or halfway to the best end."
    return text


def _outcomes(result: RaceResult) -> Iterator[str]:
    """What did not go as it should, in one sentence a kind."""
    settings = result.settings
    if settings.target is not None and not any(s.reached for s in result.standings):
        yield f"no start gets to the target of {settings.target:g} within {settings.steps} steps."
    edge = [s.start for s in result.standings if s.at_edge]
    if edge:
        yield f"* the best rate of {_and(edge)} is at the edge of the grid: another one may be better still."
    grown = len(settings.rates) - len(settings.first_rates)
    if grown:
        yield f"the grid grew by {_count(grown, 'learning rate')}, for every start, since a best one was at its edge."
    for outcome, text in (
        ("diverged", "diverged"),
        ("stopped", "ended early, as the least hopeful of their start (successive halving)"),
    ):
        count = Counter(t.arm.start for t in result.arms if t.outcome == outcome)
        if count:
            told = ", ".join(f"{n} of {start}" for start, n in count.items())
            yield f"{_count(sum(count.values()), 'arm')} {text}: {told}."
    reasons: dict[tuple[str, str, str], int] = {}
    for t in result.arms:
        if t.outcome in {"failed", "hung", "killed", "lost"}:
            key = (t.arm.start, t.outcome, t.message)
            reasons[key] = reasons.get(key, 0) + 1
    for (start, outcome, text), n in reasons.items():
        yield f"{_count(n, 'arm')} of {start} {outcome}: {text[:300]}"


def _lines(text: str, indent: int = 0) -> list[str]:
    first, *rest = wrap(text, WIDTH - indent)
    return [first, *(" " * indent + line for line in rest)]


def _interval(interval: Interval) -> str:
    if interval.low == interval.high:
        return number(interval.value)
    return f"{number(interval.value)} ({number(interval.low, digits=2)}..{number(interval.high, digits=2)})"


def _spread(interval: Interval) -> str:
    """The value and half the width of its interval."""
    half = (interval.high - interval.low) / 2
    return number(interval.value) + (f" ±{number(half, digits=1)}" if half > 0.0 else "")


def _range(rank: int, low: int, high: int) -> str:
    return f"{rank}" if low == high else f"{rank} ({low}-{high})"


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
