"""The rows of embeddings that stand for padding: zero in every plan, as PyTorch's own initialization leaves them."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from penstock.planning.plan import Entry, Plan
from penstock.recipes import Constant, ZeroRows


def with_zero_padding(plan: Plan, model: nn.Module) -> Plan:
    """The plan in which the row `padding_idx` of each drawn embedding is zero, and the reason says so.

    Nothing is looked up there that shall add to the signal, and PyTorch gives that row no gradient: what is drawn
    there would stay. A table that is tied to others has the row zero in all of them.

    Args:
        plan: for the model.
        model: that has the embeddings.
    """
    rows: dict[int, set[int]] = {}
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
            weight = module._parameters.get("weight")  # a parametrized one is computed, and no row of it can be set
            if weight is not None and weight.is_floating_point():
                rows.setdefault(id(weight), set()).add(module.padding_idx % weight.shape[0])
    if not rows:
        return plan
    parameters = dict(model.named_parameters())
    return replace(plan, entries=tuple(_padded(e, rows.get(id(parameters.get(e.name)), set())) for e in plan.entries))


def _padded(entry: Entry, rows: set[int]) -> Entry:
    if entry.recipe is None or entry.recipe == Constant(0.0) or not rows:
        return entry
    numbers = ", ".join(str(row) for row in sorted(rows))
    reason = f"{entry.reason}; padding: row{'s' * (len(rows) > 1)} {numbers} zero"
    return replace(entry, recipe=ZeroRows(entry.recipe, tuple(rows)), reason=reason)
