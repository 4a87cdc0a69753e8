"""Buffers, and parameters that their class computes: made again by known rules, or by calling the class again."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

FILLED_LIMIT = 2**25
"""Elements of the largest part of a model that is given memory beside it, for as long as it takes: 128 MiB."""


class Lost(NamedTuple):
    """A tensor on the meta device that is not drawn.

    Attributes:
        path: of its module; "" at the top.
        name: of the buffer, or of a plain attribute of the module.
        tensor: as it is.
    """

    path: str
    name: str
    tensor: torch.Tensor

    @property
    def full_name(self) -> str:
        """Path and name."""
        return f"{self.path}.{self.name}" if self.path else self.name


def lost_tensors(model: nn.Module) -> list[Lost]:
    """Every buffer, and every tensor that is a plain attribute of a module, without memory; each once."""
    found: dict[int, Lost] = {}
    for path, module in model.named_modules():
        tensors = {**module._buffers, **{n: v for n, v in module.__dict__.items() if isinstance(v, torch.Tensor)}}
        for name, tensor in tensors.items():
            if tensor is not None and tensor.is_meta:
                found.setdefault(id(tensor), Lost(path, name, tensor))
    return list(found.values())


def lost_parameters(model: nn.Module, names: Collection[str]) -> list[Lost]:
    """Parameters of these names that have no memory."""
    if not names:
        return []
    named = {name: p for name, p in model.named_parameters() if name in names and p.is_meta}
    return [Lost(name.rpartition(".")[0], name.rpartition(".")[2], parameter) for name, parameter in named.items()]


def recompute(model: nn.Module, lost: list[Lost], *, seed: int = 0) -> dict[str, torch.Tensor]:
    """The values of lost tensors, on the CPU, by full name; those that cannot be found are left out.

    Statistics of norms and numbered positions follow known rules. For all others the class of the module, or of the
    smallest part of the model around it for which this works, is called again with the arguments that it keeps as
    attributes of the same names; no memory is taken for weights, and what comes out must agree in names, shapes and
    plain numbers.
    Last, a model with a `_init_weights` (Hugging Face's) is asked to fill such a copy of a part, if that is small.

    Args:
        model: that they belong to.
        lost: which.
        seed: of what a class draws by itself; the global random state stays as it is.
    """
    values = {item.full_name: value for item in lost if (value := _known(model, item)) is not None}
    for filled in (False, True):
        tried: set[str] = set()
        for item in lost:
            for path in reversed(list(_upward(item.path))):
                if item.full_name in values:
                    break
                if path not in tried:
                    tried.add(path)
                    missing = [i for i in lost if i.full_name not in values]
                    values.update(_from_twin(model, path, missing, seed=seed, filled=filled))
    return values


def _known(model: nn.Module, item: Lost) -> torch.Tensor | None:
    module, shape, dtype = model.get_submodule(item.path), item.tensor.shape, item.tensor.dtype
    if isinstance(module, _NormBase):
        fill = {"running_mean": 0, "running_var": 1, "num_batches_tracked": 0}.get(item.name)
        return None if fill is None else torch.full(shape, fill, dtype=dtype)
    if dtype is torch.int64 and item.name == "position_ids" and math.prod(shape[:-1]) == 1:
        return torch.arange(shape[-1]).reshape(shape)
    return torch.zeros(shape, dtype=dtype) if dtype is torch.int64 and item.name == "token_type_ids" else None


def _upward(path: str) -> Iterator[str]:
    """The whole model, then ever smaller parts of it, down to the module itself."""
    parts = path.split(".") if path else []
    for length in range(len(parts) + 1):
        yield ".".join(parts[:length])


def _from_twin(model: nn.Module, path: str, lost: list[Lost], *, seed: int, filled: bool) -> dict[str, torch.Tensor]:
    """Values that lie in a part of the model made again; `filled` by the model's own initialization."""
    inside = [i for i in lost if not path or i.path == path or i.path.startswith(f"{path}.")]
    twin = _twin(model, path, seed=seed, filled=filled) if inside else None
    if twin is None:
        return {}
    found = {}
    for item in inside:
        below = item.path[len(path) :].lstrip(".")
        try:
            mine, other = model.get_submodule(item.path), twin.get_submodule(below)
        except AttributeError:
            continue
        value = other._parameters.get(item.name, other._buffers.get(item.name, other.__dict__.get(item.name)))
        if value is None or value.is_meta or value.shape != item.tensor.shape or not _agree(mine, other):
            continue
        if filled and bool(_unwritten(value).any()):
            continue
        # A model that was cast after it was made had its buffers cast, too.
        if value.dtype == item.tensor.dtype or (value.is_floating_point() and item.tensor.is_floating_point()):
            found[item.full_name] = value.detach().to(item.tensor.dtype)
    return found


def _twin(model: nn.Module, path: str, *, seed: int, filled: bool) -> nn.Module | None:
    """A module made by the same class with the same arguments; None where those are not known."""
    module = model.get_submodule(path)
    kind = _original_class(type(module))
    initialize = getattr(model, "_init_weights", None)
    size = sum(p.numel() for p in module.parameters())
    if filled and (not callable(initialize) or size > FILLED_LIMIT):
        return None
    arguments = _arguments(model, path, module, kind)
    if arguments is None:
        return None
    mode = contextlib.nullcontext() if filled else _NoWeights()
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
            torch.manual_seed(seed % 2**63)
            with mode:
                twin = kind(**arguments)
            if filled and callable(initialize):
                for part in [*twin.parameters(), *twin.buffers()]:
                    part.fill_(_sentinel(part.dtype))
                for part in reversed(list(twin.modules())):  # what is inside first, as the library does
                    initialize(part)
    except Exception:  # a foreign constructor: it may need anything; then this part cannot be made again
        return None
    return twin if _names(twin) == _names(module) else None


def _names(module: nn.Module) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(p.shape)) for name, p in module.named_parameters()}


