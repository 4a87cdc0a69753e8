"""A Keras model as names and variables, and how it is called: the same on every backend."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from penstock.errors import ArgumentError, ModelError, message
from penstock.fan_table import Declared
from penstock.keras.roles import declare


@dataclass(frozen=True)
class Known:
    """One parameter of a model.

    Attributes:
        variable: that holds it.
        declared: its role and the roles of its axes.
        frozen: its layer is not trainable.
    """

    variable: Any
    declared: Declared
    frozen: bool


def parameters_of(model: keras.layers.Layer) -> dict[str, Known]:
    """The parameters of a model by Keras's own paths, each once.

    A parameter is what a layer made to be trained, frozen or not; running statistics and seeds are state.

    Args:
        model: built.

    Examples:
        >>> model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, name="head")])
        >>> list(parameters_of(model))
        ['head/kernel', 'head/bias']
    """
    found: dict[int, Known] = {}
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            shape = tuple(int(size) for size in variable.shape)
            known = Known(variable, declare(layer, variable.name, shape), not variable.trainable)
            if keras.backend.is_float_dtype(variable.dtype):
                found.setdefault(id(variable), known)
    made: dict[str, Known] = {}
    # In the order of the model's own weights.
    for variable in model.weights:
        if id(variable) in found:
            made[_unique(_inside(model, variable.path), made)] = found[id(variable)]
    return made


def _inside(model: keras.layers.Layer, path: str) -> str:
    """The path from the model on: of some models Keras's begin with the model's own name."""
    return path.removeprefix(f"{model.name}/").replace(".", "_")


def _unique(path: str, taken: Mapping[str, Any]) -> str:
    """The path, with a number where another one has the same."""
    name, number = path, 1
    while name in taken:
        name, number = f"{path}_{number}", number + 1
    return name


def drawn_names(model: keras.layers.Layer, names: Iterable[str]) -> dict[str, str]:
    """The names to draw under, where Keras's are an accident of how many layers were made before.

    The first layer of a class is "dense" or "dense_17", as the program has it. It is drawn as "dense", so that the same
    model gets the same weights whenever it is built.

    Examples:
        >>> model = keras.Sequential([keras.layers.Dense(1, name="dense_17"), keras.layers.Dense(1, name="dense_18")])
        >>> drawn_names(model, ["dense_17/kernel", "dense_18/kernel", "dense_18/bias"])
        {'dense_17/kernel': 'dense/kernel', 'dense_18/kernel': 'dense_1/kernel', 'dense_18/bias': 'dense_1/bias'}
    """
    kinds = {_snake(type(layer).__name__) for layer in model._flatten_layers()}
    automatic = re.compile(rf"((?:forward_|backward_)?(?:{'|'.join(map(re.escape, sorted(kinds)))}))(_\d+)?")
    numbers: dict[tuple[str, str], dict[str, int]] = {}
    made: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        *layers, leaf = name.split("/")
        path = ""
        for part in layers:
            match = automatic.fullmatch(part)
            if match is not None:
                known = numbers.setdefault((path, match[1]), {})
                number = known.setdefault(part, len(known))
                path += f"{match[1]}_{number}/" if number else f"{match[1]}/"
            else:
                path += f"{part}/"
        made[name] = _unique(path + leaf, taken)
        taken[made[name]] = name
    return {name: drawn for name, drawn in made.items() if drawn != name}


def _snake(name: str) -> str:
    """The name that Keras gives the first layer of a class."""
    parted = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", parted).lower()


def layers_of(model: keras.layers.Layer) -> dict[str, keras.layers.Layer]:
    """The layers inside a model by their paths: those that hold parameters as these say it."""
    found: dict[str, keras.layers.Layer] = {}
    for layer in model._flatten_layers(include_self=False):
        own = layer._trainable_variables
        path = (own[0].path.rpartition("/")[0] if own else layer.path) or layer.name
        found[_unique(_inside(model, path), found)] = layer
    return found


@contextmanager
def stateless(model: keras.layers.Layer, given: Sequence[tuple[Any, Any]] = ()) -> Iterator[keras.StatelessScope]:
    """Within this block a call changes neither statistics nor seeds, nor the losses that the last call left.

    Args:
        model: that will be called.
        given: variables with the values that they have within the block.

    Yields:
        The scope, which knows what the call would have made of the variables.
    """
    kept = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in model._flatten_layers()]
    try:
        with keras.StatelessScope(given, collect_losses=True) as scope:
            yield scope
    finally:
        for layer, losses, ids in kept:
            layer._losses[:] = losses
            layer._loss_ids.clear()
            layer._loss_ids.update(ids)


@dataclass(frozen=True)
class Call:
    """How a model is called on a batch.

    Attributes:
        args: positional arguments, arrays of the backend in any structure.
        kwargs: keyword arguments.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def call_of(model: keras.layers.Layer, batch: Any) -> Call:
    """The arguments that a batch stands for, as tensors of the backend.

    A functional model takes its inputs as one structure: an array, a list, or a dict by the inputs' names. Of a
    subclassed model a tuple or a list is spread over the arguments of `call` where it has several, and a dict whose
    keys are arguments of `call` is given by keyword.

    Raises:
        ArgumentError: if the batch holds no array.
    """
    structure = keras.tree.map_structure(_tensor, list(batch) if isinstance(batch, tuple) else batch)
    if not any(_is_array(leaf) for leaf in keras.tree.flatten(structure)):
        raise ArgumentError(
            message(
                f"check: batch must hold at least one array; got {batch!r:.80}.",
                hint='penstock.check(model, np.ones((32, 784), "float32"))',
            )
        )
    if not _takes_structure(model):
        names = _arguments(model)
        if isinstance(structure, list) and len(names) >= len(structure) > 1:
            return Call(tuple(structure), {})
        if isinstance(structure, dict) and set(structure) <= set(names):
            return Call((), structure)
    return Call((structure,), {})


