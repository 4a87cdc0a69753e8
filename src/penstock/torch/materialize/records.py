"""Records of the ledger from a model's tensors: each rank's own part, hashed and measured where it lies."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from penstock.ledger.book import Ledger
from penstock.ledger.content import Content, content_of
from penstock.ledger.digests import WORTH, digests_of, sums_of
from penstock.ledger.elements import ELEMENTS
from penstock.ledger.rebuild import values_of
from penstock.ledger.record import Box, Kind, Part, Record
from penstock.planning.plan import Entry, Plan
from penstock.randomness import Window, key_for
from penstock.recipes.recipe import Moments, pooled
from penstock.torch.init.shards import is_dtensor, pieces

KEPT = 4096
"""A parameter that was not drawn is stored in the ledger up to so many elements; larger ones are only hashed."""
_STEP = 2**22


def ledger_of(
    plan: Plan,
    model: nn.Module,
    *,
    seed: int,
    factors: Mapping[str, tuple[float, ...]] | None = None,
    stored: frozenset[str] = frozenset(),
    reasons: Mapping[str, str] | None = None,
) -> Ledger:
    """Read what a model's parameters and persistent buffers hold now.

    Args:
        plan: what was drawn.
        model: with the plan applied.
        seed: that it was drawn with.
        factors: parameter -> numbers that its drawn values were multiplied by.
        stored: parameters whose values were then set to something else; they go into the ledger themselves.
        reasons: of buffers, where there is something to say.
    """
    parameters = dict(model.named_parameters())
    entries = [entry for entry in plan.entries if not parameters[entry.name].is_meta]
    threads = torch.get_num_threads()
    held = {entry.name: held_by(parameters[entry.name]) for entry in entries}
    _hash(held, threads)

    def record(entry: Entry) -> Record:
        scaled = (factors or {}).get(entry.name, ())
        return _of_parameter(entry, held[entry.name], seed, scaled, keep=entry.name in stored)

    if threads == 1:
        records = [record(entry) for entry in entries]
    else:
        # Hashes and sums are made without Python's lock, so that threads share them out.
        with ThreadPoolExecutor(threads) as pool:
            records = list(pool.map(record, entries))
    for name, buffer in _persistent_buffers(model):
        if not buffer.is_meta:
            reason = (reasons or {}).get(name, "buffer: kept its values")
            records.append(_plain(name, held_by(buffer), reason, kind="buffer"))
    return Ledger(plan.model, seed, tuple(records), plan.notes)


@dataclass(slots=True)
class Held:
    """What this rank holds of a tensor. Read once: on a DTensor each look costs as much as a small shard's values.

    Attributes:
        shape: of the whole tensor.
        dtype: PyTorch's name of it: "float32".
        parts: this rank's memory outside autograd, each piece with its window in the whole; None for all of it.
        arrays: the bits of each piece, where they lie in plain memory and hashes of them were made together.
        digests: those hashes.
    """

    shape: tuple[int, ...]
    dtype: str
    parts: list[tuple[torch.Tensor, Window | None]]
    arrays: list[npt.NDArray[Any]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


def held_by(tensor: torch.Tensor) -> Held:
    """The pieces of a tensor that lie on this rank; no values are read yet."""
    known = tensor if is_dtensor(tensor) else tensor.detach()
    return Held(tuple(tensor.shape), name_of(tensor.dtype), list(pieces(known)))


def _hash(held: Mapping[str, Held], threads: int) -> None:
    """Make the hashes of all pieces in plain memory together; none where that brings little."""
    plain = [one for one in held.values() if one.dtype in ELEMENTS and all(_in_plain_memory(p) for p, _ in one.parts)]
    if sum(local.numel() * local.element_size() for one in plain for local, _ in one.parts) < WORTH:
        return
    arrays = [[bits(local) for local, _ in one.parts] for one in plain]
    made = digests_of([array for some in arrays for array in some], threads=threads)
    rest = iter(made or ())
    for one, some in zip(plain if made else (), arrays, strict=False):
        one.arrays, one.digests = some, [next(rest) for _ in some]


def _in_plain_memory(local: torch.Tensor) -> bool:
    return local.device.type == "cpu" and local.is_contiguous() and not local.is_conj() and not local.is_neg()


def calibrated_ledger(plan: Plan, model: nn.Module, *, seed: int) -> Ledger:
    """The ledger of a model whose planned weights were then corrected on data.

    A factor is recorded as the number that it is. Values that data alone gives (centred biases) are stored. What still
    does not come out of its record bit for bit is stored as well, so that every drawn parameter can be made again.
    """
    factors: dict[str, tuple[float, ...]] = {}
    centred = set()
    for entry in plan.entries:
        calibration = entry.calibration
        if calibration is not None and calibration.factor is not None:
            factors[calibration.knob] = (*factors.get(calibration.knob, ()), calibration.factor)
            if calibration.centre is not None and calibration.bias is not None:
                centred.add(calibration.bias)
    made = ledger_of(plan, model, seed=seed, factors=factors, stored=frozenset(centred))
    other = {r.name for r in made.records if r.recipe is not None and not _comes_out(r)}
    return ledger_of(plan, model, seed=seed, factors=factors, stored=frozenset(centred | other)) if other else made


def _comes_out(record: Record) -> bool:
    return content_of(values_of(record), record.dtype).digest == record.digest


def _of_parameter(entry: Entry, held: Held, seed: int, factors: tuple[float, ...], *, keep: bool) -> Record:
    if entry.recipe is None or keep:
        return _plain(entry.name, held, entry.reason, ties=entry.ties, keep=keep)
    parts, measured = content(held)
    asked, scale = entry.recipe.moments(entry.geometry), math.prod(factors)
    return Record(
        name=entry.name,
        shape=entry.shape,
        dtype=held.dtype,
        reason=entry.reason,
        recipe=entry.recipe,
        geometry=entry.geometry,
        key=key_for(seed, entry.key_name),
        requested=Moments(asked.mean * scale, asked.std * scale),
        measured=measured,
        parts=parts,
        factors=factors,
        ties=entry.ties,
        drawn_as=entry.drawn_as,
    )


def _plain(
    name: str, held: Held, reason: str, *, kind: Kind = "parameter", ties: tuple[str, ...] = (), keep: bool = False
) -> Record:
    """A record of values that were not drawn; small ones are stored in it."""
    parts, measured = content(held)
    stored = None
    if len(parts) == 1 and parts[0].box is None and (keep or math.prod(held.shape) <= KEPT):
        values = b"".join(np.ascontiguousarray(p).tobytes() for p in stored_pieces(held.parts[0][0]))
        stored = base64.b64encode(values).decode()
    return Record(
        name=name,
        shape=held.shape,
        dtype=held.dtype,
        reason=reason,
        measured=measured,
        parts=parts,
        stored=stored,
        kind=kind,
        ties=ties,
    )


def content(held: Held) -> tuple[tuple[Part, ...], Moments | None]:
    """Hash of each box that this rank holds, and the moments of all of them."""
    dtype = held.dtype
    if dtype not in ELEMENTS:
        return (), None
    parts, moments, sizes = [], [], []
    sums = sums_of(dtype) if held.digests else None
    for number, (local, window) in enumerate(held.parts):
        one = Content(dtype)
        for piece in held.arrays[number : number + 1] or stored_pieces(local):
            one.add(piece, hashed=not held.digests, sums=sums)
        digest = held.digests[number] if held.digests else one.digest
        parts.append(Part(digest, _box(held.shape, window)))
        if local.numel():
            moments.append(one.moments)
            sizes.append(local.numel())
    known = [m for m in moments if m is not None]
    finite = bool(known) and len(known) == len(moments)
    return tuple(parts), pooled(known, tuple(sizes)) if finite else None


def stored_pieces(tensor: torch.Tensor) -> Iterator[npt.NDArray[Any]]:
    """A tensor's values as stored, in row-major order, some megabytes at a time, from whatever device."""
    whole = tensor.detach()
    if is_dtensor(whole):
        whole = whole.to_local()
    if whole.is_contiguous():
        flat = whole.reshape(-1)
        parts = (flat[begin : begin + _STEP] for begin in range(0, flat.numel(), _STEP))
    else:
        rows = max(1, _STEP // max(1, math.prod(whole.shape[1:])))
        parts = (whole[begin : begin + rows] for begin in range(0, whole.shape[0], rows))
    for part in parts:
        yield bits(part)


def bits(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """A tensor as an array of its stored bits (`penstock.ledger.elements`); a view where that can be."""
    values = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    stored = ELEMENTS[name_of(values.dtype)].stored
    if values.dtype is torch.bfloat16:
        return values.view(torch.int16).numpy().view(stored)
    if values.dtype.is_floating_point and values.element_size() == 1:
        return values.view(torch.uint8).numpy()
    return values.numpy()


def name_of(dtype: torch.dtype) -> str:
    """PyTorch's name of a type: "float32"."""
    return str(dtype).removeprefix("torch.")


def _box(shape: tuple[int, ...], window: Window | None) -> Box | None:
    if window is None or all(part.start == 0 and part.stop == size for part, size in zip(window, shape, strict=True)):
        return None
    return tuple((part.start, part.stop) for part in window)


def _persistent_buffers(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Buffers that a checkpoint holds, by their first name."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set and id(buffer) not in seen:
                seen.add(id(buffer))
                yield f"{path}.{name}" if path else name, buffer
