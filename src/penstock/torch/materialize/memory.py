"""Give a module's tensors memory, and put everything back where it fails."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from penstock.errors import UnsupportedError, message
from penstock.torch.init.shards import is_dtensor

_LARGE = 4 * 2**20
"""Bytes from which memory is asked for in large pages (two of 2 MiB: NumPy's threshold too)."""
_MADV_HUGEPAGE = 14
"""Linux's number for "back this range with large pages"."""


@contextmanager
def restored_on_failure(model: nn.Module) -> Iterator[None]:
    """If the block fails, the model has the tensors that it had, with the values that they had.

    Tensors on the meta device cost nothing; of those that have memory a copy is kept until the block ends.
    """
    modules = [(m, dict(m._parameters), dict(m._buffers), dict(m.__dict__)) for m in model.modules()]
    values = [(p, p.detach().clone()) for p in model.parameters() if not is_lazy(p) and not p.is_meta]
    try:
        yield
    except BaseException:
        for module, parameters, buffers, attributes in modules:
            module._parameters.clear()
            module._parameters.update(parameters)
            module._buffers.clear()
            module._buffers.update(buffers)
            for name, value in attributes.items():
                if isinstance(value, torch.Tensor):
                    module.__dict__[name] = value
        with torch.no_grad():
            for parameter, before in values:
                parameter.detach().copy_(before)
        raise


def check_kinds(model: nn.Module) -> None:
    """Find parameters that cannot be given memory one by one.

    Raises:
        UnsupportedError: if there are any, with the way out.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise UnsupportedError(
                message(
                    f"materialize: {name!r} has no shape yet: its layer is made at the first call.", hint="model(batch)"
                )
            )
        if type(parameter).__name__ == "FlatParameter" or name.rpartition(".")[2] == "_flat_param":
            raise UnsupportedError(
                message(
                    f"materialize: {name!r} is a flat parameter of FullyShardedDataParallel: its shapes are lost.",
                    hint="penstock.materialize(model, seed=0) before wrapping, or torch.distributed.fsdp.fully_shard",
                )
            )
        if not is_dtensor(parameter) and type(parameter) is not nn.Parameter and parameter.is_meta:
            raise UnsupportedError(
                message(
                    f"materialize: {name!r} must be a plain parameter or a DTensor; got {type(parameter).__name__}.",
                    hint=f"penstock.materialize(model, seed=0, skip=[{name!r}])  # if a checkpoint loads it",
                )
            )


def with_memory(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the same kind, shape and layout over ranks, with memory that nobody has written yet."""
    # Without autograd, and told the order, PyTorch asks less of a DTensor: a third of the time.
    order = torch.contiguous_format if tensor.is_contiguous() else torch.preserve_format
    with torch.no_grad():
        made = torch.empty_like(tensor, device=device, memory_format=order)
    _ask_for_large_pages(local_part(made))
    if not isinstance(tensor, nn.Parameter):
        return made
    parameter = nn.Parameter(made, requires_grad=tensor.requires_grad)
    # Marks that other libraries leave on parameters (tensor parallelism, learning rates) stay.
    for name, mark in vars(tensor).items():
        setattr(parameter, name, mark)
    return parameter


def _ask_for_large_pages(memory: torch.Tensor) -> None:
    """Let Linux back large memory that nobody has touched 2 MiB at a time, as NumPy does with its own.

    The first touch of 4 KiB pages takes longer than drawing the weights that go into them. It is a hint: nothing
    depends on whether the system follows it.
    """
    size = memory.numel() * memory.element_size()
    advise = _madvise() if memory.device.type == "cpu" and size >= _LARGE else None
    if advise is not None:
        # The call wants the start of a page; what comes before it is the allocator's.
        start = -(-memory.data_ptr() // 4096) * 4096
        advise(start, memory.data_ptr() + size - start, _MADV_HUGEPAGE)


@cache
def _madvise() -> Callable[[int, int, int], int] | None:
    """The C library's `madvise`, on Linux."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            call = ctypes.CDLL(None).madvise
            call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
            return call
    return None


def put(model: nn.Module, new: dict[int, torch.Tensor]) -> None:
    """Replace tensors by id, wherever in the model they stand: ties stay ties."""
    for module in model.modules():
        for table in (module._parameters, module._buffers):
            for name, old in table.items():
                if old is not None and id(old) in new:
                    table[name] = new[id(old)]  # type: ignore[assignment]  (parameters by parameters, buffers by buffers)
        for name, value in list(module.__dict__.items()):
            if isinstance(value, torch.Tensor) and id(value) in new:
                module.__dict__[name] = new[id(value)]


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """What this rank holds of a tensor, without its gradient."""
    with torch.no_grad():  # a DTensor's local part is then no view of it: `detach` would cost more than all else here
        return tensor.to_local() if is_dtensor(tensor) else tensor.detach()


def local_bytes(tensor: torch.Tensor) -> int:
    """Bytes that this rank holds of a tensor."""
    return (local := local_part(tensor)).numel() * local.element_size()


def fill_with_nan(tensor: torch.Tensor) -> None:
    """Memory that a checkpoint will fill: NaN until then, or the smallest integer; never a plausible weight."""
    local = local_part(tensor)
    with torch.no_grad():
        if local.is_floating_point() or local.is_complex():
            local.fill_(float("nan"))
        else:
            local.fill_(False if local.dtype is torch.bool else torch.iinfo(local.dtype).min)
