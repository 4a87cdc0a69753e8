"""What `penstock.initialize` leaves behind on both zoos of healthy models, as a table.

    PYTHONPATH=src:tests python benchmarks/after.py [part of a name ...]

What is compared is said in `tests/zoo/spread.py`. Lines outside of a factor of 3 end in `!`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import torch

import penstock
from zoo.hf import HF
from zoo.plain import PLAIN, STRUCTURES
from zoo.row import Row
from zoo.spread import spread

FACTOR = 3.0


def lines(rows: tuple[Row, ...]) -> Iterator[str]:
    """One line of the table a model."""
    yield "| model | errors | points | forward | backward | used, but placed by no rule | CPU seconds | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        began = time.process_time()
        done = penstock.initialize(row.build(0), row.batch(0), loss=row.loss)
        taken, found = time.process_time() - began, spread(done)
        codes = " ".join(sorted({f.code for f in done.after.errors})) or "none"
        left = [e.name for e in done.plan.entries if e.rule == "left over"]
        used = sum(bool(done.after.measured.graph.users(name)) for name in left)
        mark = "!" if max(found.forward, found.backward) > FACTOR else ""
        sizes = f"{found.points} | {found.forward:.2f} | {found.backward:.2f}"
        yield f"| {row.name} | {codes} | {sizes} | {used} | {taken:.2f} | {mark} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    for line in lines(tuple(r for r in (*PLAIN, *STRUCTURES, *HF) if not wanted or any(w in r.name for w in wanted))):
        print(line, flush=True)
