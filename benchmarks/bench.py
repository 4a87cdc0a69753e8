"""What the benchmarks share: interleaved timing, peak memory of one call, tables, the machine in words."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")

HEAD = "# Results\n\nLast tables; each was written by the command above it.\n"


def interleaved(arms: Mapping[str, Callable[[], object]], *, repeats: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of each arm, one after the other in turns, so that a slow spell of the machine meets all of them.

    Args:
        arms: what to time, by name.
        repeats: timed turns.
        warm_up: turns before that are thrown away.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(warm_up + repeats):
        for name, arm in arms.items():
            start = time.perf_counter()
            arm()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """Median over the turns of one arm's time over another's in the same turn."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[base], strict=True))


def peak_mib(call: Callable[[], object]) -> float:
    """How far the process's memory rises above its present level while a call runs, in MiB (Linux)."""
    # The kernel's high-water mark is set back to the present level, so what came before does not count.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_mib()
    call()
    return _high_water_mib() - before


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _high_water_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(*packages: str) -> str:
    """The machine and the versions in one line."""
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages)
    where = f"{os.cpu_count()} cores, {platform.machine()} {platform.system()}"
    return f"{where}, Python {platform.python_version()}, {versions}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """A command line with the option that every benchmark has."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument("--write", action="store_true", help=f"keep the table in {RESULTS.name}")
    return made


def publish(title: str, body: str, *, write: bool) -> None:
    """Print a section; with `write`, put it in the place of the one with the same title in RESULTS.md."""
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    section = f"## {title}\n\n`{command}`\n\n{body}\n"
    print(section)
    if not write:
        return
    text = RESULTS.read_text() if RESULTS.exists() else HEAD
    kept = [part for part in re.split(r"(?m)^(?=## )", text) if not part.startswith(f"## {title}\n")]
    parts = [kept[0], *sorted([*kept[1:], section])]
    RESULTS.write_text("\n".join(part.rstrip() + "\n" for part in parts))
