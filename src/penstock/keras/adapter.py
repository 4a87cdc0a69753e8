"""What penstock's public doors ask of Keras; each name is explained in `penstock.frameworks.Adapter`.

A model is handed to the adapter of the backend that Keras runs on, as a function of its variables by Keras's paths.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import keras
import numpy as np

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.fan_table import FansTable, fans_table
from penstock.inputs import InputSpec
from penstock.keras.audit import audit
from penstock.keras.models import build, call_of, drawn_names, parameters_of
from penstock.keras.racing import survey
from penstock.keras.racing.train import train_arms
from penstock.ledger.book import Ledger
from penstock.planning.initialization import Initialization
from penstock.planning.named.choose import RecipeChoice
from penstock.planning.plan import Plan
from penstock.quadrature import Function
from penstock.racing.arm import Course, Survey
from penstock.report.report import Report

__all__ = [
    "apply",
    "audit",
    "check",
    "check_ranks",
    "check_weights",
    "fans",
    "guess_input",
    "initialize",
    "is_model",
    "materialize",
    "owns",
    "param_groups",
    "plan",
    "race_data",
    "save",
    "scalar_function",
    "survey_race",
    "tensor",
    "train_arms",
    "with_parameters",
]

builds_from_key = False
watches_building = False
races = True
file_reader = "safetensors.numpy.load_file({path!r})"

BACKENDS = {
    "jax": "penstock.keras.on_jax",
    "tensorflow": "penstock.keras.on_tensorflow",
    "torch": "penstock.keras.on_torch",
}
"""Backend of Keras -> the module that hands models to its adapter."""

Loss = Callable[[Any], Any]


def owns(thing: Any) -> bool:
    """Whether this is a Keras layer or model, or one of Keras's functions of tensors."""
    if isinstance(thing, keras.layers.Layer | keras.Variable):
        return True
    home = str(getattr(thing, "__module__", "")).partition(".")[0]
    return home == "keras" and callable(thing) and not isinstance(thing, type)


def check(model: Any, batch: Any, *, loss: Loss | None = None) -> Report:
    """See `penstock.check`. The model runs as it is trained: `training=True`."""
    backend = _backend("check")
    target, given, notes = _ready(backend, model, batch, "check")
    return _with_notes(backend.check(target, given, loss=loss), notes)


def plan(
    model: Any,
    batch: Any,
    *,
    loss: Loss | None = None,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
) -> Plan:
    """See `penstock.plan`."""
    backend = _backend("plan")
    target, given, notes = _ready(backend, model, batch, "plan")
    drawn = _names(model, names)
    made: Plan = backend.plan(target, given, loss=loss, keep=keep, recipe=recipe, names=drawn)
    return replace(made, notes=(*notes, *made.notes))


def initialize(
    model: Any,
    batch: Any,
    *,
    loss: Loss | None = None,
    seed: int = 0,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
    learning_rate: bool | str = False,
) -> Initialization:
    """See `penstock.initialize`. The model's variables are written in place, all or none."""
    backend = _backend("initialize")
    target, given, notes = _ready(backend, model, batch, "initialize")
    made: Initialization = backend.initialize(
        target,
        given,
        loss=loss,
        seed=seed,
        keep=keep,
        recipe=recipe,
        names=_names(model, names),
        learning_rate=learning_rate,
    )
    return replace(
        made,
        plan=replace(made.plan, notes=(*notes, *made.plan.notes)),
        before=_with_notes(made.before, notes),
        after=_with_notes(made.after, ()),
        model=model,
    )


def apply(plan: Plan, model: Any, *, seed: int = 0) -> Ledger:
    """See `penstock.Plan.apply`."""
    backend = _backend("Plan.apply")
    return backend.apply(plan, backend.target_of(_built(model, "Plan.apply"), "Plan.apply"), seed=seed)


def is_model(thing: Any) -> bool:
    """Whether this is a layer or a model."""
    return isinstance(thing, keras.layers.Layer)


def with_parameters(model: Any, batch: Any, *, seed: int) -> Any:
    """A model that is not built is built where it is first run."""
    return model


def fans(model: Any, batch: Any = None) -> FansTable:
    """See `penstock.fans`: the axes that the layers declare. A model that is not built is built from the batch."""
    if batch is not None:
        build(_model(model, "fans"), call_of(model, batch))
    known = parameters_of(_built(model, "fans"))
    return fans_table({name: one.declared for name, one in known.items()})


