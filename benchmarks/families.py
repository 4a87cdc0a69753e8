"""Seconds of trace and check of each tiny Hugging Face family of the test zoo, the slowest first.

python benchmarks/families.py [--repeats 3] [--write]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import bench
import torch

import penstock

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from zoo.hf import FAMILIES, Family

WORST = 5


def seconds(family: Family, repeats: int) -> list[float]:
    """Seconds of each check of one family, the first, cold, included."""
    row = family.row()
    torch.manual_seed(0)
    model, batch = row.make(), row.sample(torch.Generator().manual_seed(0))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        penstock.check(model, batch)
        found.append(time.perf_counter() - start)
    return found


def main() -> None:
    """Run, print, and keep with --write."""
    parser = bench.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="all families, not only the slowest")
    options = parser.parse_args()
    torch.set_num_threads(2)
    measured: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    for family in FAMILIES:
        try:
            measured[family.name] = seconds(family, options.repeats)
        except Exception as error:  # a benchmark over many models reports a failure and goes on
            failed[family.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    slowest = sorted(measured, key=lambda name: -max(measured[name]))
    rows = [
        [name, f"{measured[name][0]:.2f}", f"{statistics.median(measured[name]):.2f}"]
        for name in (slowest if options.all else slowest[:WORST])
    ]
    middle = statistics.median(statistics.median(times) for times in measured.values())
    text = bench.table(["family", "first s", "median s"], rows)
    text += f"\n\n{len(measured)} of {len(FAMILIES)} families checked, the median one in {middle:.2f} s. "
    text += "".join(f"{name} failed: {reason}. " for name, reason in failed.items())
    bench.publish("Families", text + bench.machine("torch", "transformers") + ".", write=options.write)


if __name__ == "__main__":
    main()
