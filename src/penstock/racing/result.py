"""What a race gives: each start at its best learning rate, what differs between them, and how sure that is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, message
from penstock.racing.arm import Arm, Spent, Trained
from penstock.racing.journal import arm_from_dict, arm_to_dict, finite_or_none, spent_from_dict, spent_to_dict
from penstock.racing.uncertainty import SIGNIFICANT, Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERSION = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What was raced.

    Attributes:
        model: name of the model's class, and its number of parameters.
        data: name of the data.
        starts: names, in the order given.
        optimizer: of every arm.
        rates: the grid of learning rates as it became, the same for every start.
        first_rates: the grid as it began.
        seeds: of the arms.
        steps: of a full arm.
        batch: rows of a batch; None where they come as they come.
        warmup: steps over which the rate rises.
        budget: share of the full race that might be spent; None for all of it.
        ceiling: loss of a model that knows nothing.
        target: loss whose reaching is timed; None where no start learned.
        own_target: whether the race chose the target itself.
        held_out: whether there is held-out data.
        kind: "classes", "values" or "custom".
        parameters: numbers in the model.
    """

    model: str
    parameters: int
    data: str
    kind: str
    starts: tuple[str, ...]
    optimizer: str
    rates: tuple[float, ...]
    first_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    steps: int
    batch: int | None
    warmup: int
    budget: float | None
    ceiling: float
    target: float | None
    own_target: bool
    held_out: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How one start did, at the learning rate that suits it best.

    Attributes:
        start: its name.
        rate: the learning rate with the lowest median area over the seeds; None where no arm of it ran.
        at_edge: that rate is at the edge of the grid: another may be better still.
        area: mean over the seeds of the mean loss over the race, clipped at the ceiling; smaller is better.
        rank: by area, from 1; `rank_low` and `rank_high` hold the true one with 95 % confidence.
        steps_to_target: median over the seeds; infinite where most seeds do not get there; None without a target.
        reached: how many seeds get to the target.
        final_loss: mean over the seeds of the last losses; None where a seed diverged.
        score: mean over the seeds of the held-out score; None where there is none.
        diverged: of the seeds at this rate, how many diverged.
        seeds: seeds at this rate that ran.
        good_rates: learning rates at which the median seed gets to the target, and of how many that were tried to
            the end.
        start_seconds: to make the start once; 0 for the default.
        seconds_to_target: start and steps; one step takes the same for every start. None where it is not reached.
    """

    start: str
    rate: float | None
    at_edge: bool
    area: Interval
    rank: int
    rank_low: int
    rank_high: int
    steps_to_target: Interval | None
    reached: int
    final_loss: Interval | None
    score: Interval | None
    diverged: int
    seeds: int
    good_rates: tuple[int, int]
    start_seconds: float | None
    seconds_to_target: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two starts, paired over the seeds.

    Attributes:
        first, second: names; the first has the smaller area.
        difference: area of the second minus that of the first, with its interval.
        p: of the paired t-test, after Holm's correction for all pairs; NaN with one seed.
        steps_ratio: median over the seeds of the second's steps to the target over the first's; None where either
            does not get there in some seed.
    """

    first: str
    second: str
    difference: Interval
    p: float
    steps_ratio: float | None

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely cause: p < 0.05. False with one seed."""
        return self.p < SIGNIFICANT

    @property
    def verdict(self) -> str:
        """In words."""
        if self.significant:
            return f"{self.first} converges faster than {self.second}"
        return f"no significant difference between {self.first} and {self.second}"


@dataclass(frozen=True)
class RaceResult:
    """What came of a race. Prints as a table; `figure()` draws it; `to_json()` and `from_json` keep it.

    Attributes:
        settings: what was raced.
        standings: one a start, the best first.
        comparisons: one a pair of starts.
        arms: every arm with its curves.
        notes: what was told on the way, and what went wrong.
        spent: how long tasks took; the only part that differs between two runs of the same race.
    """

    settings: Settings
    standings: tuple[Standing, ...]
    comparisons: tuple[Comparison, ...]
    arms: tuple[Trained, ...] = field(repr=False)
    notes: tuple[str, ...] = ()
    spent: tuple[Spent, ...] = field(default=(), repr=False)

    def __getitem__(self, start: str) -> Standing:
        for standing in self.standings:
            if standing.start == start:
                return standing
        raise KeyError(start)

    @property
    def verdict(self) -> str:
        """Which start wins, or that none does, in one sentence."""
        from penstock.racing.show import verdict

        return verdict(self)

    def arm(self, start: str, seed: int, rate: float) -> Trained:
        """One arm.

        Raises:
            KeyError: if there is none.
        """
        wanted = Arm(start, seed, self.settings.optimizer, rate)
        for trained in self.arms:
            if trained.arm == wanted:
                return trained
        raise KeyError(wanted)

    def to_dict(self, *, times: bool = True) -> dict[str, Any]:
        """The result as plain data.

        Args:
            times: with the times, which differ from run to run; without, the same race gives the same data.
        """
        data = {
            "version": VERSION,
            "settings": asdict(self.settings),
            "standings": [_plain(asdict(s)) for s in self.standings],
            "comparisons": [_plain(asdict(c) | {"verdict": c.verdict}) for c in self.comparisons],
            "verdict": self.verdict,
            "notes": list(self.notes),
            "arms": [arm_to_dict(t) for t in self.arms],
        }
        if times:
            data["times"] = [spent_to_dict(s) for s in self.spent]
        else:
            for standing in data["standings"]:
                del standing["start_seconds"], standing["seconds_to_target"]
        return _plain(data)

    def to_json(self, *, times: bool = True) -> str:
        """The result as JSON text; see `to_dict`."""
        return json.dumps(self.to_dict(times=times), allow_nan=False, ensure_ascii=False)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> RaceResult:
        """The result that `to_dict` wrote; its standings are computed again from the arms.

        Raises:
            ArgumentError: if the data is no race, or one of a later version.
        """
        from penstock.racing.judge import judge

        try:
            if data["version"] != VERSION:
                raise KeyError("version")
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["settings"].items()}
            settings = Settings(**values)
            arms = tuple(arm_from_dict(a) for a in data["arms"])
            spent = tuple(spent_from_dict(s) for s in data.get("times", ()))
            return judge(settings, arms, tuple(data["notes"]), spent)
        except (KeyError, TypeError, AttributeError) as error:
            raise ArgumentError(
                message(
                    f"RaceResult.from_dict: data must be a race of version {VERSION}; {error!r} is wrong or missing."
                )
            ) from None

    @staticmethod
    def from_json(text: str) -> RaceResult:
        """The result that `to_json` wrote.

        Raises:
            ArgumentError: if the text is no JSON, or no race.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ArgumentError(f"RaceResult.from_json: text must be JSON; {error}.") from None
        return RaceResult.from_dict(data)

    def figure(self) -> Figure:
        """Loss curves with bands, learning-rate sensitivity and steps to the target, as a Matplotlib figure.

        Raises:
            MissingFrameworkError: if Matplotlib is not installed.
        """
        from penstock.racing.figure import draw

        return draw(self)

    def save_figure(self, path: str | os.PathLike[str]) -> None:
        """Draw the figure into a file; its ending says in which format."""
        self.figure().savefig(Path(path), dpi=150)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The race as one self-contained HTML document, which loads nothing; written to `path` if one is given."""
        from penstock.racing.page import race_page
        from penstock.report.report import written

        return written(race_page(self), path)

    def __str__(self) -> str:
        from penstock.racing.show import race_text

        return race_text(self)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from rich.text import Text

        yield Text(str(self))


def _plain(value: Any) -> Any:
    """Plain data with null for what is not finite."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Interval):
        return {"value": _plain(value.value), "low": _plain(value.low), "high": _plain(value.high)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return finite_or_none(value) if isinstance(value, float) else value