def guess_input(model: Any) -> InputSpec | None:
    """The input of a model that says its shape; what it leaves open is 8 inputs, and 32 of anything else."""
    shape = getattr(model, "input_shape", None) if getattr(model, "built", False) else None
    if not isinstance(shape, tuple) or not all(size is None or isinstance(size, int) for size in shape):
        return None
    sizes = tuple(size or (32 if place else 8) for place, size in enumerate(shape))
    first = next((layer for layer in model._flatten_layers() if layer.weights and not layer._layers), None)
    if isinstance(first, keras.layers.Embedding):
        return InputSpec(sizes, "int64", first.input_dim)
    return InputSpec(sizes, keras.config.floatx())


def tensor(values: Any, dtype: str) -> Any:
    """An array of the backend with these values."""
    return keras.ops.convert_to_tensor(values, dtype=dtype)


def save(model: Any, path: str) -> None:
    """Write a model's parameters to a safetensors file, by their names."""
    backend = _backend("save")
    backend.save(backend.target_of(_built(model, "save"), "save"), path)


def scalar_function(function: Any) -> tuple[Function, str]:
    """A function of tensors, or a layer, as one of float64 arrays; and its name."""
    name = str(getattr(function, "__name__", getattr(function, "name", type(function).__name__)))
    if keras.backend.backend() in ("jax", "torch"):  # TensorFlow computes in float64 where it is asked to
        return _backend("gain").scalar_function(function)[0], name

    def called(x: Any) -> Any:
        made = function(keras.ops.convert_to_tensor(x, dtype="float64"))
        return np.asarray(keras.ops.convert_to_numpy(made), np.float64)

    return called, name


def materialize(model: Any, **arguments: Any) -> NoReturn:
    """Keras models have their memory when they are built."""
    _no("materialize", "a Keras model has its memory when it is built", "penstock.initialize(model, batch)")


def check_ranks(model: Any, **arguments: Any) -> NoReturn:
    """Ranks are compared by PyTorch."""
    _no("check_ranks", "ranks are compared for PyTorch models", "penstock.check(model, batch) on each")


def check_weights(path: Any, **arguments: Any) -> NoReturn:
    """Files are read by the adapter of PyTorch."""
    _no("check_weights", "checkpoint files are read with PyTorch", "import torch, then penstock.check_weights(path)")


def param_groups(plan: Plan, model: Any, **arguments: Any) -> NoReturn:
    """Optimizers of Keras have no groups."""
    _no("Plan.param_groups", "optimizers of Keras have no groups of parameters", "one optimizer with one learning rate")


def race_data(given: Any, *, steps: int, batch_size: int | None, own_loss: bool) -> None:
    """Keras's data sets are arrays."""
    return


def survey_race(course: Course) -> Survey:
    """See `penstock.frameworks.Adapter.survey_race`."""
    _backend("race")
    return survey.survey_race(course)


def _backend(function: str) -> Any:
    """The module for the backend that Keras runs on.

    Raises:
        UnsupportedError: if models on it cannot be read.
    """
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise UnsupportedError(
            message(
                f"{function}: Keras must run on one of the backends {', '.join(BACKENDS)}; it runs on {name}.",
                because="a model is read through its backend's operations; the weights are the same on each",
                hint="KERAS_BACKEND=jax in the environment, before Python starts (model.save and "
                "keras.models.load_model take weights from one backend to another)",
            )
        )
    return importlib.import_module(BACKENDS[name])


def _ready(backend: Any, model: Any, batch: Any, function: str) -> tuple[Any, Any, tuple[str, ...]]:
    """The model and the batch as the backend's adapter takes them, and what was done to the model for it."""
    _model(model, function)
    call = call_of(model, batch)
    notes = build(model, call)
    return backend.target_of(model, function), backend.batch_of(call), notes


def _model(model: Any, function: str) -> keras.layers.Layer:
    if not isinstance(model, keras.layers.Layer):
        raise UnsupportedError(
            message(
                f"{function}: model must be a Keras model or layer; got {type(model).__name__}.",
                hint=f"penstock.{function}(model, batch)",
            )
        )
    return model


def _built(model: Any, function: str) -> keras.layers.Layer:
    if not _model(model, function).built:
        raise ArgumentError(
            message(
                f"{function}: model must be built; {model.name!r} has no weights yet.",
                hint="penstock.fans(model, batch)" if function == "fans" else "model(batch)  # once, before",
            )
        )
    return model


def _names(model: keras.layers.Layer, names: Mapping[str, str] | None) -> dict[str, str]:
    """What each parameter is drawn under: what the caller says, else without the accidents of Keras's numbering."""
    return {**drawn_names(model, parameters_of(model)), **(names or {})}


def _with_notes(report: Report, notes: tuple[str, ...]) -> Report:
    measured = report.measured
    return replace(report, measured=replace(measured, notes=(*notes, *measured.notes))) if notes else report


def _no(function: str, why: str, hint: str) -> NoReturn:
    raise UnsupportedError(message(f"{function}: a Keras model has none of this.", because=why, hint=hint))
