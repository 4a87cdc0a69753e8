"""What all random initializers of `penstock.keras` share: seeds, configs, and values drawn by NumPy's fills."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.keras.seeds import Stream, next_key, stream_of
from penstock.randomness.windows import checked_shape
from penstock.recipes import Recipe
from penstock.recipes.uniform_between import open_end

C = TypeVar("C", bound=type)
PACKAGE = "penstock"


class Drawn(keras.initializers.Initializer):
    """An initializer that draws from a recipe; each call takes a new key.

    Attributes:
        seed: equals the integer that was given, or is the SeedGenerator.
        name: of the parameter; with the seed it decides the values.
    """

    def __init__(self, *, seed: Any = None, name: str = "") -> None:
        self._given_seed = int(seed) if isinstance(seed, Stream) else seed
        self.seed = stream_of(type(self).__name__, seed)
        self.name = name

    @abstractmethod
    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """What is drawn for a shape, with the roles of its axes."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """The parameter's values as a tensor of the backend.

        Args:
            shape: of the parameter.
            dtype: a floating-point type; None for `keras.config.floatx()`.

        Returns:
            A tensor of that shape and type.

        Raises:
            ShapeError: if the shape is no tuple of sizes, or the rule needs axes that it does not have.
            ArgumentError: if the type is not floating-point.
        """
        kind = keras.backend.standardize_dtype(dtype)
        if "float" not in kind:
            raise ArgumentError(
                message(f"{type(self).__name__}: dtype must be floating-point; got {kind}.", hint='dtype="float32"')
            )
        sizes = checked_shape(type(self).__name__, shape)
        values = self.draw(sizes)
        if kind in ("bfloat16", "float16"):
            end = open_end(self.recipe(sizes)[0], np.dtype(kind))
            values = values if end is None else np.minimum(values, np.float32(end))
        return keras.ops.convert_to_tensor(values, dtype=kind)

    def draw(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """The values of the next call, as a float32 array."""
        recipe, geometry = self.recipe(shape)
        return recipe.draw(geometry, next_key(type(self).__name__, self.seed, self.name))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; an initializer made from them counts its draws from 0 again."""
        return {"seed": keras.saving.serialize_keras_object(self._given_seed), "name": self.name}


def registered(kind: C) -> C:
    """The class, known to Keras as "penstock>Name"."""
    keras.saving.register_keras_serializable(package=PACKAGE)(kind)
    return kind


def kernel_geometry(function: str, shape: tuple[int, ...]) -> Geometry:
    """Keras's roles of a kernel (*taps, in, out).

    Raises:
        ShapeError: if there are fewer than two axes.
    """
    if len(shape) < 2:
        raise ShapeError(
            message(
                f"{function}: shape must have at least two axes, (*taps, in, out); got {shape}.",
                hint="penstock.keras.Zeros() for biases",
            )
        )
    last = len(shape) - 1
    return Geometry(shape, in_axes=(last - 1,), out_axes=(last,), window_axes=tuple(range(last - 1)))
