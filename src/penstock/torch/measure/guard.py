"""Hand a model back exactly as it came, whatever happens in between.

Parameters are not copied up front (that would double the memory of a large model): the tracer calls
`Guard.before_write` before an operation writes to one, so only what is written is kept.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

_MODULE_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
_AUTOGRAD_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


class Guard:
    """What is needed to put a model back: attributes, buffers, gradients, hooks on parameters.

    Args:
        model: the model to protect.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = list(model.modules())
        self._attributes = [_Attributes(module) for module in self._modules]
        self._buffers = [(b, b.detach().clone()) for b in model.buffers() if not b.is_meta]
        self._parameters = list(model.parameters())
        self._grads = [p.grad for p in self._parameters]
        self._flags = [p.requires_grad for p in self._parameters]
        self._hooks = [tuple(getattr(p, name, None) for name in _AUTOGRAD_HOOKS) for p in self._parameters]
        self._storages = {_storage(p): p for p in self._parameters if not p.is_meta}
        self._written: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def quiet(self) -> None:
        """Take gradients and the user's gradient hooks off, so that our backward triggers nothing of theirs."""
        for p in self._parameters:
            p.grad = None
            for name in _AUTOGRAD_HOOKS:
                if getattr(p, name, None):
                    setattr(p, name, None)
        for module in self._modules:
            for name in _MODULE_HOOKS:
                getattr(module, name, {}).clear()

    def before_write(self, tensor: torch.Tensor) -> None:
        """Keep a copy of the parameter that `tensor` shares memory with, if it is one, before its first change."""
        storage = _storage(tensor)
        if storage in self._storages and storage not in self._written:
            parameter = self._storages[storage]
            self._written[storage] = (parameter, parameter.detach().clone())

    def restore(self) -> None:
        """Put everything back."""
        with torch.no_grad():
            for attributes in self._attributes:
                attributes.put_back()
            for buffer, copy in self._buffers:
                if not torch.equal(buffer, copy):
                    buffer.detach().copy_(copy)
            for parameter, copy in self._written.values():
                parameter.detach().copy_(copy)
        for p, grad, flag, hooks in zip(self._parameters, self._grads, self._flags, self._hooks, strict=True):
            if p.requires_grad != flag:
                p.requires_grad_(flag)
            p.grad = grad
            for name, hook in zip(_AUTOGRAD_HOOKS, hooks, strict=True):
                if getattr(p, name, None) is not hook:
                    setattr(p, name, hook)


@contextmanager
def untouched(model: nn.Module) -> Iterator[Guard]:
    """Within this block a model may be run and differentiated; after it, it is bit for bit what it was.

    Weights, buffers (also those that the forward pass rebinds), gradients, requires_grad, training flags, module
    attributes, hooks and the global random states (PyTorch's of the CPU and of the model's CUDA devices, NumPy's and
    Python's) come back, also after an exception.
    """
    guard = Guard(model)
    others = random.getstate(), np.random.get_state()  # noqa: NPY002  a model may draw from the global state
    devices = sorted(
        {p.device.index for p in model.parameters() if p.device.type == "cuda" and p.device.index is not None}
    )
    with torch.random.fork_rng(devices=devices):
        try:
            guard.quiet()
            yield guard
        finally:
            guard.restore()
            random.setstate(others[0])
            np.random.set_state(others[1])  # noqa: NPY002  as above


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Attributes:
    """A module's attributes, and what its containers held: hooks, children and buffers live one level down."""

    def __init__(self, module: nn.Module) -> None:
        self._home = module.__dict__
        self._values = dict(self._home)
        self._contents = {k: v.copy() for k, v in self._home.items() if type(v) in _CONTAINERS}

    def put_back(self) -> None:
        # The same container objects must come back, since others may hold them (a hook's handle does).
        for name, content in self._contents.items():
            container = self._values[name]
            if _identities(container) == _identities(content):
                continue
            container.clear()
            (container.extend if isinstance(container, list) else container.update)(content)
        self._home.clear()
        self._home.update(self._values)


def _identities(container: dict[object, object] | list[object] | set[object]) -> list[tuple[int, int]]:
    """What a container holds, by identity: its tensors must not be compared by value."""
    if isinstance(container, dict):
        return [(id(key), id(value)) for key, value in container.items()]
    return [(id(item), 0) for item in container]


_CONTAINERS = (dict, list, set, OrderedDict)
