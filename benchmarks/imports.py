"""Seconds of `import penstock` against `import numpy`, each in new processes, in turns.

python benchmarks/imports.py [--repeats 21] [--write]
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import bench

ARMS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "penstock": "import penstock",
    "door": "from penstock import check",
}


def run(code: str) -> None:
    """One new interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True)


def main() -> None:
    """Run, print, and keep with --write."""
    parser = bench.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    options = parser.parse_args()
    arms = {name: lambda code=code: run(code) for name, code in ARMS.items()}
    seconds = bench.interleaved(arms, repeats=options.repeats, warm_up=2)
    rows = []
    for name, code in ARMS.items():
        extra = statistics.median(a - b for a, b in zip(seconds[name], seconds["numpy"], strict=True))
        rows.append([f"`{code}`", f"{1e3 * statistics.median(seconds[name]):.0f}", f"{1e3 * extra:+.0f}"])
    text = bench.table(["python -c", "median ms", "against numpy, ms"], rows) + "\n\n" + bench.machine("numpy") + "."
    bench.publish("Imports", text, write=options.write)


if __name__ == "__main__":
    main()
