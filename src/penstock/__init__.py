"""penstock sets, checks and reproduces the starting weights of neural networks.

    report = penstock.check(model, batch)      # what the start does, layer by layer, and what is wrong with it
    start = penstock.initialize(model, batch)  # sets it right; shows the report before and after

Nothing but NumPy's share is loaded until a name is used. `PENSTOCK_EAGER_IMPORT=1` loads all at once, which shows a
broken import at the start of a program.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock import conventions as conventions
    from penstock import meanfield as meanfield
    from penstock import recipes as recipes
    from penstock.checks.finding import Finding
    from penstock.distributed import check_ranks, check_weights, materialize
    from penstock.doors import audit, check, fans, gain, initialize, plan
    from penstock.errors import (
        ArgumentError,
        MissingFrameworkError,
        ModelError,
        PenstockError,
        ShapeError,
        UnsupportedError,
    )
    from penstock.ledger.book import Ledger
    from penstock.planning.initialization import Initialization
    from penstock.planning.plan import Plan
    from penstock.racing.door import race
    from penstock.racing.result import RaceResult
    from penstock.report.audit_report import AuditReport
    from penstock.report.ranks_report import RanksReport
    from penstock.report.report import Report

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "AuditReport",
    "Finding",
    "Initialization",
    "Ledger",
    "MissingFrameworkError",
    "ModelError",
    "PenstockError",
    "Plan",
    "RaceResult",
    "RanksReport",
    "Report",
    "ShapeError",
    "UnsupportedError",
    "__version__",
    "audit",
    "check",
    "check_ranks",
    "check_weights",
    "fans",
    "gain",
    "initialize",
    "materialize",
    "plan",
    "race",
]

_HOME = {
    "ArgumentError": "penstock.errors",
    "AuditReport": "penstock.report.audit_report",
    "Finding": "penstock.checks.finding",
    "Initialization": "penstock.planning.initialization",
    "Ledger": "penstock.ledger.book",
    "MissingFrameworkError": "penstock.errors",
    "ModelError": "penstock.errors",
    "PenstockError": "penstock.errors",
    "Plan": "penstock.planning.plan",
    "RaceResult": "penstock.racing.result",
    "RanksReport": "penstock.report.ranks_report",
    "Report": "penstock.report.report",
    "ShapeError": "penstock.errors",
    "UnsupportedError": "penstock.errors",
    "audit": "penstock.doors",
    "check": "penstock.doors",
    "check_ranks": "penstock.distributed",
    "check_weights": "penstock.distributed",
    "fans": "penstock.doors",
    "gain": "penstock.doors",
    "initialize": "penstock.doors",
    "materialize": "penstock.distributed",
    "plan": "penstock.doors",
    "race": "penstock.racing.door",
}


_MODULES = frozenset({"conventions", "meanfield", "recipes"})
"""Modules that are there without an import of their own: `penstock.meanfield.trainable_depth("gelu")`."""


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name in _MODULES:
        return importlib.import_module(f"penstock.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})


if os.environ.get("PENSTOCK_EAGER_IMPORT", "") not in {"", "0"}:
    for _name in (*_HOME, *_MODULES):
        __getattr__(_name)
