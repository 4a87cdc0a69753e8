"""Which framework a model belongs to, told without importing any.

An object proves that its framework is loaded, so only frameworks that are already loaded are asked. The adapter is
then imported by name: the arrow points at whatever the user brought, not at PyTorch.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Protocol, cast

from penstock.errors import UnsupportedError, message

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from penstock.fan_table import FansTable
    from penstock.inputs import InputSpec
    from penstock.planning.plan import Initialization, Plan
    from penstock.quadrature import Function
    from penstock.report.report import Report


class Adapter(Protocol):
    """What each framework's adapter module offers."""

    def owns(self, thing: Any) -> bool:
        """Whether this is a model, layer, tensor or function of the framework."""
        ...

    def check(self, model: Any, batch: Any, *, loss: Any = None) -> Report:
        """See `penstock.check`."""
        ...

    def plan(self, model: Any, batch: Any, *, loss: Any = None, keep: Sequence[str] = ()) -> Plan:
        """See `penstock.plan`."""
        ...

    def apply(self, plan: Plan, model: Any, *, seed: int = 0) -> None:
        """See `penstock.Plan.apply`."""
        ...

    def initialize(
        self, model: Any, batch: Any, *, loss: Any = None, seed: int = 0, keep: Sequence[str] = ()
    ) -> Initialization:
        """See `penstock.initialize`."""
        ...

    def fans(self, model: Any) -> FansTable:
        """See `penstock.fans`."""
        ...

    def guess_input(self, model: Any) -> InputSpec | None:
        """An input that the model's first layer takes; None where that cannot be told."""
        ...

    def tensor(self, values: npt.NDArray[Any], dtype: str) -> Any:
        """An array as one of the framework's tensors, in the type of that name."""
        ...

    def save(self, model: Any, path: str) -> None:
        """Write the model's weights to a safetensors file."""
        ...

    def scalar_function(self, function: Any) -> tuple[Function, str]:
        """A function of the framework's tensors as one of float64 arrays, and its name."""
        ...


ADAPTERS = {"torch": "penstock.torch.adapter"}
"""Framework -> the module that adapts it."""


def adapter_of(thing: Any, function: str) -> Adapter:
    """The adapter of the framework that `thing` belongs to.

    Args:
        thing: a model, a layer or a tensor.
        function: the public function that was called, for the message.

    Raises:
        UnsupportedError: if no loaded framework owns it.
    """
    adapter = find_adapter(thing)
    call = "fans(torch.nn.Linear(3, 4))" if function == "fans" else f"{function}(torch.nn.Sequential(...), batch)"
    if adapter is None:
        raise UnsupportedError(
            message(
                f"{function}: model must be a model of a supported framework ({', '.join(ADAPTERS)}); "
                f"got {'the class ' if isinstance(thing, type) else ''}"
                f"{thing.__name__ if isinstance(thing, type) else type(thing).__name__}.",
                hint=f"penstock.{call}"
                + (" with an instance: call the class first" if isinstance(thing, type) else ""),
            )
        )
    return adapter


def find_adapter(thing: Any) -> Adapter | None:
    """The adapter of the framework that `thing` belongs to, None if no loaded framework owns it."""
    for framework, module in ADAPTERS.items():
        if framework in sys.modules:
            adapter = cast("Adapter", importlib.import_module(module))
            if adapter.owns(thing):
                return adapter
    return None
