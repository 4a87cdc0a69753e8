"""A pool of processes that knows which task each one is at: one that hangs or dies takes nothing else with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

START_UP = 120.0
"""Seconds that a process may take to load the framework and the user's module, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one piece of work.

    Attributes:
        index: of the piece.
        value: its result; None if there is none.
        trouble: "" or "raised", "hung", "killed".
        message: what happened.
    """

    index: int
    value: Any = None
    trouble: str = ""
    message: str = ""


class NoWorkers(Exception):
    """No process is there to work: the reason is its text."""


class _Worker:
    """One process, and a pipe to it."""

    def __init__(self, context: Any, work: bytes) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.index: int | None = None
        self.since = time.monotonic()

    def give(self, index: int, piece: Any) -> None:
        self.index, self.since = index, time.monotonic()
        self.pipe.send(piece)

    def end(self) -> None:
        """Ask it to go, and make it."""
        with contextlib.suppress(OSError):
            self.pipe.close()
        self.process.kill()
        self.process.join()


def _serve(pipe: Connection, work: bytes) -> None:
    """The loop of a worker: what it is given goes through the function, until the pipe is closed."""
    prepare, call = pickle.loads(work)
    prepare()
    pipe.send("ready")
    while True:
        try:
            piece = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            answer = ("", call(piece))
        except KeyboardInterrupt:
            return
        except BaseException as error:  # whatever it is, it must be told
            answer = (f"{type(error).__name__}: {error}", traceback.format_exc())
        pipe.send(answer)


class Pool:
    """Spawned processes that put pieces of work through one function; they live until the pool is closed."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        workers: int,
        *,
        timeout: float | None,
        prepare: Callable[[], object] = dict,
    ) -> None:
        """Nothing is started before there is work.

        Args:
            function: of a piece.
            workers: processes at a time.
            timeout: seconds that a piece may take; its process is killed after that, and another begun.
            prepare: what a process does before its first piece; no part of that piece's time.

        Raises:
            Exception: whatever pickle says of a function that it cannot take.
        """
        self._packed = pickle.dumps((prepare, function))
        self._workers, self._timeout = workers, timeout
        self._context = multiprocessing.get_context("spawn")
        self._pool: list[_Worker] = []

    def run(self, pieces: Sequence[Any]) -> Iterator[Answer]:
        """Give pieces of work to the processes, and yield the answers as they come: one a piece.

        Raises:
            NoWorkers: if no process comes up; the pieces that were not answered are not done.
        """
        left = list(enumerate(pieces))[::-1]
        self._grow(min(self._workers, len(left)))
        while left or any(worker.index is not None for worker in self._pool):
            for worker in self._pool:
                if worker.index is None and left:
                    worker.give(*left.pop())
            for worker in _events(self._pool, self._timeout):
                answer = _answer(worker, self._timeout)
                worker.index = None
                if answer.trouble in {"hung", "killed"}:
                    worker.end()
                    self._pool.remove(worker)
                    if left:
                        self._grow(min(self._workers, len(self._pool) + 1))
                yield answer

    def close(self) -> None:
        """End all processes, at once."""
        for worker in self._pool:
            worker.end()
        self._pool = []

    def _grow(self, count: int) -> None:
        if count > len(self._pool):
            self._pool += _started(self._context, self._packed, count - len(self._pool))


def _started(context: Any, work: bytes, count: int) -> list[_Worker]:
    """Workers that have loaded what they need: so many, or fewer where some cannot.

    Raises:
        NoWorkers: if none can.
    """
    try:
        begun = [_Worker(context, work) for _ in range(count)]
    except (OSError, RuntimeError, AssertionError) as error:  # no memory, or a daemon, which may have no children
        raise NoWorkers(f"no process could be started ({error})") from error
    up = []
    for worker in begun:
        if worker.pipe.poll(START_UP) and worker.process.is_alive():
            with contextlib.suppress(EOFError, OSError):
                worker.pipe.recv()
                up.append(worker)
                continue
        worker.end()
    if not up:
        raise NoWorkers("a spawned process could not load the factory, the starts or the data")
    return up


def _events(pool: Sequence[_Worker], timeout: float | None) -> list[_Worker]:
    """The busy workers that have answered, died or run out of time."""
    busy = [worker for worker in pool if worker.index is not None]
    patience = None
    if timeout is not None:
        patience = max(0.0, min(worker.since for worker in busy) + timeout - time.monotonic())
    heard = wait([worker.pipe for worker in busy], patience)
    late = [w for w in busy if timeout is not None and time.monotonic() - w.since >= timeout]
    return [worker for worker in busy if worker.pipe in heard or worker in late]


def _answer(worker: _Worker, timeout: float | None) -> Answer:
    index = worker.index if worker.index is not None else -1
    if not worker.pipe.poll():
        return Answer(index, trouble="hung", message=f"no answer within {timeout:g} s")
    try:
        trouble, value = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join(1.0)
        code = worker.process.exitcode
        what = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = " (the system ended it, most often for memory)" if code == -9 else ""
        return Answer(index, trouble="killed", message=f"its process died with {what}{reason}")
    if trouble:
        return Answer(index, trouble="raised", message=trouble)
    return Answer(index, value)
