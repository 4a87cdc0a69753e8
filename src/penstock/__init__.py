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
    from penstock.checks.finding import Finding
    from penstock.doors import check, fans, gain, initialize, plan
    from penstock.errors import (
        ArgumentError,
        MissingFrameworkError,
        ModelError,
        PenstockError,
        ShapeError,
        UnsupportedError,
    )
    from penstock.planning.plan import Initialization, Plan
    from penstock.report.report import Report

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "Finding",
    "Initialization",
    "MissingFrameworkError",
    "ModelError",
    "PenstockError",
    "Plan",
    "Report",
    "ShapeError",
    "UnsupportedError",
    "__version__",
    "check",
    "fans",
    "gain",
    "initialize",
    "plan",
]

_HOME = {
    "ArgumentError": "penstock.errors",
    "Finding": "penstock.checks.finding",
    "Initialization": "penstock.planning.plan",
    "MissingFrameworkError": "penstock.errors",
    "ModelError": "penstock.errors",
    "PenstockError": "penstock.errors",
    "Plan": "penstock.planning.plan",
    "Report": "penstock.report.report",
    "ShapeError": "penstock.errors",
    "UnsupportedError": "penstock.errors",
    "check": "penstock.doors",
    "fans": "penstock.doors",
    "gain": "penstock.doors",
    "initialize": "penstock.doors",
    "plan": "penstock.doors",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if os.environ.get("PENSTOCK_EAGER_IMPORT", "") not in {"", "0"}:
    for _name in _HOME:
        __getattr__(_name)
