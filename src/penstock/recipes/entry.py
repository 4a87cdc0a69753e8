"""CatalogueEntry: what the catalogue says about one rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["recipe", "named rule", "family", "scheme", "from values"]
"""What calling the rule gives: a recipe; a recipe under a well-known name; recipes for all parameters of a layer;
numbers for each place in a network; arrays computed from other arrays."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One line of the catalogue.

    Attributes:
        name: as in plans and JSON; of a function, its name.
        formula: the law of one element.
        when: what the rule is for.
        source: where it was published.
        kind: what the rule gives.
    """

    name: str
    formula: str
    when: str
    source: str
    kind: Kind = "recipe"