def _sentinel(dtype: torch.dtype) -> float | int:
    if dtype.is_floating_point or dtype.is_complex:
        return math.nan
    return 0 if dtype is torch.bool else torch.iinfo(dtype).min


def _unwritten(value: torch.Tensor) -> torch.Tensor:
    sentinel = _sentinel(value.dtype)
    return value.isnan() if isinstance(sentinel, float) else value == sentinel


def _arguments(model: nn.Module, path: str, module: nn.Module, kind: type[nn.Module]) -> dict[str, Any] | None:
    """What the constructor got, read from attributes of the same names.

    A default is only taken where a configuration is among the arguments: then it is the configuration that says what
    is computed. `Rope(dim, base=500000)` that keeps neither could not be told from one with another base.
    """
    try:
        parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    except (TypeError, ValueError):
        return None
    arguments = {}
    configured = any(p.name == "config" for p in parameters)
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is parameter.VAR_KEYWORD or name in ("device", "dtype"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            return None
        value = _kept(model, path, module, name)
        if value is inspect.Parameter.empty and configured and parameter.default is not parameter.empty:
            continue
        if value is inspect.Parameter.empty:
            return None
        arguments[name] = value
    return arguments


def _kept(model: nn.Module, path: str, module: nn.Module, name: str) -> Any:
    if name in module.__dict__:
        return copy.deepcopy(value) if isinstance(value := module.__dict__[name], dict | list) else value
    if name in module._parameters:  # `bias=True`: the argument says whether there is such a parameter
        return module._parameters[name] is not None
    if name == "config":
        for above in reversed(list(_upward(path))):
            config = model.get_submodule(above).__dict__.get("config")
            if config is not None:
                return config
    return inspect.Parameter.empty


def _agree(first: nn.Module, second: nn.Module) -> bool:
    """Whether two modules have parameters of the same shapes, and the same numbers and texts as attributes."""
    shapes = [
        {name: None if p is None else tuple(p.shape) for name, p in module._parameters.items()}
        for module in (first, second)
    ]
    plain = (bool, int, float, str, tuple, type(None))
    ours = {n: v for n, v in first.__dict__.items() if isinstance(v, plain) and not n.startswith("_")}
    theirs = second.__dict__
    differing = [n for n, v in ours.items() if n in theirs and isinstance(theirs[n], plain) and theirs[n] != v]
    return shapes[0] == shapes[1] and set(differing) <= {"training"}


def _original_class(kind: type[nn.Module]) -> type[nn.Module]:
    """The class behind those that `fully_shard` and parametrizations put in front of it."""
    return next(c for c in kind.__mro__ if not c.__module__.startswith(("torch.distributed", "torch.nn.utils")))


# What initializers write with; without memory it does nothing, slowly.
_WRITES = frozenset("normal_ uniform_ trunc_normal_ zero_ zeros_ ones_ fill_ constant_ copy_ mul_ clamp_".split())


class _NoWeights(TorchFunctionMode):
    """`torch.empty` makes tensors without memory: weights are made by it, and then filled; buffers are computed."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        target = args[0] if args else kwargs.get("tensor")
        if getattr(func, "__name__", "") in _WRITES and isinstance(target, torch.Tensor) and target.is_meta:
            return target
        return func(*args, **kwargs)
