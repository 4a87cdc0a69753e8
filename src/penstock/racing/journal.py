"""The file of a race: one JSON line an arm, written as arms end, so that a race that is killed loses none.

The first line says which race it is. While the race runs, lines are added in the order in which arms end, each in one
write; a line that a kill cut short is dropped when the file is read again. At the end the file is written anew in a
fixed order and put in place at once: whoever trained the arms, and however often the race was broken off, its bytes are
the same. How long things took differs from run to run and is kept beside it, in `<file>.times`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from penstock.errors import ArgumentError, message
from penstock.racing.arm import RETRIED, Arm, Evaluation, Spent, Trained

VERSION = 1

Key = tuple[Any, ...]


class Journal:
    """What is known of a race's arms; in a file too, if it has one."""

    def __init__(self, path: str | os.PathLike[str] | None, head: Mapping[str, Any]) -> None:
        """Open the file, or make it; take over what an earlier run of the same race left.

        Args:
            path: of the file; None to keep all in memory.
            head: what the race is; a file with another is refused.

        Raises:
            ArgumentError: if the file is of another race, or in use.
        """
        self.path = None if path is None else Path(path)
        self.arms: dict[Arm, Trained] = {}
        self.spent: list[Spent] = []
        self._head = {"penstock race": VERSION, **head}
        self._file: TextIO | None = None
        if self.path is not None:
            self._take_over()
            self._file = self.path.open("a", encoding="utf-8")
            self._lock()
            if self._file.tell() == 0:
                self._write(self._file, [self._head])

    @property
    def times_path(self) -> Path | None:
        """Where the times are kept."""
        return None if self.path is None else self.path.with_name(self.path.name + ".times")

    def add(self, trained: Iterable[Trained], spent: Spent) -> None:
        """Keep arms that have ended, on the disk before this returns."""
        arms = list(trained)
        self.arms |= {t.arm: t for t in arms}
        self.spent.append(spent)
        if self._file is not None and self.times_path is not None:
            self._write(self._file, [arm_to_dict(t) for t in arms])
            with self.times_path.open("a", encoding="utf-8") as file:
                self._write(file, [spent_to_dict(spent)])

    def finish(self, order: Iterable[Arm]) -> None:
        """Write the file anew with the arms in this order, and close it."""
        if self.path is not None and self._file is not None:
            fresh = self.path.with_name(f".{self.path.name}.new")
            with fresh.open("w", encoding="utf-8") as file:
                lines = [arm_to_dict(self.arms[arm]) for arm in order if arm in self.arms]
                self._write(file, [self._head, *lines, {"end": len(lines)}])
            os.replace(fresh, self.path)
        self.close()

    def close(self) -> None:
        """Close the file as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take_over(self) -> None:
        """Read what is there, and cut off a last line that was not finished."""
        assert_path = self.path
        if assert_path is None or not assert_path.exists():
            return
        whole, length = _whole_lines(assert_path)
        if whole and whole[0] != self._head:
            raise ArgumentError(
                message(
                    f"race: journal must be a file of this same race; {str(assert_path)!r} is of another: "
                    + "; ".join(_differences(whole[0], self._head)),
                    hint=f"journal={str(assert_path.with_name('another.jsonl'))!r}, or remove that file",
                )
            )
        for line in whole[1:]:
            if "start" in line:
                trained = arm_from_dict(line)
                if trained.outcome not in RETRIED:
                    self.arms[trained.arm] = trained
        if length < assert_path.stat().st_size:
            os.truncate(assert_path, length)
        times = self.times_path
        if times is not None and times.exists():
            self.spent = [spent_from_dict(line) for line in _whole_lines(times)[0]]

    def _lock(self) -> None:
        """Refuse a file that another race is writing; the lock goes when its process does, however it ends."""
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]  open by now
            except OSError:
                self.close()
                raise ArgumentError(
                    f"race: journal must not be in use; another race is writing {str(self.path)!r}."
                ) from None

    @staticmethod
    def _write(file: TextIO, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n" for line in lines)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines that are complete JSON, up to the first that is not; and how many bytes they take."""
    lines, length = [], 0
    for raw in path.read_bytes().splitlines(keepends=True):
        if not raw.endswith(b"\n"):
            break
        try:
            value = json.loads(raw)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        lines.append(value)
        length += len(raw)
    return lines, length


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*found, *wanted]):
        if found.get(name) != wanted.get(name):
            was, now = str(found.get(name)), str(wanted.get(name))
            yield f"{name} {was[:60]} there, {now[:60]} here"


def arm_to_dict(trained: Trained) -> dict[str, Any]:
    """An arm as plain data for JSON; what is not finite becomes null."""
    arm = trained.arm
    return {
        "start": arm.start,
        "seed": arm.seed,
        "optimizer": arm.optimizer,
        "asked_rate": arm.rate,
        "rate": finite_or_none(trained.rate),
        "outcome": trained.outcome,
        "message": trained.message,
        "losses": list(trained.losses),
        "evaluations": [[e.step, finite_or_none(e.loss), finite_or_none(e.score)] for e in trained.evaluations],
    }


def arm_from_dict(data: Mapping[str, Any]) -> Trained:
    """The arm that `arm_to_dict` wrote."""
    return Trained(
        arm=Arm(data["start"], data["seed"], data["optimizer"], data["asked_rate"]),
        outcome=data["outcome"],
        losses=tuple(data["losses"]),
        evaluations=tuple(
            Evaluation(step, math.nan if loss is None else loss, score) for step, loss, score in data["evaluations"]
        ),
        rate=math.nan if data["rate"] is None else data["rate"],
        message=data["message"],
    )


def spent_to_dict(spent: Spent) -> dict[str, Any]:
    """Times as plain data for JSON."""
    return {"starts": dict(spent.starts), "training": spent.training, "arm_steps": spent.arm_steps}


def spent_from_dict(data: Mapping[str, Any]) -> Spent:
    """The times that `spent_to_dict` wrote."""
    return Spent(data["starts"], data["training"], data["arm_steps"])


def finite_or_none(value: float | None) -> float | None:
    """The value, None where it is not finite: JSON knows neither NaN nor infinity."""
    return value if value is not None and math.isfinite(value) else None
