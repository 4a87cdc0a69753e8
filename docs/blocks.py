"""The parts of pages that are written by code: each stands between two marks."""

from __future__ import annotations

import inspect
from pathlib import Path

from penstock.planning.rules import RULES
from penstock.recipes import catalogue

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
HOW = DOCS / "how_it_works.md"
RECIPES = DOCS / "recipes.md"


def with_block(text: str, name: str, block: str) -> str:
    """A text with another block between its marks.

    Raises:
        ValueError: if the text does not hold both marks.
    """
    begin, end = f"<!-- {name}: written by make docs -->", f"<!-- end of {name} -->"
    head, mark, rest = text.partition(begin)
    _, close, tail = rest.partition(end)
    if not mark or not close:
        raise ValueError(f"the page must hold {begin!r} and {end!r}")
    return f"{head}{begin}\n{block}\n{end}{tail}"


def write_block(page: Path, name: str, block: str) -> None:
    """Put a block into a page."""
    page.write_text(with_block(page.read_text(encoding="utf-8"), name, block), encoding="utf-8")


def rules_table() -> str:
    """Which rule decides about which parameter, in the order in which they are asked."""
    homes = [rule.__module__ for _, rule in RULES]
    lines = ["| rule | decides about |", "| --- | --- |"]
    for name, rule in RULES:
        # A module of one rule says what the rule is for; of several, each says so itself.
        alone = homes.count(rule.__module__) == 1
        lines.append(f"| {name} | {_first_sentence(inspect.getmodule(rule) if alone else rule)} |")
    return "\n".join(lines)


KINDS = {
    "recipe": ("Recipes", "What a plan draws, by the name that it has in plans and JSON."),
    "named rule": (
        "Named rules",
        "Functions that give one of these recipes, under the name by which people look for them.",
    ),
    "family": ("Families", "One recipe for each parameter of a kind of layer or model."),
    "from values": ("From values", "Functions from arrays that are there (weights, activations, gradients) to arrays."),
    "scheme": ("Schemes", "Rules over a whole network: stds, multipliers and learning-rate factors by place."),
}


def recipes_page() -> str:
    """Every recipe with its formula, its use and its source."""
    lines = [
        "# Recipes",
        "",
        "Every rule that penstock knows, each a frozen value in `penstock.recipes` or a function that gives one.",
    ]
    for kind, (title, words) in KINDS.items():
        lines += ["", f"## {title}", "", words]
        for entry in (e for e in catalogue() if e.kind == kind):
            lines += ["", f"### {entry.name}", "", f"- **Law**: `{entry.formula}`", f"- **When**: {entry.when}"]
            lines.append(f"- **Source**: {entry.source}")
    return "\n".join(lines) + "\n"


def write() -> list[Path]:
    """Write docs/recipes.md and the table of rules of docs/how_it_works.md."""
    RECIPES.write_text(recipes_page(), encoding="utf-8")
    write_block(HOW, "rules", rules_table())
    return [RECIPES, HOW]


def _first_sentence(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", maxsplit=1)[0].rstrip(".").replace("|", "\\|")
