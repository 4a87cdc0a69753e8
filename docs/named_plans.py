"""Write docs/named_plans.md from the table of named plans."""

from __future__ import annotations

from pathlib import Path

from penstock.planning.named.table import ROWS

PAGE = Path(__file__).resolve().parent / "named_plans.md"

INTRODUCTION = """# Named plans

`penstock.plan(model, batch)` chooses for each parameter by what the network computes. `recipe=` takes a published way
to start a whole model instead:

```python
penstock.plan(model, batch, recipe="gpt2")  # by name, from the table below
penstock.initialize(model, batch, recipe="lsuv")
penstock.plan(model, batch, recipe=Orthogonal(1.0))  # one recipe of penstock.recipes for all weights
penstock.plan(model, batch, recipe=GPT2(std=0.01))  # a scheme of penstock.recipes.schemes
penstock.plan(model, batch, recipe=MuP(width_multiplier=4.0))  # with its learning rates: plan.param_groups(model)
penstock.plan(model, batch, recipe=Shaped(slope=1.2))  # "auto", with another number for kernel shaping
penstock.plan(model, batch, recipe=mine)  # a function of a site: a recipe, a decision, or None for "as auto"
```

and in a shell `penstock plan TARGET --recipe gpt2`. A site is a parameter in its place: `site.name`,
`site.stats.role` ("weight", "bias", "scale" ...), `site.node` (the operation that uses it), `site.structure` (what
feeds it, which residual sum it ends in, how deep its stack is).

- A name places every parameter by its role, and each entry of the plan says why. Frozen parameters, those in `keep`,
  LoRA's pairs and state-space parameters stay as they are.
- Rules are drawn as they were published: nothing is corrected on the batch, except by the methods that do so
  themselves (`lsuv`, `krahenbuhl`).
- What a paper leaves open is decided as in the auto plan: embeddings of `he`, weights of `skipinit`.
- Norms start at one and zero, biases at zero, the forget gate of an LSTM at one, if the row says nothing else.
- Weight-normalised layers get the length that the named rule's own weights would have.
- What a method wants beside weights (multipliers, learning rates, another sum) is in the last column and in the plan's
  notes. Multipliers that a model lacks are put into its weights, which gives the same network at step zero; with the
  rates of `plan.param_groups` it trains the same as well.
- `torch`, `keras` and `flax` are tested against those frameworks' own layers; `gpt2`, `t5` and `mamba` against Hugging
  Face's models.

"""


def page() -> str:
    """The page."""
    rows = ["| name | draws | source | not in the weights |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        names = ", ".join(f"`{name}`" for name in (row.name, *row.aliases))
        rows.append(f"| {names} | {_cell(row.draws)} | {_cell(row.source)} | {_cell(row.needs)} |")
    return INTRODUCTION + "\n".join(rows) + "\n\nA new one is one row of `penstock.planning.named.table`.\n"


def write() -> list[Path]:
    """Write it, and say where."""
    PAGE.write_text(page(), encoding="utf-8")
    return [PAGE]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
