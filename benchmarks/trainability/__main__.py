"""The proving ground: which start trains which network, and in how many steps.

python benchmarks/trainability --cases 'mlp/*/40' --starts default,lsuv,penstock --profile quick --out results.jsonl

Each cell (a case and a start) tries the same learning rates of SGD with momentum and of Adam on the first seed, all of
them in one stack of weights; its two best rates run on two more seeds. The cell is the median over the seeds of the
steps until the target score. Cells are written to the file as they end; the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cases import Case, all_cases, chosen_cases
from cell import GRIDS, STARTS, Cell, run_cell
from table import markdown, picture

from penstock.racing.workers import Pool

SECONDS = {"mlp": 0.31, "cnn": 2.4, "residual mlp": 0.33, "residual cnn": 1.3, "transformer": 14.0, "uneven mlp": 1.2,
           "autoencoder": 0.8, "siren": 2.2}  # fmt: skip
"""Family -> CPU seconds for each layer of a full-profile cell that does not train; measured on one busy core."""

RECURRENT = 0.003
"""The same for recurrent cells, for each place in the sequence and each step."""


def expected(case: Case, profile: str) -> float:
    """CPU seconds of one cell, at most: a cell that trains ends early."""
    family, _, size = case.name.split("/")
    full = SECONDS[family] * int(size) if family in SECONDS else RECURRENT * int(size) * case.steps
    return full * (1.0 if profile == "full" else 0.7)


def main() -> None:
    """Run what is missing, then write the table and the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", default="*", help="patterns between commas, as 'mlp/*/40,siren*'")
    parser.add_argument("--starts", default=",".join(STARTS), help="names between commas")
    parser.add_argument("--profile", choices=sorted(GRIDS), default="quick", help="how fine the grid of rates is")
    parser.add_argument("--steps", type=int, help="in place of each case's own")
    parser.add_argument("--out", type=Path, default=Path("trainability.jsonl"), help="where cells are kept")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds for a cell")
    parser.add_argument("--list", action="store_true", help="only list the cases and the time they may take")
    options = parser.parse_args()
    cases = chosen_cases(options.cases)
    if not cases:
        sys.exit(f"no case fits {options.cases!r}; there are {', '.join(c.name for c in all_cases())}")
    starts = [start.strip() for start in options.starts.split(",") if start.strip()]
    known = {result["cell"]: result for result in read(options.out)}
    cells = [Cell(case.name, start, options.profile, options.steps) for case in cases for start in starts]
    left = [cell for cell in cells if cell.key not in known]
    cost = {case.name: expected(case, options.profile) for case in cases}
    total = sum(cost[cell.case] for cell in left)
    print(f"{len(left)} of {len(cells)} cells to do: at most about {total / 3600:.1f} h of one core", file=sys.stderr)
    if options.list:
        print("\n".join(f"{case.name:30} {cost[case.name]:8.0f} s a cell" for case in cases))
        return
    # The longest first: the last cells to end are then short ones.
    left.sort(key=lambda cell: -cost[cell.case])
    run(left, known, options.out, workers=options.workers, timeout=options.timeout)
    publish([known[cell.key] for cell in cells if cell.key in known], options.out)


def run(left: Sequence[Cell], known: dict[str, Any], out: Path, *, workers: int, timeout: float) -> None:
    """Train the cells that are left, and keep each as it ends."""
    began = time.time()
    with closing(Pool(run_cell, workers, timeout=timeout)) as pool, out.open("a", encoding="utf-8") as file:
        for count, answer in enumerate(pool.run(left), start=1):
            cell = left[answer.index]
            if answer.trouble:
                print(f"[{count}/{len(left)}] {cell.key}: {answer.trouble}: {answer.message}", file=sys.stderr)
                continue
            result = known[cell.key] = answer.value
            file.write(json.dumps(result) + "\n")
            file.flush()
            os.fsync(file.fileno())
            told = f"{result['steps']:.0f} steps" if result["steps"] else f"not trained, score {result['score']}"
            told = f"{told:26} {result['optimizer']} {result['rate']:g}"
            print(
                f"[{count}/{len(left)}] {cell.case:26} {cell.start:14} {told}"
                f"  {result['cpu']:.0f} s  ({(time.time() - began) / 60:.0f} min)",
                file=sys.stderr,
                flush=True,
            )


def read(path: Path) -> list[dict[str, Any]]:
    """The cells that were kept; a line that a kill cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def publish(results: Sequence[dict[str, Any]], out: Path) -> None:
    """The table and the picture, beside the file of cells."""
    if not results:
        return
    text = markdown(results)
    out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)
    try:
        picture(results, out.with_suffix(".png"))
    except ImportError:
        print("no picture: pip install 'penstock[plot]'", file=sys.stderr)


if __name__ == "__main__":
    main()
