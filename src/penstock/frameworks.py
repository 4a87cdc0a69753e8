"""Which framework a model belongs to, told without importing any.

An object proves that its framework is loaded, so only frameworks that are already loaded are asked. The adapter is
then imported by name: the arrow points at whatever the user brought, not at PyTorch.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from penstock.errors import ArgumentError, UnsupportedError, message

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from penstock.fan_table import FansTable
    from penstock.inputs import InputSpec
    from penstock.ledger.book import Ledger
    from penstock.planning.initialization import Initialization
    from penstock.planning.plan import Plan
    from penstock.quadrature import Function
    from penstock.racing.arm import Course, Spent, Survey, Task, Trained
    from penstock.racing.data import Data
    from penstock.recipes.recipe import Recipe
    from penstock.report.audit_report import AuditReport
    from penstock.report.ranks_report import RanksReport
    from penstock.report.report import Report


@dataclass(frozen=True)
class Applied:
    """A model that keeps its parameters apart: a function of them and of inputs.

    Attributes:
        function: called as `function(params, *inputs)`.
        params: any tree of arrays.
    """

    function: Callable[..., Any]
    params: Any


class Adapter(Protocol):
    """What each framework's adapter module offers."""

    @property
    def watches_building(self) -> bool:
        """Whether an audit can watch how a model of the framework is built."""
        ...

    @property
    def builds_from_key(self) -> bool:
        """Whether a function that makes one of its models may take a random key."""
        ...

    @property
    def races(self) -> bool:
        """Whether it can train models for `penstock.race`."""
        ...

    @property
    def file_reader(self) -> str:
        """The call that reads what `save` wrote, with {path} for the file."""
        ...

    def owns(self, thing: Any) -> bool:
        """Whether this is a model, layer, tensor or function of the framework."""
        ...

    def is_model(self, thing: Any) -> bool:
        """Whether this is a model, or what stands for one: a function beside its parameters."""
        ...

    def with_parameters(self, model: Any, batch: Any, *, seed: int) -> Any:
        """What `is_model` knows, as the other functions take it; a model that has no parameters yet makes them."""
        ...

    def check(self, model: Any, batch: Any, *, loss: Any = None) -> Report:
        """See `penstock.check`."""
        ...

    def audit(self, model_or_factory: Any, batch: Any = None) -> AuditReport:
        """See `penstock.audit`."""
        ...

    def plan(
        self,
        model: Any,
        batch: Any,
        *,
        loss: Any = None,
        keep: Sequence[str] = (),
        recipe: Any = "auto",
        names: Mapping[str, str] | None = None,
    ) -> Plan:
        """See `penstock.plan`."""
        ...

    def apply(self, plan: Plan, model: Any, *, seed: int = 0) -> Ledger:
        """See `penstock.Plan.apply`."""
        ...

    def initialize(
        self,
        model: Any,
        batch: Any,
        *,
        loss: Any = None,
        seed: int = 0,
        keep: Sequence[str] = (),
        recipe: Any = "auto",
        names: Mapping[str, str] | None = None,
        learning_rate: bool | str = False,
    ) -> Initialization:
        """See `penstock.initialize`."""
        ...

    def materialize(
        self,
        model: Any,
        *,
        seed: int,
        plan: Plan | Mapping[str, Recipe] | None = None,
        device: Any = "cpu",
        skip: Sequence[str] = (),
        progress: Callable[[int, int, str], None] | None = None,
        group: Any = None,
        timeout: float = 300.0,
    ) -> Ledger:
        """See `penstock.materialize`."""
        ...

    def check_ranks(self, model: Any, *, group: Any = None, timeout: float = 300.0) -> RanksReport:
        """See `penstock.check_ranks`."""
        ...

    def param_groups(
        self,
        plan: Plan,
        model: Any,
        *,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        weight_decay: float | None = None,
    ) -> list[dict[str, Any]]:
        """See `penstock.Plan.param_groups`."""
        ...

    def check_weights(
        self, path: str | os.PathLike[str], *, ledger: Ledger | None = None, allow_pickle: bool = False
    ) -> RanksReport:
        """See `penstock.check_weights`."""
        ...

    def fans(self, model: Any, batch: Any = None) -> FansTable:
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

    def race_data(self, given: Any, *, steps: int, batch_size: int | None, own_loss: bool) -> Data | None:
        """One of the framework's data sets or loaders as data of a race; None for anything else."""
        ...

    def survey_race(self, course: Course) -> Survey:
        """Make a model and one step, so that a race that cannot be run fails before it begins."""
        ...

    def train_arms(self, course: Course, task: Task) -> tuple[tuple[Trained, ...], Spent]:
        """Train the arms of a task, together where that is possible; an arm that fails is marked, the others go on."""
        ...


ADAPTERS = {
    "keras": "penstock.keras.adapter",
    "jax": "penstock.jax.adapter",
    "torch": "penstock.torch.adapter",
}
"""Framework -> the module that adapts it; asked in this order. On the PyTorch backend a Keras model is a module too."""


def is_function(thing: Any) -> bool:
    """Whether this is a plain function or a method, also with some of its arguments given."""
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


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
    if is_function(thing):
        call = f"{function}(apply_fn, params, batch)"
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


def model_and_batch(function: str, model: Any, batch: Any, more: Sequence[Any]) -> tuple[Any, Any]:
    """The model and the batch of a call with either `(model, batch)` or `(apply_fn, params, batch)`.

    Raises:
        ArgumentError: if there are more arguments, or the first of three is no function.
    """
    if not more:
        return model, batch
    if len(more) > 1 or not callable(model):
        got = f"{len(more) + 2} arguments" if len(more) > 1 else f"{type(model).__name__} as apply_fn"
        fact = f"{function}: arguments must be (model, batch), or (apply_fn, params, batch) for JAX; got {got}."
        raise ArgumentError(message(fact, hint=f"penstock.{function}(module.apply, variables, batch)"))
    return Applied(model, batch), more[0]


def adapter_named(framework: str) -> Adapter:
    """The adapter of a framework that is known by name: a key of `ADAPTERS`."""
    return cast("Adapter", importlib.import_module(ADAPTERS[framework]))


def find_adapter(thing: Any) -> Adapter | None:
    """The adapter of the framework that `thing` belongs to, None if no loaded framework owns it."""
    for framework, module in ADAPTERS.items():
        if framework in sys.modules:
            adapter = cast("Adapter", importlib.import_module(module))
            if adapter.owns(thing):
                return adapter
    return None


def adapter_of_model(thing: Any) -> Adapter | None:
    """The adapter of the framework that a model is of, None if this is no model of any that is loaded."""
    for framework in ADAPTERS:
        if framework in sys.modules and (adapter := adapter_named(framework)).is_model(thing):
            return adapter
    return None
