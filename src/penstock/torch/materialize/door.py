"""`penstock.materialize` for PyTorch: plan, agree, give memory, draw, make buffers again, tell what was written."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from penstock.errors import ArgumentError, PenstockError, UnsupportedError, closest, message
from penstock.ledger.book import Ledger
from penstock.planning.plan import Entry, Plan
from penstock.recipes.recipe import Recipe
from penstock.torch.init.shards import is_dtensor, pieces
from penstock.torch.materialize.buffers import Lost, lost_parameters, lost_tensors, recompute
from penstock.torch.materialize.memory import (
    check_kinds,
    fill_with_nan,
    local_bytes,
    put,
    restored_on_failure,
    with_memory,
)
from penstock.torch.materialize.progress import Progress, shown
from penstock.torch.materialize.records import ledger_of
from penstock.torch.materialize.structure import plan_from_structure
from penstock.torch.ranks.agree import check_agreement, check_finished, identity
from penstock.torch.ranks.exchange import TIMEOUT, Exchange
from penstock.torch.write import check_seed, draw_entry, matching

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

COMPUTED = "made again by its class: it is computed, not drawn"

Overrides = Mapping[str, Recipe]
Parameters = Mapping[str, nn.Parameter]


def materialize(
    model: nn.Module,
    *,
    seed: int,
    plan: Plan | Overrides | None = None,
    device: str | torch.device = "cpu",
    skip: Sequence[str] = (),
    progress: Progress | None = None,
    group: ProcessGroup | None = None,
    timeout: float = TIMEOUT,
) -> Ledger:
    """See `penstock.materialize`."""
    exchange = _exchange(model, group, timeout)
    with restored_on_failure(model):
        try:
            check_seed("materialize", seed)
            check_kinds(model)
            _restore_ties(model)
            _check_skip(model, skip)
            chosen, parameters = _chosen(model, plan, skip)
            unplaced = [e.name for e in chosen.entries if _left_empty(e, parameters[e.name])]
            buffers = _computed(model, unplaced, skip, seed)
            said: dict[str, Any] = identity(chosen, parameters, seed, str(device)) if exchange is not None else {}
        except PenstockError as error:
            if exchange is not None:
                exchange.tell({"error": str(error)})
            raise
        if exchange is not None:
            check_agreement("materialize", exchange.tell(said))
        try:
            drawn = _draw(parameters, chosen, seed, torch.device(device), progress)
            put(model, drawn | _placed(buffers, torch.device(device)))
            reasons = {lost.full_name: COMPUTED for lost, value in buffers if value is not None}
            ledger = ledger_of(_explained(chosen, reasons), model, seed=seed, reasons=reasons)
        except Exception as error:
            if exchange is not None:
                exchange.tell(f"{type(error).__name__}: {error}")
            raise
        if exchange is not None:
            check_finished("materialize", exchange.tell("done"))
    return ledger


def _exchange(model: nn.Module, group: ProcessGroup | None, timeout: float) -> Exchange | None:
    """Between the ranks of `group`, or of the largest mesh that a parameter lies on; none on a single process."""
    if group is not None:
        return Exchange(group, function="materialize", timeout=timeout)
    meshes = [p.device_mesh for p in model.parameters() if is_dtensor(p)]
    if not meshes:
        return None
    return Exchange(max(meshes, key=lambda mesh: mesh.size()), function="materialize", timeout=timeout)


def _restore_ties(model: nn.Module) -> None:
    """Tie again what a declared tie has lost: contexts that swap parameters one by one (accelerate) break them."""
    for module in model.modules():
        tie = getattr(module, "tie_weights", None)
        if callable(tie) and getattr(module, "_tied_weights_keys", None) and hasattr(module, "config"):
            tie()


def _fits(pattern_list: Sequence[str], names: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in pattern_list for name in names)


def _check_skip(model: nn.Module, skip: Sequence[str]) -> None:
    if not skip and not isinstance(skip, str):
        return
    names = [n for n, _ in model.named_parameters(remove_duplicate=False)]
    names += [item.full_name for item in lost_tensors(model)] + [n for n, _ in model.named_buffers()]
    for pattern in [skip] if isinstance(skip, str) else skip:
        if isinstance(skip, str) or not _fits([pattern], names):
            raise ArgumentError(
                message(
                    f"materialize: skip must be a list of names or patterns of what the model holds; got {pattern!r}.",
                    hint=f"penstock.materialize(model, seed=0, skip=[{(names or ['encoder.*'])[0]!r}])",
                )
            )


def _chosen(model: nn.Module, plan: Plan | Overrides | None, skip: Sequence[str]) -> tuple[Plan, Parameters]:
    """The plan to be drawn, given or made from the structure with the user's recipes; and the model's parameters."""
    if isinstance(plan, Plan):
        chosen = _part_of(plan, model)
    else:
        chosen = _with_overrides(plan_from_structure(model), plan or {})
    entries = tuple(
        replace(e, recipe=None, reason="skipped: a checkpoint loads it", rule="skip")
        if _fits(skip, (e.name, *e.ties))
        else e
        for e in chosen.entries
    )
    chosen = replace(chosen, entries=entries)
    return chosen, matching(chosen, model, "materialize")


def _left_empty(entry: Entry, parameter: nn.Parameter) -> bool:
    return entry.recipe is None and entry.rule != "skip" and parameter.is_meta


def _explained(plan: Plan, reasons: Mapping[str, str]) -> Plan:
    entries = (replace(e, reason=reasons[e.name]) if e.name in reasons else e for e in plan.entries)
    return replace(plan, entries=tuple(entries))


def _part_of(plan: Plan, model: nn.Module) -> Plan:
    """For a stage of a pipeline, the entries of a plan of the whole model that this stage holds."""
    names = {name for name, _ in model.named_parameters()}
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if distributed and names < {e.name for e in plan.entries}:
        return replace(plan, entries=tuple(e for e in plan.entries if e.name in names))
    return plan


def _with_overrides(plan: Plan, given: Overrides) -> Plan:
    names = [name for e in plan.entries for name in (e.name, *e.ties)]
    for pattern, recipe in given.items():
        if not isinstance(recipe, Recipe):
            raise ArgumentError(
                message(f"materialize: plan must map names to recipes; got {recipe!r} for {pattern!r}.")
            )
        if not _fits([pattern], names):
            raise ArgumentError(
                message(
                    f"materialize: plan names {pattern!r}, which fits no parameter.", hint=closest(pattern, names[:200])
                )
            )
    entries = []
    for entry in plan.entries:
        recipe = next((r for p, r in given.items() if _fits([p], (entry.name, *entry.ties))), None)
        entries.append(_chosen_by_user(entry, recipe) if recipe is not None else entry)
    return replace(plan, entries=tuple(entries))


def _chosen_by_user(entry: Entry, recipe: Recipe) -> Entry:
    return replace(entry, recipe=recipe, reason="chosen by the user", rule="user")


def _computed(
    model: nn.Module, unplaced: Sequence[str], skip: Sequence[str], seed: int
) -> list[tuple[Lost, torch.Tensor | None]]:
    """Buffers without memory, and parameters that no rule draws, with their values; None for skipped buffers.

    Raises:
        UnsupportedError: if one can be neither computed nor skipped.
    """
    buffers, parameters = lost_tensors(model), lost_parameters(model, set(unplaced))
    wanted = [item for item in buffers if not _fits(skip, (item.full_name,))]
    values = recompute(model, wanted + parameters, seed=seed)
    missing = [item.full_name for item in parameters if item.full_name not in values]
    if missing:
        raise UnsupportedError(
            message(
                f"materialize: {len(missing)} parameters have no values and no rule that places them: {_few(missing)}.",
                because="their layers declare no axes, and their class cannot be called again; a guess could be wrong",
                hint=f"materialize(model, seed=0, plan={{{missing[0]!r}: penstock.recipes.Normal(0.02)}})",
            )
        )
    missing = [item.full_name for item in wanted if item.full_name not in values]
    if missing:
        raise UnsupportedError(
            message(
                f"materialize: {len(missing)} buffers cannot be computed again: {_few(missing)}.",
                because="their class does not keep the arguments of its constructor under their own names",
                hint=f"materialize(model, seed=0, skip={missing[:4]!r}), then set them yourself",
            )
        )
    return [(item, values.get(item.full_name)) for item in buffers + parameters]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _draw(
    parameters: Parameters, plan: Plan, seed: int, device: torch.device, progress: Progress | None
) -> dict[int, torch.Tensor]:
    """Draw every planned parameter, those without memory into new memory: id of the old one -> the new one."""
    sizes = {name: local_bytes(p) for name, p in parameters.items()}
    # All memory is asked for before any is written: it costs nothing until then, and a fill leaves none of what this
    # needs in the processor's cache.
    wanted = [e for e in plan.entries if parameters[e.name].is_meta and (e.recipe is not None or e.rule == "skip")]
    new = {id(old): with_memory(old, device) for old in (parameters[entry.name] for entry in wanted)}
    done, total = 0, sum(sizes.values())
    with shown(progress, total) as tell:
        for entry in plan.entries:
            old = parameters[entry.name]
            target = new.get(id(old), old)
            if entry.rule == "skip" and target is not old:
                fill_with_nan(target)
            draw_entry(entry, target, seed)
            done += sizes[entry.name]
            tell(done, total, entry.name)
    return new


def _placed(buffers: list[tuple[Lost, torch.Tensor | None]], device: torch.device) -> dict[int, torch.Tensor]:
    new = {}
    for item, value in buffers:
        made = with_memory(item.tensor, device)
        if value is None:
            fill_with_nan(made)
        else:
            with torch.no_grad():
                for part, window in pieces(made):
                    part.copy_(value if window is None else value[window])
        new[id(item.tensor)] = made
    return new
