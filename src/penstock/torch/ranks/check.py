"""`penstock.check_ranks` for PyTorch: each rank hashes what it holds, all get to know it, the checks compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from torch import nn

from penstock.checks.held import Held, Holdings, held_from
from penstock.checks.registry import find_held
from penstock.errors import UnsupportedError, message
from penstock.ledger.content import Content
from penstock.report.ranks_report import RanksReport
from penstock.torch.init.shards import is_dtensor, pieces
from penstock.torch.materialize.records import name_of, stored_pieces
from penstock.torch.ranks.exchange import TIMEOUT, Exchange

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

HUGE = 1e10
"""No initializer draws a weight of this size; uninitialized memory often holds some."""
HINT = "penstock.materialize(model, seed=0)  # on every rank: parts of one draw, by logical index"


def check_ranks(model: nn.Module, *, group: ProcessGroup | None = None, timeout: float = TIMEOUT) -> RanksReport:
    """See `penstock.check_ranks`."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        raise UnsupportedError(
            message(
                "check_ranks: torch.distributed must be set up; there is only this process.",
                hint="penstock.check(model, batch)  # one process; torchrun --nproc-per-node 4 starts several",
            )
        )
    world = torch.distributed.group.WORLD if group is None else group
    if world is None:
        raise UnsupportedError(message("check_ranks: this rank is in no group."))
    exchange = Exchange(world, function="check_ranks", timeout=timeout)
    said = exchange.tell([asdict(part) for part in held_parts(model, str(exchange.rank))])
    parts = tuple(held_from(part) for rank in sorted(said) for part in said[rank])
    holdings = Holdings(type(model).__name__, "rank", tuple(str(rank) for rank in sorted(said)), parts, HINT)
    return RanksReport(holdings, find_held(holdings))


def held_parts(model: nn.Module, place: str) -> Iterator[Held]:
    """What this process holds of each parameter."""
    for name, parameter in model.named_parameters():
        layout = str(tuple(parameter.placements)) if is_dtensor(parameter) else "whole"
        for local, window in pieces(parameter.detach()):
            whole = tuple((0, n) for n in parameter.shape)
            box = whole if window is None else tuple((w.start, w.stop) for w in window)
            yield held(local, place=place, name=name, shape=tuple(parameter.shape), layout=layout, box=box)


def held(
    local: torch.Tensor, *, place: str, name: str, shape: tuple[int, ...], layout: str, box: tuple[tuple[int, int], ...]
) -> Held:
    """Hash and counts of one part. One on the meta device counts as not finite: nobody has written it."""
    dtype = name_of(local.dtype)
    if local.is_meta or local.numel() == 0:
        unwritten = 1.0 if local.numel() else 0.0
        digest = "" if local.numel() else Content(dtype).digest
        return Held(
            place=place, name=name, shape=shape, dtype=dtype, layout=layout, box=box, digest=digest,
            elements=local.numel(), constant=True, nonfinite=unwritten,
        )  # fmt: skip
    content = Content(dtype)
    for piece in stored_pieces(local):
        content.add(piece)
    nonfinite, garbage, constant = _counts(local)
    return Held(
        place=place,
        name=name,
        shape=shape,
        dtype=dtype,
        layout=layout,
        box=box,
        digest=content.digest,
        elements=local.numel(),
        constant=constant,
        nonfinite=nonfinite,
        garbage=garbage,
    )


def _counts(local: torch.Tensor) -> tuple[float, float, bool]:
    """Share of elements that are not finite, share that no initializer makes, and whether all are equal."""
    values = torch.view_as_real(local.resolve_conj()) if local.is_complex() else local
    flat = values.reshape(-1)
    constant = bool((flat == flat[0]).all())
    if not values.is_floating_point():
        return 0.0, 0.0, constant
    tiny = torch.finfo(local.dtype if values.element_size() > 1 else torch.float32).tiny
    nonfinite = garbage = 0
    for block in flat.split(2**22):
        size = block.float().abs()
        finite = torch.isfinite(size)
        nonfinite += int((~finite).sum())
        garbage += int((finite & ((size > HUGE) | ((size > 0) & (size < tiny)))).sum())
    return nonfinite / flat.numel(), garbage / flat.numel(), constant
