"""Write planned values into a model: everything is drawn and checked against the model, or nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.ledger.book import Ledger
from penstock.planning.plan import Entry, Plan
from penstock.randomness import key_for
from penstock.torch.init import write
from penstock.torch.init.shards import is_dtensor
from penstock.torch.materialize.records import ledger_of


def apply(plan: Plan, model: nn.Module, *, seed: int = 0) -> Ledger:
    """See `penstock.Plan.apply`."""
    with all_or_nothing(model):
        draw(plan, model, seed=seed)
        return ledger_of(plan, model, seed=seed)


def draw(plan: Plan, model: nn.Module, *, seed: int) -> None:
    """Write what a plan draws; on a DTensor this rank's part only. The caller saves what was there."""
    parameters = matching(plan, model)
    check_seed("Plan.apply", seed)
    unborn = [entry.name for entry in plan.entries if parameters[entry.name].is_meta]
    if unborn:
        raise UnsupportedError(
            message(
                f"Plan.apply: parameters must have memory; {unborn[0]!r} is on the meta device.",
                hint="penstock.materialize(model, seed=0, plan=plan)",
            )
        )
    for entry in plan.entries:
        draw_entry(entry, parameters[entry.name], seed)


def draw_entry(entry: Entry, parameter: torch.Tensor, seed: int) -> None:
    """Write one parameter's values where it lies, if its entry draws any."""
    if entry.recipe is not None:
        # Detaching a DTensor costs more than a small shard's values, and what is written is its local part anyway.
        tensor, geometry = parameter if is_dtensor(parameter) else parameter.detach(), entry.geometry
        if geometry.order:  # written through a view whose axes are in the order that the elements are numbered in
            tensor, geometry = parameter.detach().permute(geometry.order), geometry.laid_out()
        write.write("Plan.apply", tensor, entry.recipe, geometry, None, key=key_for(seed, entry.key_name))


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


def check_seed(function: str, seed: int) -> None:
    """Find a bad seed before anything is written.

    Raises:
        ArgumentError: if it is one.
    """
    try:
        key_for(seed, "")
    except ArgumentError:
        fact = f"{function}: seed must be an integer with 0 <= seed < 2**64; got {seed!r}."
        call = "plan.apply(model, seed=0)" if function == "Plan.apply" else f"penstock.{function}(model, seed=0)"
        raise ArgumentError(message(fact, hint=call)) from None


def matching(plan: Plan, model: nn.Module, function: str = "Plan.apply") -> dict[str, nn.Parameter]:
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
                f"{function}: model must have the parameters that were planned ({plan.model}, {len(planned)} of them); "
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
                    f"{function}: {name!r} must be of a floating-point type to be drawn; got {parameters[name].dtype}.",
                    hint=f"plan.replace({name!r}, None)  # keep its values",
                )
            )
    return parameters
