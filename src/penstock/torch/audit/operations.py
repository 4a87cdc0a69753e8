"""What one of PyTorch's operations does to memory: what it writes, what it reads, whether it replaces or changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

# In place, but only of the tensor's shape, strides or flags.
_NO_WRITE = frozenset(
    "t_ transpose_ swapaxes_ swapdims_ squeeze_ unsqueeze_ detach_ requires_grad_ resize_ resize_as_ as_strided_ "
    "rename_ set_ refine_names_ _conj_physical_".split()
)
# Each element that is written gets a value that does not depend on what was there.
_OVERWRITES = frozenset(
    "fill_ zero_ copy_ normal_ uniform_ random_ bernoulli_ exponential_ geometric_ cauchy_ log_normal_ _foreach_zero_ "
    "_foreach_copy_ eye_ fill_diagonal_ index_fill_ index_copy_ index_put_ scatter_ masked_fill_ "
    "masked_scatter_ put_".split()
)
# Each makes memory that holds nothing yet.
_EMPTY = frozenset(
    "empty empty_like empty_strided new_empty new_empty_strided empty_permuted _empty_affine_quantized".split()
)
# The values of what these are given do not enter what they make.
_FORGETS = frozenset(
    "zeros_like ones_like rand_like randn_like randint_like full_like new_zeros new_ones new_full".split()
)
# What PyTorch's methods call the numbers that initializers call a, b and val.
_RENAMED = {"from": "a", "to": "b", "value": "val"}


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation does.

    Attributes:
        name: without overload: "normal_".
        is_mutable: writes in place, or says so.
        places: (index, name) of each argument that is written.
        names: of all arguments.
        overwrites: what is written does not depend on what was there.
        is_empty: makes memory that holds nothing yet.
        is_fresh: makes new memory although it returns that of its argument.
        keeps_values: the values of its arguments enter what it makes.
        draws: from a random generator.
    """

    name: str
    is_mutable: bool
    places: tuple[tuple[int, str], ...]
    names: tuple[str, ...]
    overwrites: bool
    is_empty: bool
    is_fresh: bool
    keeps_values: bool
    draws: bool

    def written(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """The tensors that a call writes to."""
        return [t for place in self.places for t in _tensors(_argument(place, args, kwargs))]

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """The other tensors of a call."""
        places = [p for p in enumerate(self.names) if p not in self.places]
        return [t for place in places for t in _tensors(_argument(place, args, kwargs))]

    def numbers(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers of a call (also tensors without axes), under the names that initializers use."""
        found: dict[str, Any] = {}
        for place in enumerate(self.names):
            value = _argument(place, args, kwargs)
            if isinstance(value, torch.Tensor) and place not in self.places and value.dim() == 0 and not value.is_meta:
                value = value.item()
            if not isinstance(value, torch.Tensor):
                found[_RENAMED.get(place[1], place[1])] = value
        return found


@lru_cache(maxsize=2048)
def operation_of(func: Any) -> Operation:
    """What one of PyTorch's operator overloads does."""
    schema = getattr(func, "_schema", None)
    if schema is None:  # control flow and the like: functions of functions
        return Operation(str(func), False, (), (), False, False, False, True, False)
    name = schema.name.partition("::")[2]
    written = tuple(
        (index, argument.name)
        for index, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )
    is_out = any(argument.is_out for argument in schema.arguments)
    return Operation(
        name="tensor" if name == "lift_fresh" else name,
        is_mutable=schema.is_mutable,
        places=() if name in _NO_WRITE else written,
        names=tuple(argument.name for argument in schema.arguments),
        overwrites=name in _OVERWRITES or is_out,
        is_empty=name in _EMPTY,
        # torch.tensor and torch.from_numpy make their memory where no operation is seen.
        is_fresh=name == "lift_fresh",
        keeps_values=name not in _FORGETS,
        draws=torch.Tag.nondeterministic_seeded in func.tags,
    )


def _argument(place: tuple[int, str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    index, name = place
    return args[index] if index < len(args) else kwargs.get(name)


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [item for item in value if isinstance(item, torch.Tensor)]
    return []
