"""What `penstock.initialize` gives back: the plan, what was written, and the reports before and after."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from penstock.ledger.book import Ledger
from penstock.planning.plan import Plan

if TYPE_CHECKING:
    from penstock.report.report import Report


@dataclass(frozen=True)
class Initialization:
    """What `penstock.initialize` did.

    Attributes:
        plan: the plan that was applied and calibrated.
        before: the report of the model as it came.
        after: the report of the model as it is now.
        ledger: what was written to each parameter, with its hash.
        model: the model as it is now: the one that was given where that is changed in place (PyTorch, Flax nnx), a new
            one where parameters are values (JAX functions, Equinox).
    """

    plan: Plan
    before: Report
    after: Report
    ledger: Ledger
    model: Any = field(default=None, repr=False, compare=False)

    @property
    def params(self) -> Any:
        """The new parameters of a function that takes them: a tree like the one that was given.

        Raises:
            AttributeError: for a model that holds its parameters itself.
        """
        return self.model.params

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """Before, after and the plan as one self-contained HTML document; written to `path` if one is given."""
        from penstock.planning.show import initialization_page
        from penstock.report.report import written

        return written(initialization_page(self), path)

    def __str__(self) -> str:
        from penstock.planning.show import initialization_text

        return initialization_text(self)

    def __repr__(self) -> str:
        return f"<Initialization of {self.plan.model}: before {self.before!r}, after {self.after!r}>"
