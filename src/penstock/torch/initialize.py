"""Plan, write, calibrate and check again: `penstock.plan` and `penstock.initialize` for PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from penstock.checks.registry import find
from penstock.planning.build import build_plan
from penstock.planning.corrected import calibrated, surprises, unreached
from penstock.planning.initialization import Initialization
from penstock.planning.learning_rate import wanted_optimizers
from penstock.planning.named.choose import RecipeChoice, check_recipe
from penstock.planning.plan import Plan
from penstock.report.report import Report
from penstock.torch.calibrate import calibrate
from penstock.torch.check import check, measure
from penstock.torch.learning_rate import measure_learning_rate
from penstock.torch.materialize.records import calibrated_ledger
from penstock.torch.measure.batch import Loss
from penstock.torch.padding import with_zero_padding
from penstock.torch.write import all_or_nothing, draw


def plan(
    model: nn.Module,
    batch: Any,
    *,
    loss: Loss | None = None,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
) -> Plan:
    """See `penstock.plan`."""
    check_recipe(recipe)
    built = build_plan(measure(model, batch, loss=loss), keep=keep, recipe=recipe, names=names)
    return with_zero_padding(built, model)


def initialize(
    model: nn.Module,
    batch: Any,
    *,
    loss: Loss | None = None,
    seed: int = 0,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
    learning_rate: bool | str = False,
) -> Initialization:
    """See `penstock.initialize`."""
    check_recipe(recipe)
    optimizers = wanted_optimizers(learning_rate, loss=loss)
    measured = measure(model, batch, loss=loss)
    chosen = with_zero_padding(build_plan(measured, keep=keep, recipe=recipe, names=names), model)
    with all_or_nothing(model):
        with torch.no_grad():
            draw(chosen, model, seed=seed)
        factors, notes = calibrate(model, chosen, batch)
        after = check(model, batch, loss=loss)
        notes += tuple(unreached(chosen, factors, after)) + surprises(chosen, factors, after)
        written = calibrated(chosen, factors, notes)
        if loss is not None and optimizers:
            rate = measure_learning_rate(model, batch, loss=loss, optimizers=optimizers)
            written = replace(written, learning_rate=rate)
        ledger = calibrated_ledger(written, model, seed=seed)
    return Initialization(written, Report(measured, find(measured)), after, ledger, model)
