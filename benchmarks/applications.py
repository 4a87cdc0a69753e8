"""What every model of keras.applications is told, before and after `penstock.initialize`: each in a process of its own.

python benchmarks/applications.py [--journal PATH] [--recorded] [--write]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import bench

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "adapters" / "keras" / "zoo_cases.py"
ON_JAX = ("NASNetMobile",)
"""Keras builds it on no PyTorch backend; all others run there, because nothing has to be compiled for one run."""


def lines(backend: str, *models: str) -> list[Any]:
    """What the script says of these models on a backend, or its last line of text where it fails."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *models], capture_output=True, text=True, check=False, env=environment
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "{["]
    if done.returncode == 0:
        return found
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return [{"name": models[0], "failed": f"{last[:200]} (exit {done.returncode})"}]


def survey(journal: Path | None, *, recorded: bool) -> list[dict[str, Any]]:
    """Each model's line; those that the journal holds are not run again, and with `recorded` no others either."""
    known = {}
    if journal is not None and journal.exists():
        known = {line["name"]: line for line in map(json.loads, journal.read_text().splitlines())}
    names = lines("torch")[0]
    for name in names:
        if not recorded and (name not in known or "failed" in known[name]):
            known[name] = lines("jax" if name in ON_JAX else "torch", name)[0]
            print(name, known[name].get("failed", "done"), file=sys.stderr, flush=True)
            if journal is not None:
                with journal.open("a") as file:
                    file.write(json.dumps(known[name]) + "\n")
    return [known.get(name, {"name": name, "failed": "not run"}) for name in names]


def row(line: dict[str, Any]) -> list[str]:
    """One line of the table."""
    if "failed" in line:
        return [line["name"], "", "", "", line["failed"], "", "", ""]
    size = f"{line['size']} x {line['size']}"
    cells = [line["name"], size, f"{line['weights'] / 1e6:.1f}", str(line["nodes"]), _codes(line["before"])]
    return [*cells, _codes(line["after"]), f"{line['cpu_s']:.0f}", f"{line['gib']:.1f}"]


def _codes(findings: list[list[str]]) -> str:
    counted = Counter(f"{code} {severity}" for code, severity, _ in findings if severity != "note")
    return ", ".join(f"{what} x {n}" if n > 1 else what for what, n in sorted(counted.items())) or "-"


def main() -> None:
    """Run, print, and keep with --write."""
    parser = bench.parser(__doc__)
    parser.add_argument("--journal", type=Path, help="a file of results; what it holds is not run again")
    parser.add_argument("--recorded", action="store_true", help="run nothing: the table of what the journal holds")
    options = parser.parse_args()
    found = survey(options.journal, recorded=options.recorded)
    header = ["model", "image", "million weights", "nodes", "Keras's own start", "after", "CPU s", "GiB"]
    ran = [line for line in found if "failed" not in line]
    healthy = [line for line in ran if not any(f[1] == "error" for f in line["after"])]
    text = bench.table(header, [row(line) for line in found])
    text += (
        f"\n\n{len(ran)} of {len(found)} models were run, {len(healthy)} of them end without an error; notes are left "
    )
    text += "out. Random weights, 10 classes; 4 pictures of 0 to 255 through each family's `preprocess_input`. CPU "
    text += "seconds of one `penstock.initialize`, which checks twice, on one thread. "
    text += f"{', '.join(ON_JAX)} on JAX, the others on PyTorch. "
    bench.publish("Keras applications", text + bench.machine("keras", "torch", "jax") + ".", write=options.write)


if __name__ == "__main__":
    main()
