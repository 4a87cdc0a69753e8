"""The table of cells, what it says of the figures to reach, and its picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Cells = Mapping[tuple[str, str], Mapping[str, Any]]

OWN = {"sgd": "penstock, own SGD rate", "adam": "penstock, own Adam rate"}


def indexed(results: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(case, start) -> its result; penstock's own rates as starts of their own."""
    cells: dict[tuple[str, str], Mapping[str, Any]] = {}
    for result in results:
        cells[result["case"], result["start"]] = result
        for optimizer, own in result.get("own", {}).items():
            cells[result["case"], OWN[optimizer]] = own
    return cells


def names(cells: Cells, place: int) -> list[str]:
    """The cases (0) or starts (1), in the order met."""
    return list(dict.fromkeys(key[place] for key in cells))


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Steps to the target where a start trains; else, in brackets, the score that it gets to."""
    cells = indexed(results)
    starts = names(cells, 1)
    lines = ["| case | " + " | ".join(starts) + " |", "| --- |" + " --- |" * len(starts)]
    for case in names(cells, 0):
        steps = [cells[case, s]["steps"] for s in starts if (case, s) in cells and cells[case, s]["steps"]]
        row = [_shown(cells.get((case, s)), min(steps, default=0)) for s in starts]
        lines.append(f"| {case} | " + " | ".join(row) + " |")
    cases = names(cells, 0)
    lines.append(f"| **trained of {len(cases)}** | " + " | ".join(_trained(cells, cases, s) for s in starts) + " |")
    return "\n".join([*lines, "", *figures(cells)])


def _trained(cells: Cells, cases: Sequence[str], start: str) -> str:
    """How many cases a start trains, and of how many where not all were run."""
    run = [cells[case, start] for case in cases if (case, start) in cells]
    count = f"**{sum(bool(cell['steps']) for cell in run)}**"
    return count if len(run) == len(cases) else f"{count} of {len(run)}"


def _shown(cell: Mapping[str, Any] | None, best: float) -> str:
    if cell is None:
        return ""
    if cell["steps"]:
        return f"**{cell['steps']:.0f}**" if cell["steps"] == best else f"{cell['steps']:.0f}"
    return "failed" if cell["score"] is None else f"({cell['score']:.2f})"


def figures(cells: Cells) -> list[str]:
    """The figures of the proving ground, as far as there are cells for them."""
    cases = [case for case in names(cells, 0) if (case, "penstock") in cells]
    others = [s for s in names(cells, 1) if not s.startswith("penstock")]
    ours = {case: cells[case, "penstock"]["steps"] or math.inf for case in cases}
    best = {case: min((cells[case, s]["steps"] or math.inf for s in others if (case, s) in cells), default=math.inf)
            for case in cases}  # fmt: skip
    missed = [case for case in cases if math.isinf(ours[case]) and math.isfinite(best[case])]
    slow = [case for case in cases if ours[case] > 1.25 * best[case] and math.isfinite(ours[case])]
    lines = [
        f"- penstock trains {sum(map(math.isfinite, ours.values()))} of {len(cases)} cases; others train "
        f"{sum(map(math.isfinite, best.values()))} between them; trained by another start only: {_list(missed)}.",
        f"- More than 1.25 times the steps of the best other start: {_list(slow)}.",
    ]
    both = [ours[c] / best[c] for c in cases if math.isfinite(ours[c]) and math.isfinite(best[c])]
    if both:
        lines.append(f"- Steps over those of the best other start, median: {statistics.median(both):.2f}.")
    for optimizer, row in OWN.items():
        own = [(cells[c, row], cells[c, row].get("best", ours[c]) or math.inf) for c in cases if (c, row) in cells]
        near = sum((cell["steps"] or math.inf) <= 1.5 * steps for cell, steps in own if math.isfinite(steps))
        possible = sum(math.isfinite(steps) for _, steps in own)
        diverged = sum(cell["diverged"] for cell, _ in own)
        lines.append(
            f"- Its own rate for {optimizer} alone: within 1.5 times its best rate of the grid in {near} of {possible} "
            f"cases that this trains; {diverged} arms diverged."
        )
    return lines


def _list(cases: Sequence[str]) -> str:
    return ", ".join(cases) if cases else "none"


def picture(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One square a cell: the brighter the fewer steps beside the best of its case; grey not trained, white not run."""
    from matplotlib.figure import Figure

    cells = indexed(results)
    cases, starts = names(cells, 0), names(cells, 1)
    values = [[math.nan] * len(starts) for _ in cases]
    for row, case in enumerate(cases):
        steps = {s: cells[case, s]["steps"] for s in starts if (case, s) in cells and cells[case, s]["steps"]}
        for start, taken in steps.items():
            values[row][starts.index(start)] = math.log2(taken / min(steps.values()))
    figure = Figure(figsize=(2 + 0.7 * len(starts), 1.8 + 0.24 * len(cases)), layout="constrained")
    axes = figure.subplots()
    run = [[0.3 if (case, s) in cells else math.nan for s in starts] for case in cases]
    axes.imshow(run, aspect="auto", cmap="Greys", vmin=0, vmax=1)
    image = axes.imshow(values, aspect="auto", cmap="viridis_r", vmin=0, vmax=3)
    axes.set_xticks(range(len(starts)), starts, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(cases)), cases, fontsize=7)
    bar = figure.colorbar(image, ax=axes, ticks=range(4))
    bar.ax.set_yticklabels(["best", "x 2", "x 4", "x 8"])
    axes.set_title("steps beside the best start of each case; grey: not trained; white: not run", fontsize=9)
    figure.savefig(path, dpi=130)
