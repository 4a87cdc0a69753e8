"""Write planned values into a model: everything is drawn and checked against the model, or nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from penstock.errors import ArgumentError, message
from penstock.planning.plan import Plan
from penstock.randomness import key_for


def apply(plan: Plan, model: nn.Module, *, seed: int = 0) -> None:
    """See `penstock.Plan.apply`."""
    parameters = _matching(plan, model)
    _check_seed(seed)
    with all_or_nothing(model), torch.no_grad():
        for entry in plan.entries:
            if entry.recipe is not None:
                values = torch.from_numpy(entry.recipe.draw(entry.geometry, key_for(seed, entry.name)))
                parameters[entry.name].detach().copy_(values)


@contextmanager
def all_or_nothing(model: nn.Module) -> Iterator[None]:
    """If the block fails, every parameter of the model gets its values back."""
    saved = [(p, p.detach().clone()) for p in model.parameters()]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, values in saved:
                parameter.detach().copy_(values)
        raise


def _check_seed(seed: int) -> None:
    """Find a bad seed before anything is written.

    Raises:
        ArgumentError: if it is one.
    """
    try:
        key_for(seed, "")
    except ArgumentError:
        fact = f"Plan.apply: seed must be an integer with 0 <= seed < 2**64; got {seed!r}."
        raise ArgumentError(message(fact, hint="plan.apply(model, seed=0)")) from None


def _matching(plan: Plan, model: nn.Module) -> dict[str, nn.Parameter]:
    """The model's parameters by the plan's names.

    Raises:
        ArgumentError: if one is missing, too many, or of another shape.
    """
    parameters = dict(model.named_parameters())
    planned = {entry.name: entry for entry in plan.entries}
    problems = [f"the model has no {n!r}" for n in planned if n not in parameters]
    problems += [f"the plan has no {n!r}" for n in parameters if n not in planned]
    problems += [
        f"{n!r} is {tuple(parameters[n].shape)} in the model and {e.shape} in the plan"
        for n, e in planned.items()
        if n in parameters and tuple(parameters[n].shape) != e.shape
    ]
    if problems:
        raise ArgumentError(
            message(
                f"Plan.apply: model must have the parameters that were planned ({plan.model}, {len(planned)} of them); "
                + "; ".join(problems[:3])
                + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
                + ".",
                hint="plan = penstock.plan(model, batch) for this model",
            )
        )
    for name, entry in planned.items():
        if entry.recipe is not None and not parameters[name].is_floating_point() and not parameters[name].is_complex():
            raise ArgumentError(
                message(
                    f"Plan.apply: {name!r} must be of a floating-point type to be drawn; got {parameters[name].dtype}.",
                    hint=f"plan.replace({name!r}, None)  # keep its values",
                )
            )
    return parameters
