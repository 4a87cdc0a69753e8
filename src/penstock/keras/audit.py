"""Build a Keras model from one seed and compare each parameter with its initializer: `penstock.audit` for Keras."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from penstock.building import AnotherFramework
from penstock.checks.registry import find_audited
from penstock.errors import ArgumentError, ModelError, message
from penstock.frameworks import adapter_of_model
from penstock.keras.base import Drawn
from penstock.keras.models import build, call_of, parameters_of
from penstock.provenance import Audited, TensorRecord, Write, history_of, with_twins
from penstock.report.audit_report import AuditReport

CUT_STD = 0.87962566103423978
"""Std of a standard normal law that is cut at two sigma, as Keras writes it."""

HINTS = {
    "S102": 'an initializer of its own for each layer, kernel_initializer="he_normal", or one of penstock.keras, which '
    "draw anew at each call",
    "U106": "penstock.keras.RandomNormal(stddev=...) draws in float32 and rounds once",
    "U102": "compute it in float32 and away from 0: keras.ops.log(keras.ops.maximum(u, 1e-4))",
}

AS_IT_IS = (
    "The model was built before: its values were looked at as they are, and not compared with what its initializers "
    "are asked for. penstock.audit(build), with a function that builds it, does that."
)

Law = tuple[float, float]
"""Mean and standard deviation."""


def audit(model_or_factory: Any, batch: Any = None) -> AuditReport:
    """See `penstock.audit`. The global random states stay as they are.

    Args:
        model_or_factory: a function that builds a model; or a model, which may have been trained since.
        batch: for a model that is built when it first runs.
    """
    with _seeded():
        model, notes = _made(model_or_factory, batch)
    audited = Audited(
        model=type(model).__name__,
        paths=("direct",),
        tensors=with_twins(_records(model, asked=not notes)),
        library=f"keras {keras.__version__} on {keras.backend.backend()}",
        notes=notes,
        hints=HINTS,
    )
    return AuditReport(audited, find_audited(audited))


@contextmanager
def _seeded() -> Iterator[None]:
    """Within this block Keras's seeds are drawn from seed 0; after it, Python and NumPy go on as before."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002  a model may draw from the global state
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  as above
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002  as above


def _made(thing: Any, batch: Any) -> tuple[Any, tuple[str, ...]]:
    """The model, and what must be said of it."""
    if isinstance(thing, keras.layers.Layer):
        model, notes = thing, (AS_IT_IS,)
    else:
        model, notes = _called(thing), ()
    if batch is not None:
        build(model, call_of(model, batch))
    if not model.built or not all(layer.built for layer in model._flatten_layers()):
        raise ArgumentError(
            message(
                f"audit: the model must be built; {model.name!r} has no weights yet.",
                hint="penstock.audit(build, batch)",
            )
        )
    return model, notes


def _called(factory: Any) -> Any:
    try:
        made = factory()
    except Exception as error:
        raise ModelError(message(f"audit: the factory raised {type(error).__name__}: {error}")) from error
    if not isinstance(made, keras.layers.Layer):
        raise AnotherFramework(made, adapter_of_model(made))
    return made


def _records(model: Any, *, asked: bool) -> Iterator[tuple[TensorRecord, npt.NDArray[Any]]]:
    owners = {id(v): layer for layer in model._flatten_layers() for v in layer._trainable_variables}
    for name, known in parameters_of(model).items():
        values = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(known.variable.value, "float32")))
        write = _write(owners[id(known.variable)], known.variable) if asked else None
        history = replace(history_of(values), writes=() if write is None else (write,))
        dtype = keras.backend.standardize_dtype(known.variable.dtype)
        yield TensorRecord(name, tuple(values.shape), dtype, direct=history), values


def _write(layer: Any, variable: Any) -> Write | None:
    """What the layer's initializer of this variable is asked for; None where the layer names none."""
    name = str(variable.name)
    short = name.removesuffix("_kernel")  # "recurrent_kernel" has a recurrent_initializer
    names = [name, short, *(["depthwise"] if name == "kernel" else [])]  # so does the kernel of a DepthwiseConv
    initializer = next((i for n in names if (i := getattr(layer, f"{n}_initializer", None)) is not None), None)
    if initializer is None:
        return None
    asked = _text(initializer)
    if name == "bias" and getattr(layer, "unit_forget_bias", False):
        asked, law = f"{asked}, forget gates 1", None
    elif isinstance(layer, keras.layers.EinsumDense) and isinstance(initializer, keras.initializers.VarianceScaling):
        law = None  # which axes make up the fans depends on Keras's version
    else:
        law = _law(initializer, tuple(int(size) for size in variable.shape))
    mean, std = law or (None, None)
    by = f"{type(layer).__name__}.build"
    return Write(writer=by, site=by, asked=asked, mean=mean, std=std)


def _text(initializer: Any) -> str:
    """The initializer as it is called, with the arguments that are numbers."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    kept = {k: v for k, v in config.items() if isinstance(v, int | float | str) and v != ""}
    return f"{type(initializer).__name__}({', '.join(f'{k}={v!r}' for k, v in kept.items())})"


def _law(initializer: Any, shape: tuple[int, ...]) -> Law | None:
    """Mean and standard deviation of what an initializer is asked for; None where they are not known."""
    known = keras.initializers
    law: Law | None = None
    if isinstance(initializer, known.Zeros | known.Ones):
        law = (1.0 if isinstance(initializer, known.Ones) else 0.0), 0.0
    elif isinstance(initializer, known.Constant) and isinstance(initializer.value, int | float):
        law = float(initializer.value), 0.0
    elif isinstance(initializer, known.RandomNormal):
        law = float(initializer.mean), float(initializer.stddev)
    elif isinstance(initializer, known.TruncatedNormal):
        law = float(initializer.mean), CUT_STD * float(initializer.stddev)
    elif isinstance(initializer, known.RandomUniform):
        low, high = float(initializer.minval), float(initializer.maxval)
        law = (low + high) / 2, (high - low) / math.sqrt(12)
    elif isinstance(initializer, known.VarianceScaling) and not getattr(initializer, "input_axes", None):
        law = 0.0, math.sqrt(initializer.scale / max(1.0, _fan(initializer.mode, shape)))
    elif isinstance(initializer, Drawn):
        recipe, geometry = initializer.recipe(shape)
        law = recipe.moments(geometry)
    return law


def _fan(mode: str, shape: tuple[int, ...]) -> float:
    """The fan that Keras takes for a shape: (*taps, in, out) whatever the axes mean."""
    if len(shape) < 2:
        return float(shape[0]) if shape else 1.0
    taps = math.prod(shape[:-2])
    fans = {"fan_in": float(shape[-2] * taps), "fan_out": float(shape[-1] * taps)}
    return fans.get(mode, (fans["fan_in"] + fans["fan_out"]) / 2)
