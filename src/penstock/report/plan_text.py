"""Plans as a table: like rows folded, each reason written once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from penstock.report.layers import Column, Line, join, line_width
from penstock.report.table import Signs, fold_middle, number, signs_for, wrap

INDEX = re.compile(r"\d+")
# The parameter's name may be folded down to this, the recipe down to what is left, when the table is too wide.
MIN_NAME = 24


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One parameter of a plan.

    Attributes:
        name: the parameter's name; of a folded row "layers.{0..11}.weight".
        shape: its logical shape.
        recipe: what is written to it, in a few words.
        std: standard deviation of the recipe's values; None where there is none.
        reason: one sentence: why this recipe.
        count: how many parameters the row stands for.
    """

    name: str
    shape: tuple[int, ...]
    recipe: str
    std: float | None
    reason: str
    count: int = 1


def plan_to_text(
    rows: Sequence[PlanRow],
    *,
    title: str,
    notes: Sequence[str] = (),
    learning_rate: str = "",
    width: int = 80,
    encoding: str | None = None,
) -> str:
    """A plan as a table of at most `width` cells; reasons stand below it, numbered.

    Args:
        rows: one a parameter, in the model's order.
        title: the first line.
        notes: sentences below the table.
        learning_rate: what to say of it, below the notes.
        width: in cells.
        encoding: where it will be shown; None for that of standard output.
    """
    signs = signs_for(encoding)
    lines = wrap(signs.clean(title), width)
    if rows:
        lines += ["", *table_lines(rows, width=width, signs=signs)]
    for label, note in [
        *(("note", note) for note in notes),
        *([("learning rate", learning_rate)] * bool(learning_rate)),
    ]:
        first, *rest = wrap(signs.clean(note), width - len(label) - 2)
        lines += ["", f"{label}: {first}", *(" " * (len(label) + 2) + line for line in rest)]
    return "\n".join(line.rstrip() for line in lines)


def table_lines(
    rows: Sequence[PlanRow], *, width: int, signs: Signs, titles: tuple[str, str] = ("recipe", "why")
) -> list[str]:
    """Like rows folded into one table, and below it the reasons, numbered.

    Args:
        rows: one a parameter, in the model's order.
        width: in cells.
        signs: what to draw with.
        titles: of the recipes' column, and of the reasons.
    """
    folded = fold_plan(rows)
    reasons = list(dict.fromkeys(row.reason for row in folded if row.reason))
    lines = _table(folded, reasons, width, signs, titles)
    if reasons:
        lines += ["", titles[1]]
        digits = len(str(len(reasons)))
        for i, reason in enumerate(reasons):
            first, *rest = wrap(signs.clean(reason), width - digits - 4)
            lines += [f"  {i + 1:>{digits}}  {first}", *(" " * (digits + 4) + line for line in rest)]
    return lines


def _table(
    rows: Sequence[PlanRow], reasons: Sequence[str], width: int, signs: Signs, titles: tuple[str, str]
) -> list[str]:
    numbers = [str(reasons.index(row.reason) + 1) if row.reason else "" for row in rows]
    fixed = [
        Column("shape", [[(signs.shape(row.shape), "")] for row in rows]),
        Column("std", [[(number(row.std), "")] for row in rows], right=True),
        Column(titles[1], [[(n, "")] for n in numbers], right=True),
    ]
    recipes = [signs.clean(row.recipe) for row in rows]
    names = [signs.clean(row.name) for row in rows]
    counts = [f" ({signs.times}{row.count})" if row.count > 1 else "" for row in rows]
    room = width - sum(column.width + 2 for column in fixed) - 2
    name_need = max(line_width([(name + count, "")]) for name, count in zip(names, counts, strict=True))
    recipe_need = max(line_width([(recipe, "")]) for recipe in [*recipes, titles[0]])
    name_width = max(min(name_need, room - recipe_need), min(name_need, MIN_NAME), len("parameter"))
    recipe_width = max(min(recipe_need, room - name_width), len(titles[0]))
    labels: list[Line] = [
        [(fold_middle(name, name_width - len(count), ellipsis=signs.ellipsis) + count, "")]
        for name, count in zip(names, counts, strict=True)
    ]
    shape, std, why = fixed
    columns = [
        Column("parameter", labels),
        shape,
        Column(titles[0], [[(fold_middle(r, recipe_width, ellipsis=signs.ellipsis), "")] for r in recipes]),
        std,
        why,
    ]
    lines = [join(columns, [[(column.title, "")] for column in columns])]
    lines += [join(columns, [column.cells[i] for column in columns]) for i in range(len(rows))]
    # Shapes of many axes may still be too long for a narrow table.
    return [fold_middle("".join(text for text, _ in line).rstrip(), width, ellipsis=signs.ellipsis) for line in lines]


def fold_plan(rows: Sequence[PlanRow]) -> list[PlanRow]:
    """Rows that differ in the indices of their names only as one, at the first one's place.

    Examples:
        >>> rows = [PlanRow(f"layers.{i}.weight", (4, 4), "he_normal", 0.7, "feeds relu") for i in range(12)]
        >>> [row.name for row in fold_plan(rows)]
        ['layers.{0..11}.weight']
    """
    groups: dict[tuple[object, ...], list[PlanRow]] = {}
    for row in rows:
        key = (INDEX.sub("#", row.name), row.shape, row.recipe, number(row.std), row.reason)
        groups.setdefault(key, []).append(row)
    place = {row.name: i for i, row in reversed(list(enumerate(rows)))}
    folded = [merged for group in groups.values() for merged in _merge(group)]
    return [row for _, row in sorted(folded, key=lambda pair: place[pair[0]])]


def _merge(group: Sequence[PlanRow]) -> list[tuple[str, PlanRow]]:
    """One row for the group, or one for each set of names that a pattern names exactly; with the first name of each."""
    if len(group) == 1:
        return [(group[0].name, group[0])]
    indices = [tuple(int(i) for i in INDEX.findall(row.name)) for row in group]
    columns = [sorted(set(column)) for column in zip(*indices, strict=True)]
    if math.prod(len(column) for column in columns) == len(group):
        stems = INDEX.split(group[0].name)
        shown = [*(_braces(column) for column in columns), ""]
        name = "".join(stem + index for stem, index in zip(stems, shown, strict=True))
        return [(group[0].name, replace(group[0], name=name, count=len(group)))]
    # A pattern for all would name parameters that are not in the group: fold along the first index that varies.
    varying = next((i for i, column in enumerate(columns) if len(column) > 1), None)
    if varying is None:
        return [(row.name, row) for row in group]

    def others(pair: tuple[tuple[int, ...], PlanRow]) -> tuple[int, ...]:
        return pair[0][:varying] + pair[0][varying + 1 :]

    ordered = sorted(zip(indices, group, strict=True), key=others)
    return [m for _, part in groupby(ordered, key=others) for m in _merge([row for _, row in part])]


def _braces(indices: Sequence[int]) -> str:
    """Indices as a pattern: 3, {0..11}, {0,2,4..6}."""
    if len(indices) == 1:
        return str(indices[0])
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    parts = [f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs]
    return "{" + ",".join(parts) + "}"