def _takes_structure(model: Any) -> bool:
    """Whether this is a functional or sequential model, whose `call` has one argument for all inputs."""
    return isinstance(model, keras.Sequential) or hasattr(model, "_functional") or type(model).__name__ == "Functional"


def _arguments(model: keras.layers.Layer) -> list[str]:
    """The arguments of `call` that are inputs."""
    found = inspect.signature(model.call).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return [p.name for p in found if p.kind in kinds and p.name not in ("training", "mask")]


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _tensor(leaf: Any) -> Any:
    if not _is_array(leaf):
        return leaf
    wide = str(getattr(leaf, "dtype", "")).endswith("float64")
    return keras.ops.convert_to_tensor(leaf, dtype=keras.config.floatx() if wide else None)


def build(model: keras.layers.Layer, call: Call) -> tuple[str, ...]:
    """Give a model its weights by running it once on the batch, if it has none yet.

    Returns:
        A sentence for the report if it was built, else nothing.

    Raises:
        ModelError: if the model raises.
    """
    if model.built and all(layer.built for layer in model._flatten_layers()):
        return ()
    before = len(model.weights)
    try:
        model(*call.args, **call.kwargs, training=False)
    except Exception as error:
        shapes = ", ".join(
            f"{tuple(leaf.shape)} {keras.backend.standardize_dtype(leaf.dtype)}"
            for leaf in keras.tree.flatten((call.args, dict(call.kwargs)))
            if _is_array(leaf)
        )
        raise ModelError(
            message(
                f"check: {type(model).__name__} must run on the batch; it raised {type(error).__name__}: {error}",
                at=f"batch {shapes}",
                hint="call model(batch) alone first.",
            )
        ) from error
    made = len(model.weights) - before
    return (f"The model was not built: it was built from the batch ({made} weights).",) if made else ()
