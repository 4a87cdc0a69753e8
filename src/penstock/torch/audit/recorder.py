"""Record which call wrote to which memory while a model is made or initialized.

Memory is known by its storage, which gets a serial number when an operation makes it; what is made from what is kept as
edges between these numbers. Only the values of a storage are freed while this records, not its address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from penstock.provenance import Write
from penstock.torch.audit import sentinel
from penstock.torch.audit.asked import Asked, asked_by, asked_of
from penstock.torch.audit.measure import moments
from penstock.torch.audit.operations import Operation, operation_of
from penstock.torch.audit.sites import Call, calling, modules_in


@dataclass(slots=True)
class Memory:
    """One storage.

    Attributes:
        serial: its number.
        size: bytes.
        hold: keeps the address from being given to another storage; holds no values.
        writes: the calls that wrote to it, in order.
        origins: serial numbers of what it was computed from when it was made.
        sources: serial numbers of what its values come from now.
        begun: number of the call that each write belongs to.
        handlers: ids of the modules in the variables of the frames behind each write; () where the tensor was made.
        blank: it was made without values, and nothing but writes gives it some.
        drawn: random numbers went into it.
    """

    serial: int
    size: int
    hold: StorageWeakRef
    writes: list[Write] = field(default_factory=list)
    origins: frozenset[int] = frozenset()
    sources: set[int] = field(default_factory=set)
    begun: list[int] = field(default_factory=list)
    handlers: list[tuple[tuple[int, ...], ...]] = field(default_factory=list)
    blank: bool = False
    drawn: bool = False


class Recorder(TorchDispatchMode):
    """Records while it is active; `torch.empty` and its like are filled with the sentinel."""

    def __init__(self) -> None:
        super().__init__()
        self.memories: list[Memory] = []
        self._by_address: dict[int, Memory] = {}
        self._call_number = 0
        self._running: tuple[FrameType | None, int] = (None, 0)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch would import its compiler (seconds) only to keep it away from this class."""
        return False

    # -- what the caller uses ------------------------------------------------------------------------------

    def adopt(self, tensor: torch.Tensor, *, blank: bool) -> None:
        """Begin the record of memory that was made outside; `blank` says that it holds nothing yet."""
        memory = self._new(tensor)
        if memory is not None:
            memory.blank = blank

    def memory_of(self, tensor: torch.Tensor) -> Memory | None:
        """The record of a tensor's memory; None where no operation made it while this was active."""
        address = _address(tensor)
        return None if address is None else self._by_address.get(address)

    def behind(self, serials: set[int]) -> set[int]:
        """Everything whose values went into one of these memories, themselves included."""
        seen: set[int] = set()
        waiting = list(serials)
        while waiting:
            serial = waiting.pop()
            if serial not in seen:
                seen.add(serial)
                waiting.extend(self.memories[serial].sources)
        return seen

    def forget_frames(self) -> None:
        """Let go of the last call's frame, which keeps its local variables alive."""
        self._running = (None, 0)

    # -- recording -----------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        operation = operation_of(func)
        written = [t for t in operation.written(args, kwargs) if not t.is_meta]
        if not written:
            result = func(*args, **kwargs)
            if not operation.is_mutable:
                self._made(operation, args, kwargs, result)
            return result
        call = calling()
        number = self._number(call)
        before = [(t, self._lost_moments(t, operation, call, number)) for t in written]
        result = func(*args, **kwargs)
        sources = self._serials(operation.read(args, kwargs))
        asked = asked_by(call.initializers) if call.initializers else _plainly(operation, args, kwargs)
        for tensor, was in before:
            self._wrote(tensor, operation, sources, was, call, number, asked)
        return result

    def _made(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        read = [t for t in _tensors((args, kwargs)) if not t.is_meta]
        known = {_address(t) for t in read}
        for tensor in _tensors(result):
            if tensor.is_meta or (_address(tensor) in known and not operation.is_fresh):
                continue
            memory = self._new(tensor)
            if memory is None:
                continue
            if operation.is_empty:
                memory.blank = True
                sentinel.fill(tensor)
                continue
            if operation.keeps_values:
                self._enters(self._serials(read), memory)
                memory.origins = frozenset(memory.sources)
            memory.drawn |= operation.draws
            call = calling()
            text = self._chain(operation.name, memory, call)
            memory.writes.append(Write(call.writer, call.site, text, made=True, builtin=call.builtin))
            memory.begun.append(self._number(call))
            memory.handlers.append(())

    def _wrote(
        self,
        tensor: torch.Tensor,
        operation: Operation,
        sources: set[int],
        was: tuple[float, float] | None,
        call: Call,
        number: int,
        asked: Asked,
    ) -> None:
        memory = self.memory_of(tensor) or self._new(tensor)
        if memory is None:
            return
        reads = not operation.overwrites or memory.serial in self.behind(sources)
        share = min(tensor.numel() * tensor.element_size() / memory.size, 1.0) if memory.size else 1.0
        if share >= 1.0 and not reads:
            memory.sources.clear()
            memory.drawn = False
        self._enters(sources, memory)
        memory.drawn |= operation.draws
        if memory.begun and memory.begun[-1] == number and (reads or not memory.writes[-1].made):
            last = memory.writes[-1]
            known = call.initializers or operation.name in last.asked
            text = last.asked if known else f"{last.asked}, {operation.name}"
            memory.writes[-1] = replace(last, share=min(last.share + share, 1.0), asked=text)
            return
        if was is not None and share >= 1.0 and not reads:
            memory.writes = [_overwritten(w, len(memory.writes), was) for w in memory.writes]
        memory.writes.append(
            Write(
                call.writer,
                call.site,
                asked.text,
                asked.mean,
                asked.std,
                share=share,
                reads=reads,
                builtin=call.builtin,
                form=asked.form,
            )
        )
        memory.begun.append(number)
        memory.handlers.append(() if call.builtin else modules_in(call.users))

    def _lost_moments(
        self, tensor: torch.Tensor, operation: Operation, call: Call, number: int
    ) -> tuple[float, float] | None:
        """Moments of values, written on purpose by another call, that an operation is about to replace."""
        memory = self.memory_of(tensor) if operation.overwrites else None
        if memory is None or not memory.begun or memory.begun[-1] == number:
            return None
        if not any(not w.made and not w.builtin and w.site != call.site for w in memory.writes):
            return None
        found = moments(tensor)
        return found.mean, found.std

    def _chain(self, name: str, memory: Memory, call: Call) -> str:
        """The operations behind a new tensor that stand on the same line: "randn, mul"."""
        before = [self.memories[s].writes[-1] for s in sorted(memory.sources) if self.memories[s].writes]
        same = [w.asked for w in before if w.site == call.site and w.made]
        if name in ("clone", "_to_copy") and before and not same:
            return f"copy of {before[-1].asked}"
        words = [word for text in same[-2:] for word in text.split(", ")]
        return ", ".join(dict.fromkeys([*words[-3:], name]))

    def _new(self, tensor: torch.Tensor) -> Memory | None:
        address = _address(tensor)
        if address is None:
            return None
        storage = tensor.untyped_storage()
        memory = Memory(len(self.memories), storage.nbytes(), StorageWeakRef(storage))
        self.memories.append(memory)
        self._by_address[address] = memory
        return memory

    def _enters(self, sources: set[int], memory: Memory) -> None:
        """Say that values of some memories went into another one."""
        memory.sources |= sources - {memory.serial}
        memory.drawn |= any(self.memories[s].drawn for s in sources)

    def _number(self, call: Call) -> int:
        if call.key[0] is None or call.key[0] is not self._running[0] or call.key[1] != self._running[1]:
            self._call_number += 1
            self._running = call.key
        return self._call_number

    def _serials(self, tensors: list[torch.Tensor]) -> set[int]:
        return {memory.serial for t in tensors if (memory := self.memory_of(t)) is not None}


def _overwritten(write: Write, by: int, was: tuple[float, float]) -> Write:
    if write.overwritten_by is not None or write.made or write.builtin or write.reads:
        return write
    return replace(write, overwritten_by=by, was_mean=was[0], was_std=was[1])


def _plainly(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
    """What a tensor method asks for: its numbers under the names that initializers use."""
    return asked_of(operation.name, operation.numbers(args, kwargs))


def _tensors(value: Any) -> list[torch.Tensor]:
    return list(_walk(value))


def _walk(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _walk(item)


def _address(tensor: torch.Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse tensors have none
        return None
