"""One operation that has just run, with what its operands hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from penstock.tracing.values import Signal, Value, Weight


@dataclass(frozen=True, slots=True)
class Call:
    """One operation that has just run."""

    op: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: tuple[torch.Tensor, ...]
    values: tuple[Value, ...]
    writes: bool

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The signals among the operands, in order."""
        return tuple(v for v in self.values if isinstance(v, Signal))

    @property
    def nodes(self) -> tuple[int, ...]:
        """The numbers of the signals among the operands, each once."""
        return tuple(dict.fromkeys(s.node for s in self.signals))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters among the operands, each once."""
        return tuple(dict.fromkeys(n for v in self.values if isinstance(v, Weight) for n in v.names))
