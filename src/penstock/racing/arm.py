"""What is raced: one arm is one start, one seed, one learning rate. Plain data that any process can be sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from penstock.racing.data import Data
from penstock.racing.start import Start

Outcome = Literal["finished", "reached", "stopped", "diverged", "failed", "hung", "killed", "lost"]
"""finished: all steps were made. reached: the wanted score came earlier, and the arm ended. stopped: ended early, as
hopeless. diverged: the loss became infinite or NaN. failed: the start, the model or the loss raised. hung: no answer
within the time-out. killed: its process died (out of memory, say). lost: the executor died before it."""

WEIGHT_DECAY = 1e-2
"""AdamW's: PyTorch's default. The optimizers' other constants are those of `penstock.planning.rate_search`."""

RETRIED: frozenset[Outcome] = frozenset({"hung", "killed", "lost"})
"""Outcomes that say something of the machine rather than of the arm: a resumed race tries these again."""


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """One training run.

    Attributes:
        start: name of the start.
        seed: of the draws, the order of the data and the noise; arms of one seed share all of these.
        optimizer: "adam", "adamw" or "sgd".
        rate: the learning rate; None for the one that the start itself suggests.
    """

    start: str
    seed: int
    optimizer: str
    rate: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Held-out data, looked at after so many steps.

    Attributes:
        step: steps made by then.
        loss: on the held-out data.
        score: share of right answers for classes, R^2 for values; None with a loss of the user's own.
    """

    step: int
    loss: float
    score: float | None


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of one arm.

    Attributes:
        arm: which.
        outcome: how it ended.
        losses: of each step's batch, before that step; finite, so they end where the arm diverged.
        evaluations: of the held-out data.
        rate: the learning rate that was used; NaN where the arm never began.
        message: what went wrong, for those that failed.
    """

    arm: Arm
    outcome: Outcome
    losses: tuple[float, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    rate: float = math.nan
    message: str = ""

    @property
    def complete(self) -> bool:
        """Whether this arm tells how its start does: it ran to its end, or diverged on the way."""
        return self.outcome in {"finished", "reached", "diverged"}


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that a task took; the one thing here that differs from run to run.

    Attributes:
        starts: seconds of making each start once, by name.
        training: seconds of training.
        arm_steps: how many steps of single arms these were.
    """

    starts: Mapping[str, float] = field(default_factory=dict)
    training: float = 0.0
    arm_steps: int = 0


@dataclass(frozen=True)
class Course:
    """All that the arms of a race share.

    Attributes:
        factory: makes a new model at each call.
        starts: by which each model begins.
        data: what is learned.
        loss: from (output, targets) to a scalar; None for cross-entropy (classes) or mean square error (values).
        steps: length of the race.
        warmup: steps over which the learning rate rises linearly from 0, the same for every start.
        looks: after how many steps the held-out data is looked at.
        enough: score on the held-out data at which an arm is done, and its rivals of the same start and seed with it;
            None to run on.
        bound: loss beyond which an arm counts as diverged.
        framework: whose models the factory makes; a key of `penstock.frameworks.ADAPTERS`.
    """

    factory: Callable[[], Any]
    starts: tuple[Start, ...]
    data: Data
    loss: Callable[[Any, Any], Any] | None
    steps: int
    warmup: int = 0
    looks: tuple[int, ...] = ()
    enough: float | None = None
    bound: float = 1e8
    framework: str = "torch"

    def start(self, name: str) -> Start:
        """The start of that name."""
        return next(start for start in self.starts if start.name == name)


@dataclass(frozen=True, slots=True)
class Rung:
    """A point on the way where hopeless arms end: of each start and optimizer only the best `keep` rates go on."""

    step: int
    keep: int


@dataclass(frozen=True, slots=True)
class Task:
    """Arms of one seed that one worker trains together.

    How arms are grouped never depends on who trains them: the results are the same bits for one worker and for many.
    """

    arms: tuple[Arm, ...]
    rungs: tuple[Rung, ...] = ()

    @property
    def seed(self) -> int:
        """The seed that its arms share."""
        return self.arms[0].seed

    @property
    def starts(self) -> tuple[str, ...]:
        """The starts that it needs, in order."""
        return tuple(dict.fromkeys(arm.start for arm in self.arms))


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first look at the factory and the data gives.

    Attributes:
        model: name of the model's class.
        parameters: how many numbers are trained.
        notes: sentences to tell.
    """

    model: str
    parameters: int
    notes: tuple[str, ...] = ()
