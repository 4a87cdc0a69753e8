"""Family: parameter -> recipe, and its line in the catalogue."""

from __future__ import annotations

from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.recipe import Recipe

Family = dict[str, Recipe]
"""A recipe for each parameter, by the parameter's name in the paper or its reference code."""


def entry(name: str, formula: str, when: str, source: str) -> CatalogueEntry:
    """A line of the catalogue."""
    return CatalogueEntry(f"families.{name}", formula, when, source, "family")
