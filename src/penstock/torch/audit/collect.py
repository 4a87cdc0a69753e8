"""From a watched model to the history of each of its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from penstock.checks.thresholds import AUDIT_ROUNDING, AUDIT_SIGMAS
from penstock.provenance import History, Path, TensorRecord, Write
from penstock.torch.audit.measure import Moments, form_of, moments, twins
from penstock.torch.audit.recorder import Memory, Recorder


@dataclass(frozen=True, slots=True)
class Found:
    """What one path showed.

    Attributes:
        model: name of the model's class.
        tensors: what each tensor is, and on this path its history, under "direct" or "meta".
        seen: how many of them were made or written while they were watched.
    """

    model: str
    tensors: Mapping[str, TensorRecord]
    seen: int


def collect(model: nn.Module, recorder: Recorder, path: Path) -> Found:
    """The history of every parameter and buffer of a model that was made or initialized under a recorder."""
    named = _named(model)
    tensors = {name: tensor.detach() for name, (tensor, _) in named.items()}
    memories = {name: recorder.memory_of(tensor) for name, tensor in tensors.items()}
    measured = {name: moments(tensor) for name, tensor in tensors.items()}
    twin = twins({n: t for n, t in tensors.items() if _independent(named[n][0], memories[n])}, measured)
    missed = _missed(recorder, memories)
    found: dict[str, TensorRecord] = {}
    for name, (tensor, record) in named.items():
        history = _history(tensor, memories[name], measured[name], _chain(model, name))
        history = replace(history, twin=twin.get(name), missed=tuple(missed.get(name, ())))
        found[name] = replace(record, direct=history) if path == "direct" else replace(record, meta=history)
    seen = sum(memory is not None and (memory.blank or bool(memory.writes)) for memory in memories.values())
    return Found(type(model).__name__, found, seen)


def _independent(tensor: torch.Tensor, memory: Memory | None) -> bool:
    """Whether a tensor should differ from all others: drawn, trained, and no bias."""
    return tensor.dim() > 1 and tensor.requires_grad and memory is not None and memory.drawn


def merged(paths: Mapping[Path, Found]) -> dict[str, TensorRecord]:
    """The tensors of all paths as one table."""
    direct, meta = paths.get("direct"), paths.get("meta")
    table = dict(direct.tensors) if direct else {}
    for name, record in (meta.tensors if meta else {}).items():
        table[name] = replace(table[name], meta=record.meta) if name in table else record
    return table


def _named(model: nn.Module) -> dict[str, tuple[torch.Tensor, TensorRecord]]:
    """First name of each tensor -> the tensor, and what it is."""
    names: dict[int, list[str]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, tensor in (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ):
        names.setdefault(id(tensor), []).append(name)
        tensors[id(tensor)] = tensor
    passing = {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules(remove_duplicate=False)
        for name in module._non_persistent_buffers_set
    }
    return {
        same[0]: (
            tensors[key],
            TensorRecord(
                name=same[0],
                shape=tuple(tensors[key].shape),
                dtype=str(tensors[key].dtype).removeprefix("torch."),
                kind="parameter" if isinstance(tensors[key], nn.Parameter) else "buffer",
                persistent=not passing.issuperset(same),
                ties=tuple(same[1:]),
            ),
        )
        for key, same in names.items()
    }


def _chain(model: nn.Module, name: str) -> list[int]:
    """The ids of the modules that a tensor lies in, its owner first."""
    path = name.split(".")[:-1]
    modules = [model]
    for part in path:
        modules.append(modules[-1].get_submodule(part))
    return [id(module) for module in reversed(modules)]


def _history(tensor: torch.Tensor, memory: Memory | None, found: Moments, chain: list[int]) -> History:
    size = max(tensor.numel(), 1)
    writes: tuple[Write, ...] = ()
    if memory is not None:
        levels = [_level(frames, chain) for frames in memory.handlers]
        writes = tuple(_settled(w, i, levels, found, size) for i, w in enumerate(memory.writes))
    unwritten = found.unwritten / size
    if found.unwritten == 0 and memory is not None and memory.blank and not writes and not _has_sign(tensor):
        unwritten = 1.0
    # Only of matrices that nothing has written after the call that asks for it, and that are whole.
    last = writes[-1] if writes else None
    asked = last.form if last is not None and not last.reads and last.share >= 1.0 else None
    whole = tensor.dim() > 1 and tensor.numel() > 0 and not (found.unwritten or found.nonfinite)
    return History(
        writes=writes,
        unwritten=unwritten,
        nonfinite=min(found.nonfinite / size, 1.0),
        mean=found.mean,
        std=found.std,
        form=form_of(tensor, asked) if asked is not None and whole else None,
    )


def _level(frames: tuple[tuple[int, ...], ...], chain: list[int]) -> int | None:
    """How far above a tensor's owner the code stands that wrote it: 0 for code that handles the owner itself.

    What a module writes to its child's parameter it means for that child alone; what is written while the owner is
    handled is meant for all of its kind.
    """
    for modules in frames:
        levels = [chain.index(module) for module in modules if module in chain]
        if levels:
            return min(levels)
    return None


def _settled(write: Write, index: int, levels: list[int | None], now: Moments, size: int) -> Write:
    """A write is lost only if what replaced it is meant more generally, and gave values of another law."""
    if write.overwritten_by is None:
        return write
    mine, other = levels[index], levels[write.overwritten_by]
    lost = mine is not None and other is not None and mine > other and not _same_law(write, now, size)
    return write if lost else replace(write, overwritten_by=None)


def _same_law(write: Write, now: Moments, size: int) -> bool:
    """Whether mean and std then and now may be those of two draws of one law; of two equal constants."""
    spread = math.hypot(write.was_std, now.std)
    rounding = AUDIT_ROUNDING * max(abs(write.was_mean), abs(now.mean), write.was_std, now.std)
    means = abs(write.was_mean - now.mean) <= AUDIT_SIGMAS * spread / math.sqrt(size) + rounding
    return means and abs(write.was_std - now.std) <= AUDIT_SIGMAS * spread / math.sqrt(2 * size) + rounding


def _has_sign(tensor: torch.Tensor) -> bool:
    """Whether unwritten elements of this type can be known by their value; and whether there are any elements."""
    return tensor.numel() == 0 or tensor.layout != torch.strided or tensor.element_size() > 1


def _missed(recorder: Recorder, memories: Mapping[str, Memory | None]) -> dict[str, list[Write]]:
    """Tensor -> the writes that replaced values computed from it, and that no tensor of the model ever got."""
    owners = {memory.serial: name for name, memory in memories.items() if memory is not None}
    used = recorder.behind(set(owners))
    missed: dict[str, list[Write]] = {}
    for memory in recorder.memories:
        if memory.serial in used or not memory.origins:
            continue
        lost = [w for w in memory.writes if not w.made and not w.reads and w.share >= 1.0]
        if lost:
            for serial in _nearest(recorder, memory, owners):
                missed.setdefault(owners[serial], []).extend(lost)
    return missed


def _nearest(recorder: Recorder, memory: Memory, owners: Mapping[int, str]) -> set[int]:
    """The model's tensors that a memory was computed from, not looking behind them."""
    found: set[int] = set()
    seen: set[int] = set()
    waiting = list(memory.origins)
    while waiting:
        serial = waiting.pop()
        if serial in owners:
            found.add(serial)
        elif serial not in seen:
            seen.add(serial)
            waiting.extend(recorder.memories[serial].origins)
    return found
