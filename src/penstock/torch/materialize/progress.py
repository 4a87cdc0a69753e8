"""How far it is: a bar on a terminal, or a function of the user's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]
"""Bytes done, bytes in all, name of the parameter that was just written."""

WORTH_SHOWING = 2**28
"""Bytes of weights from which on a bar is shown: less takes no time."""


@contextmanager
def shown(progress: Progress | None, total: int) -> Iterator[Progress]:
    """The user's function; or a bar on standard error where that is a terminal and there is enough to do."""
    if progress is not None:
        yield progress
        return
    if total < WORTH_SHOWING or not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("materialize"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, total, name: bar.update(task, completed=done)
