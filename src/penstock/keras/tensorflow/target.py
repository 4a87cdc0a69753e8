"""A Keras model on TensorFlow as a function of its variables, and its batch as tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.errors import ArgumentError, message
from penstock.keras.models import Call, Known, parameters_of, stateless
from penstock.keras.tensorflow.program import is_float_type
from penstock.tracing.batch import not_finite


@dataclass(frozen=True)
class Target:
    """A model as a function of its variables.

    Attributes:
        model: built.
        known: its parameters by name.
        values: of its parameters, as they are or as they shall be.
        others: its other variables: running statistics, seeds.
    """

    model: keras.layers.Layer
    known: Mapping[str, Known]
    values: Mapping[str, Any]
    others: tuple[Any, ...]

    @property
    def name(self) -> str:
        """What reports call it."""
        return type(self.model).__name__

    @property
    def frozen(self) -> frozenset[str]:
        """Parameters that are not trained."""
        return frozenset(name for name, one in self.known.items() if one.frozen)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The parameters' values."""
        return {name: value.numpy() for name, value in self.values.items()}

    def holding(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Target:
        """The same model with other values; its variables stay as they are."""
        made = {name: tf.constant(arrays[name], value.dtype) for name, value in self.values.items()}
        return replace(self, values=made)

    def write(self) -> None:
        """Give the model's variables the values, all or none."""
        own = [(one.variable, self.values[name]) for name, one in self.known.items()]
        before = [(variable, tf.identity(variable.value)) for variable, _ in own]
        try:
            for variable, value in own:
                variable.assign(value)
        except BaseException:
            for variable, value in before:
                variable.assign(value)
            raise

    def inputs(self, batch: Batch) -> list[Any]:
        """Parameters, other variables and the batch: the inputs of `call`."""
        return [*self.values.values(), *(v.value for v in self.others), *batch.tensors.values()]

    def call(self, batch: Batch, tensors: list[Any]) -> Any:
        """The model's output as it is trained, where its inputs are these."""
        count = len(self.known) + len(self.others)
        variables = [*(one.variable for one in self.known.values()), *self.others]
        args, kwargs = batch.arguments(tensors[count:])
        with stateless(self.model, list(zip(variables, tensors[:count], strict=True))):
            return self.model(*args, **kwargs, training=True)


def target_of(model: keras.layers.Layer) -> Target:
    """The model as a function of its variables, with the values that they have now."""
    known = parameters_of(model)
    own = {id(one.variable) for one in known.values()}
    others = tuple(v for v in model.variables if id(v) not in own)
    return Target(model, known, {name: tf.convert_to_tensor(one.variable.value) for name, one in known.items()}, others)


@dataclass(frozen=True)
class Batch:
    """The arguments of a call, cut into tensors and everything else.

    Attributes:
        tensors: name -> tensor: "0", "input_ids", "0.left".
        call: the arguments.
    """

    tensors: Mapping[str, Any]
    call: Call

    @property
    def size(self) -> int | None:
        """Number of inputs: the first dimension of most arrays; None where there is none."""
        sizes = [int(t.shape[0]) for t in self.tensors.values() if t.shape.rank]
        return max(set(sizes), key=lambda s: (sizes.count(s), -sizes.index(s))) if sizes else None

    def arguments(self, tensors: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with other tensors."""
        rest = iter(tensors)
        args, kwargs = (
            keras.tree.map_structure(lambda leaf: next(rest) if tf.is_tensor(leaf) else leaf, part)
            for part in (self.call.args, dict(self.call.kwargs))
        )
        return tuple(args or ()), dict(kwargs or {})

    def __str__(self) -> str:
        return ", ".join(f"{n}: {tuple(t.shape)} {t.dtype.name}" for n, t in self.tensors.items())


def batch_of(call: Call) -> Batch:
    """The call's tensors by name.

    Raises:
        ArgumentError: if there is no element, or numbers are not finite.
    """
    leaves = keras.tree.flatten_with_path((list(call.args), dict(call.kwargs)))
    tensors = {".".join(map(str, path[1:])): leaf for path, leaf in leaves if tf.is_tensor(leaf)}
    made = Batch(tensors, call)
    if not any(0 not in t.shape for t in tensors.values()):
        raise ArgumentError(message(f"check: batch must hold at least one element; got {made}."))
    for name, tensor in tensors.items():
        array = tensor.numpy()
        bad = int(np.count_nonzero(~np.isfinite(array))) if is_float_type(array.dtype) else 0
        if bad:
            raise not_finite(bad, array.size, name, hint="penstock.check(model, np.nan_to_num(batch))")
    return made
