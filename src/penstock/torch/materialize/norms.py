"""Where the scale of a norm starts: at one in most classes, at zero in those that multiply by one plus it."""

from __future__ import annotations

import copy

import torch
from torch import nn

from penstock.torch.axis_roles import TABLE

ROWS = 4
WIDE = 4096
"""Wider norms are not tried out: their rows are cut to this."""


def starts_at(module: nn.Module, name: str) -> float:
    """1.0, or 0.0 for a norm whose output has RMS 1 where its scale is 0 (Gemma's multiplies by 1 + scale).

    A copy of the module without hooks is run on a few random rows with both values; the module itself is not touched,
    and may lie on the meta device. A class of torch.nn, and one that cannot be run so, starts at one.

    Args:
        module: the norm.
        name: of its scale.
    """
    if any(cls in TABLE for cls in type(module).__mro__):
        return 1.0
    size = {value: _rms(module, name, value) for value in (0.0, 1.0)}
    zero, one = size[0.0], size[1.0]
    return 0.0 if zero is not None and one is not None and abs(zero - 1.0) < abs(one - 1.0) else 1.0


class Norms:
    """The norms of a model: those of one class and shape, with the same plain attributes, are tried out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], float] = {}

    def starts_at(self, module: nn.Module, name: str) -> float:
        """See the function `starts_at`."""
        facts = tuple((key, value) for key, value in vars(module).items() if not key.startswith("_"))
        if not all(isinstance(value, bool | int | float | str | None) for _, value in facts):
            return starts_at(module, name)
        shapes = tuple((key, tuple(p.shape)) for key, p in module._parameters.items() if p is not None)
        kind = (type(module), name, shapes, facts)
        if kind not in self._known:
            self._known[kind] = starts_at(module, name)
        return self._known[kind]


def _rms(module: nn.Module, name: str, value: float) -> float | None:
    shapes = {key: tuple(p.shape) for key, p in module._parameters.items() if p is not None}
    if len(shapes.get(name, ())) != 1 or shapes[name][0] > WIDE * 16 or module._modules:
        return None
    twin = copy.copy(module)
    for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        object.__setattr__(twin, hooks, {})
    parameters = {key: nn.Parameter(torch.zeros(shape), requires_grad=False) for key, shape in shapes.items()}
    parameters[name].data.fill_(value)
    object.__setattr__(twin, "_parameters", parameters)
    rows = torch.randn(ROWS, shapes[name][0], generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            made = type(module).forward(twin, rows)
            return float(made.float().square().mean().sqrt())
    except Exception:  # a foreign class that wants other inputs: then nothing is known
        return None
