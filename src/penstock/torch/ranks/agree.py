"""Do all ranks mean the same model, plan and seed? Asked before anything is written; the answer names the rank."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import nn

from penstock.errors import ArgumentError, ModelError, message
from penstock.planning.plan import Plan
from penstock.torch.init.shards import is_dtensor
from penstock.torch.ranks.exchange import Messages


def identity(plan: Plan, parameters: Mapping[str, nn.Parameter], seed: int, device: str) -> dict[str, Any]:
    """What must be the same on all ranks, in few bytes: the seed, and for each parameter what is drawn and how it lies.

    Ranks may hold different parameters (stages of a pipeline); what they hold in common must agree.
    """
    each = {}
    for entry in plan.entries:
        parameter = parameters[entry.name]
        recipe = None if entry.recipe is None else entry.recipe.to_dict()
        layout = str(parameter.placements) if is_dtensor(parameter) else "whole"
        model_part = f"{tuple(parameter.shape)} {parameter.dtype} {layout}"
        plan_part = json.dumps([recipe, repr(entry.geometry) if recipe else None])
        each[entry.name] = [_short(model_part), _short(plan_part)]
    return {"seed": seed, "device": device, "parameters": each}


def check_agreement(function: str, said: Messages) -> None:
    """Compare what the ranks said with what most of them said.

    Raises:
        ModelError: if a rank could not even begin; with its number and its error.
        ArgumentError: if ranks differ in seed, model or plan; with the ranks and what differs.
    """
    failed = {rank: one["error"] for rank, one in said.items() if "error" in one}
    if failed:
        rank, text = min(failed.items())
        raise ModelError(message(f"{function}: rank {rank} cannot begin, so no rank writes anything: {text}"))
    seeds = {rank: one["seed"] for rank, one in said.items()}
    _same(function, "seed", seeds, "give every rank the same seed")
    names = {name for one in said.values() for name in one["parameters"]}
    for name in sorted(names):
        holders = {rank: one["parameters"][name] for rank, one in said.items() if name in one["parameters"]}
        models = {rank: pair[0] for rank, pair in holders.items()}
        _same(function, f"model: shape, type or placement of {name!r}", models, "build the same model on every rank")
        plans = {rank: pair[1] for rank, pair in holders.items()}
        _same(function, f"plan: recipe of {name!r}", plans, "give every rank the same plan")


def check_finished(function: str, said: Messages) -> None:
    """Whether every rank has written its part.

    Raises:
        ModelError: if one has failed; with its number and its error.
    """
    failed = {rank: text for rank, text in said.items() if text != "done"}
    if failed:
        rank, text = min(failed.items())
        raise ModelError(message(f"{function}: rank {rank} failed, so no rank is done: {text}"))


def _same(function: str, what: str, values: dict[int, Any], hint: str) -> None:
    if len(set(values.values())) <= 1:
        return
    usual = Counter(values.values()).most_common(1)[0][0]
    others = sorted(rank for rank, value in values.items() if value != usual)
    agreeing = sorted(rank for rank, value in values.items() if value == usual)
    got = f"; {values[others[0]]} there, {usual} on rank {agreeing[0]}" if what == "seed" else ""
    numbers = ", ".join(str(rank) for rank in others[:8]) + (", ..." if len(others) > 8 else "")
    raise ArgumentError(
        message(
            f"{function}: all ranks must have the same {what}; rank{'s' * (len(others) > 1)} {numbers} "
            f"differ{'s' * (len(others) == 1)} from rank {agreeing[0]}{got}. Nothing was written.",
            hint=hint,
        )
    )


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
