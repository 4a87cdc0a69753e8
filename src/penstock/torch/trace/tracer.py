"""Run a model once and record every tensor operation, below autograd, as it runs.

Working at the level of operators sees through functional code, dynamic control flow, scripted functions and custom
autograd functions alike. What the operations mean is decided here one at a time; `simplify` then joins them to the
regions of the graph's vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from penstock.torch.trace import ops
from penstock.torch.trace.interpret import interpret
from penstock.torch.trace.recurrent import record_recurrent
from penstock.torch.trace.values import ValueTable
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Constant, Signal, Value


class Meter(Protocol):
    """What wants to see each signal as it is made."""

    def forward(self, number: int, tensor: torch.Tensor, unit_axis: int | None) -> None:
        """A signal was made, whose units lie along an axis."""
        ...

    def hook(self, number: int, tensor: torch.Tensor) -> None:
        """A signal has got its place in the autograd graph."""
        ...


Intervene = Callable[[Step, int, torch.Tensor], None]


class Tracer(TorchDispatchMode):
    """Records operations while it is active.

    Args:
        model: the model that will run.
        meter: told of each signal; None to trace only.
        before_write: told of each tensor that an operation is about to change.
        intervene: called with each new signal; may change its tensor in place (calibration does).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        meter: Meter | None = None,
        before_write: Callable[[torch.Tensor], None] | None = None,
        intervene: Intervene | None = None,
    ) -> None:
        super().__init__()
        named = dict(model.named_parameters())
        self.recording = Recording()
        self.values = ValueTable(named)
        self.muted = False
        self._meter = meter
        self._before_write = before_write
        self._intervene = intervene
        self._shapes = {name: tuple(p.shape) for name, p in named.items()}
        self._names = {id(module): name for name, module in reversed(list(model.named_modules()))}
        self._stack: list[str] = [""]
        self._pending: list[tuple[int, torch.Tensor]] = []
        self._unhooked: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch would import its compiler (seconds) only to keep it away from this class."""
        return False

    # -- what the caller uses ------------------------------------------------------------------------------

    @contextmanager
    def active(self) -> Iterator[Tracer]:
        """Record within this block; module paths and recurrent layers are followed too."""
        before = module_hooks.register_module_forward_pre_hook(self._enter)
        after = module_hooks.register_module_forward_hook(self._leave, always_call=True)
        try:
            with _Recurrent(self), self:
                yield self
        finally:
            before.remove()
            after.remove()
            self._flush()

    def add_input(self, name: str, tensor: torch.Tensor) -> None:
        """Declare one of the user's input tensors."""
        number = self._append(Step("input", name, (), ""), tensor)
        is_signal = tensor.is_floating_point() or tensor.is_complex()
        self.values.set(tensor, Signal(number) if is_signal else Constant((number,)))

    def signal(self, tensor: torch.Tensor) -> int | None:
        """The number of the signal that a tensor holds, None if it holds none."""
        value = self.values.get(tensor)
        return value.node if isinstance(value, Signal) else None

    # -- recording ----------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._flush()
        if self._before_write is not None and func._schema.is_mutable:
            for place, spec in enumerate(func._schema.arguments):
                argument = args[place] if place < len(args) else kwargs.get(spec.name)
                if spec.alias_info is not None and spec.alias_info.is_write and isinstance(argument, torch.Tensor):
                    self._before_write(argument)
        result = func(*args, **kwargs)
        if self.muted:
            return result
        interpret(self, func, args, kwargs, result)
        return result

    def read(self, tensor: torch.Tensor) -> Value:
        """What an operand holds."""
        value = self.values.get(tensor)
        if isinstance(value, Signal) and value.node in self._unhooked and tensor.requires_grad:
            # Made inside a custom autograd function: only now does it have its place in the graph.
            self._unhooked.discard(value.node)
            if self._meter is not None:
                self._meter.hook(value.node, tensor)
        return value

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of a parameter."""
        return self._shapes[name]

    def add(self, step: Step, tensor: torch.Tensor, *, write: bool = False) -> None:
        """Record a step that made `tensor`; with `write`, in memory that others may see."""
        number = self._append(step, tensor)
        if self._intervene is not None:
            self._intervene(step, number, tensor)
        self.hold(tensor, Signal(number, step.unit_axes), write=write)

    def hold(self, tensor: torch.Tensor, value: Value, *, write: bool = False) -> None:
        """Say what a tensor holds; with `write`, in memory that others may see."""
        (self.values.wrote if write else self.values.set)(tensor, value)

    def add_unseen(self, step: Step) -> int:
        """Record a step whose result no tensor shows (inside a recurrent layer); returns its number."""
        return self._append(step, None)

    def _append(self, step: Step, tensor: torch.Tensor | None) -> int:
        shape = () if tensor is None or tensor.is_nested else tuple(tensor.shape)
        number = self.recording.add(step, shape, self._stack[-1])
        if self._meter is not None and tensor is not None:
            self._meter.forward(number, tensor, step.unit_axis)
            self._pending.append((number, tensor))
        return number

    def _flush(self) -> None:
        """Autograd gives a tensor its place only after the operation: so hooks are set one operation later."""
        if self._meter is None:
            return
        pending, self._pending = self._pending, []
        for number, tensor in pending:
            if tensor.requires_grad:
                self._meter.hook(number, tensor)
            else:
                self._unhooked.add(number)

    # -- module paths ---------------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        self._stack.append(self._names.get(id(module), self._stack[-1]))

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if len(self._stack) > 1:
            self._stack.pop()

    @property
    def path(self) -> str:
        """Where in the model the running operation stands."""
        return self._stack[-1]


class _Recurrent(TorchFunctionMode):
    """Sees recurrent layers and cells as one operation, and mutes what they are made of."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name not in ops.RECURRENT or self._tracer.muted:
            return func(*args, **(kwargs or {}))
        self._tracer.muted = True
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self._tracer.muted = False
        record_recurrent(self._tracer, name, args, result)
        return result
