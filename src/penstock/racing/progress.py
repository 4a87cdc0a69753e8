"""What a race tells while it runs: one line an arm; a bar below them on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from penstock.racing.arm import Trained
from penstock.report.table import number


class Watcher(Protocol):
    """Is told of each arm that ends."""

    def __call__(self, trained: Trained) -> None:
        """One arm has ended."""
        ...


def arm_line(trained: Trained) -> str:
    """One arm in one line.

    Examples:
        >>> from penstock.racing.arm import Arm
        >>> arm_line(Trained(Arm("he", 0, "adam", 1e-3), "diverged", (2.3, 9.0), rate=1e-3))
        'he          seed 0  rate 0.001   diverged after 2 steps'
    """
    arm = trained.arm
    rate = "own" if arm.rate is None else f"{arm.rate:g}"
    head = f"{arm.start:<10}  seed {arm.seed}  rate {rate:<7}"
    if trained.outcome == "diverged":
        return f"{head} diverged after {len(trained.losses)} steps"
    if not trained.losses:
        return f"{head} {trained.outcome}: {trained.message}"
    last = trained.evaluations[-1] if trained.evaluations else None
    score = "" if last is None or last.score is None else f"  held out {last.score:.3f}"
    word = "" if trained.outcome == "finished" else f"  {trained.outcome} after {len(trained.losses)} steps"
    return f"{head} loss {number(trained.losses[-1])}{score}{word}"


@contextmanager
def watching(progress: bool | None, *, total: int, known: int) -> Iterator[Watcher]:
    """Something to be told of each arm that ends.

    Args:
        progress: True to tell, with a bar on a terminal and plain lines elsewhere, both on stderr; False for nothing;
            None to tell on a terminal alone.
        total: arms of the first grid; more come if it grows.
        known: arms that the journal has already.
    """
    terminal = sys.stderr.isatty()
    if progress is False or (progress is None and not terminal):
        yield lambda trained: None
    elif terminal:
        with _bar(total, known) as watcher:
            yield watcher
    else:
        count = known

        def plain(trained: Trained) -> None:
            nonlocal count
            count += 1
            print(f"[{count}/{max(total, count)}] {arm_line(trained)}", file=sys.stderr, flush=True)

        yield plain


@contextmanager
def _bar(total: int, known: int) -> Iterator[Watcher]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("arms"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("arms", total=total, completed=known)

        def told(trained: Trained) -> None:
            bar.console.print(arm_line(trained), markup=False, highlight=False)
            done = int(bar.tasks[task].completed) + 1
            bar.update(task, completed=done, total=max(total, done))

        yield told
