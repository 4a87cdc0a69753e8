"""Plans and initializations as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.report.compare import before_after_to_text
from penstock.report.plan_text import PlanRow, plan_to_text

if TYPE_CHECKING:
    from penstock.planning.initialization import Initialization
    from penstock.planning.plan import Entry, Plan


def plan_text(plan: Plan, *, width: int = 80) -> str:
    """The plan as a table, like parameters folded, each reason once."""
    drawn = sum(e.recipe is not None for e in plan.entries)
    title = f"plan for {plan.model}: {drawn} of {len(plan.entries)} parameters drawn, the others kept"
    return plan_to_text(
        [_row(e) for e in plan.entries],
        title=title,
        notes=[*_factors(plan), *plan.notes],
        learning_rate=plan.learning_rate.describe(),
        width=width,
    )


def _factors(plan: Plan) -> list[str]:
    """One sentence on what calibration did."""
    factors = [e.calibration.factor for e in plan.entries if e.calibration is not None and e.calibration.factor]
    if not factors:
        return []
    return [
        f"Calibration scaled {len(factors)} weights on the batch, by {min(factors):.3g} to {max(factors):.3g}; "
        "a factor of 1 says that the analysis was exact."
    ]


def initialization_text(done: Initialization, *, width: int = 80) -> str:
    """What changed, then the plan."""
    return before_after_to_text(done.before, done.after, width=width) + "\n\n" + plan_text(done.plan, width=width)


def initialization_page(done: Initialization) -> str:
    """What changed and what was written, as one self-contained HTML document."""
    from penstock.report.page import before_after_to_page

    rows = [_row(e) for e in done.plan.entries]
    return before_after_to_page(done.before, done.after, rows, notes=[*_factors(done.plan), *done.plan.notes])


def _row(entry: Entry) -> PlanRow:
    recipe = "keep" if entry.recipe is None else entry.recipe.describe()
    std = None if entry.recipe is None else entry.recipe.std(entry.geometry)
    return PlanRow(entry.name, entry.shape, recipe, std, entry.reason)
