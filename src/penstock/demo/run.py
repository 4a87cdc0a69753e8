"""The demonstration: what `penstock demo` runs."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from penstock import doors
from penstock.demo import telling
from penstock.demo.digits import Digits, load
from penstock.demo.stories import STORIES, Story
from penstock.demo.training import BATCH, Training, quiet_torch, train
from penstock.errors import ArgumentError, MissingFrameworkError, closest, message
from penstock.planning.initialization import Initialization
from penstock.report.layers import Line
from penstock.report.table import Signs, signs_for

if TYPE_CHECKING:
    import torch

STEPS = 150
SEED = 0
WIDEST = 100
"""Text is no easier to read on lines longer than this."""

PLAIN_EVERY = 50
"""Where no progress bar can be drawn, a sign of life comes after so many steps."""


@dataclass(frozen=True, slots=True)
class StoryResult:
    """What happened to one network.

    Attributes:
        story: which one.
        start: what `penstock.initialize` did, with the reports before and after.
        before, after: its training as it came, and mended.
    """

    story: Story
    start: Initialization
    before: Training
    after: Training


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Every number that the demonstration showed.

    Attributes:
        stories: one a network, in the order told.
    """

    stories: tuple[StoryResult, ...]

    def __getitem__(self, name: str) -> StoryResult:
        return next(result for result in self.stories if result.story.name == name)


def main(steps: int = STEPS) -> int:
    """Show the demonstration on standard output.

    Returns:
        The exit code: 0.

    Raises:
        MissingFrameworkError: if PyTorch or scikit-learn is not installed.
    """
    run(steps=steps)
    return 0


def run(*, steps: int = STEPS, names: Sequence[str] | None = None, console: Console | None = None) -> DemoResult:
    """Check, mend and train the networks, and tell what happens as it does.

    The global random state and PyTorch's number of threads come back as they were.

    Args:
        steps: of training, for each start; 1 at least.
        names: which networks: "gelu", "convnet", "zeros"; None for all.
        console: where to print; None for standard output.

    Raises:
        ArgumentError: if `steps` is not positive or a name is unknown.
        MissingFrameworkError: if PyTorch or scikit-learn is not installed.
    """
    if steps < 1:
        raise ArgumentError(message(f"demo: steps must be 1 or more; got {steps}.", hint="penstock demo"))
    stories = _chosen(names)
    _require()
    stage = _Stage(console or Console(highlight=False), steps)
    with quiet_torch(SEED):
        digits = load()
        stage.say(
            telling.opening(train=len(digits.labels), test=len(digits.test_labels), steps=steps, width=stage.width)
        )
        results = tuple(_story(place, story, digits, stage) for place, story in enumerate(stories, start=1))
    told = [(r.story, r.before, r.after) for r in results]
    stage.say(telling.closing(told, stage.width, stage.signs))
    return DemoResult(results)


def _chosen(names: Sequence[str] | None) -> tuple[Story, ...]:
    known = {story.name: story for story in STORIES}
    for name in names or ():
        if name not in known:
            raise ArgumentError(
                message(f"demo: names must be among the networks; got {name!r}. {closest(name, known)}")
            )
    return STORIES if names is None else tuple(known[name] for name in names)


def _require() -> None:
    for module, name in (("torch", "PyTorch"), ("sklearn", "scikit-learn")):
        if importlib.util.find_spec(module) is None:
            raise MissingFrameworkError(
                message(f"demo: needs {name}, which is not installed.", hint='pip install "penstock[demo]"')
            )


def _story(place: int, story: Story, digits: Digits, stage: _Stage) -> StoryResult:
    from torch.nn.functional import cross_entropy

    images, labels = digits.images[:BATCH], digits.labels[:BATCH]

    def loss(output: torch.Tensor) -> torch.Tensor:
        return cross_entropy(output, labels)

    stage.say(telling.heading(place, story, stage.width, stage.signs))
    came = story.build()
    mended = copy.deepcopy(came)
    start = doors.initialize(mended, images, loss=loss, seed=SEED)
    stage.say(telling.checked("check", start.before, stage.width, stage.signs))
    stage.say(telling.mended(start, stage.width, stage.signs))
    stage.say(telling.checked("check again", start.after, stage.width, stage.signs))
    stage.say([[]])
    with stage.progress() as bar:
        before = train(came, digits, steps=stage.steps, told=bar("as it came"))
        after = train(mended, digits, steps=stage.steps, told=bar("mended"))
    stage.say(telling.compared(before, after, stage.width, stage.signs))
    return StoryResult(story, start, before, after)


class _Stage:
    """Where the demonstration is shown."""

    def __init__(self, console: Console, steps: int) -> None:
        self.console = console
        self.steps = steps
        self.width = max(min(console.width, WIDEST), 60)
        self.signs: Signs = signs_for(console.encoding)

    def say(self, lines: Sequence[Line]) -> None:
        for line in lines:
            text = Text.assemble(*line)
            text.rstrip()
            self.console.print(text, soft_wrap=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], Callable[[int], None]]]:
        """Makes a bar a run; on what is no terminal, a line a run."""
        if not self.console.is_terminal:
            yield self._plain_bar
            return
        columns = (
            TextColumn("training {task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:

            def bar(name: str) -> Callable[[int], None]:
                task = progress.add_task(name, total=self.steps)
                return lambda step: progress.update(task, completed=step)

            yield bar

    def _plain_bar(self, name: str) -> Callable[[int], None]:
        self.console.print(f"training {name}: steps", end="", soft_wrap=True)

        def told(step: int) -> None:
            if step % PLAIN_EVERY == 0 or step == self.steps:
                self.console.print(f" {step}", end="\n" if step == self.steps else "", soft_wrap=True)
                self.console.file.flush()

        return told
