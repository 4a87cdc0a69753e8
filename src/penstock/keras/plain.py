"""Keras's other initializers: given spreads, orthogonal matrices, fixed values, and any recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.keras.base import Drawn, kernel_geometry, registered
from penstock.randomness.transforms import TRUNCATED_CUT, TRUNCATED_STD
from penstock.randomness.windows import checked_shape
from penstock.recipes import Constant as ConstantRecipe
from penstock.recipes import Identity as IdentityRecipe
from penstock.recipes import Normal, Recipe, recipe_from_dict
from penstock.recipes import TruncatedNormal as TruncatedRecipe
from penstock.recipes.arguments import built
from penstock.recipes.bounded_normal import bounded
from penstock.recipes.delta_orthogonal import DeltaOrthogonal as DeltaRecipe
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.uniform_between import UniformBetween

_STDDEV = {"sigma": "stddev"}


@registered
class RandomNormal(Drawn):
    """Elements from N(mean, stddev^2), for any shape.

    Attributes:
        mean: mean of one element.
        stddev: standard deviation of one element, >= 0.
        seed: an integer, a keras.random.SeedGenerator or None.
        name: of the parameter.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None, *, name: str = "") -> None:
        super().__init__(seed=seed, name=name)
        self.mean = mean
        self.stddev = stddev
        hint = "penstock.keras.RandomNormal(stddev=0.05)"
        self._recipe = built("RandomNormal", _STDDEV, hint, Normal, stddev, mean)

    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """The same for every shape."""
        return self._recipe, Geometry(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"mean": self.mean, "stddev": self.stddev}


@registered
class TruncatedNormal(Drawn):
    """Elements from a normal law cut at two of its standard deviations; `stddev` is the one before the cut.

    So the values have a standard deviation of 0.8796 stddev, as Keras's. Attributes as of `RandomNormal`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None, *, name: str = "") -> None:
        super().__init__(seed=seed, name=name)
        self.mean = mean
        self.stddev = stddev
        hint = "penstock.keras.TruncatedNormal(stddev=0.05)"
        before = built("TruncatedNormal", _STDDEV, hint, Normal, stddev, mean)
        cut = TRUNCATED_CUT * before.sigma
        if before.sigma == 0.0:
            self._recipe: Recipe = ConstantRecipe(before.mean)
        elif before.mean == 0.0:
            self._recipe = TruncatedRecipe(TRUNCATED_STD * before.sigma)
        else:
            self._recipe = bounded(before.mean, before.sigma, before.mean - cut, before.mean + cut)

    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """The same for every shape."""
        return self._recipe, Geometry(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"mean": self.mean, "stddev": self.stddev}


@registered
class RandomUniform(Drawn):
    """Elements uniform on [minval, maxval), for any shape.

    Attributes:
        minval: smallest value.
        maxval: the end that is not reached.
        seed: an integer, a keras.random.SeedGenerator or None.
        name: of the parameter.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None, *, name: str = "") -> None:
        super().__init__(seed=seed, name=name)
        self.minval = minval
        self.maxval = maxval
        names, hint = {"low": "minval", "high": "maxval"}, "penstock.keras.RandomUniform(-0.05, 0.05)"
        self._recipe = built("RandomUniform", names, hint, UniformBetween, minval, maxval)

    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """The same for every shape."""
        return self._recipe, Geometry(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"minval": self.minval, "maxval": self.maxval}


class _Matrix(Drawn):
    """A rule for kernels (*taps, in, out) with a gain."""

    rule: type[SemiOrthogonal] | type[DeltaRecipe]

    def __init__(self, gain: float = 1.0, seed: Any = None, *, name: str = "") -> None:
        super().__init__(seed=seed, name=name)
        self.gain = gain
        kind = type(self).__name__
        self._recipe = built(kind, {}, f"penstock.keras.{kind}(gain=1.0)", self.rule, gain)

    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """The last two axes are inputs and outputs."""
        return self._recipe, kernel_geometry(type(self).__name__, shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"gain": self.gain}


@registered
class Orthogonal(_Matrix):
    """Orthonormal rows or columns of (taps * in) x out, whichever are fewer, times `gain`; Haar-distributed.

    The law that keeps the RMS of widening layers is `FromRecipe(penstock.recipes.Orthogonal(gain))`.
    """

    rule = SemiOrthogonal


@registered
class DeltaOrthogonal(_Matrix):
    """An orthogonal matrix on the centre tap of a convolution and zeros elsewhere; in <= out. Keras 3 has none."""

    rule = DeltaRecipe


@registered
class FromRecipe(Drawn):
    """Any recipe of `penstock.recipes` as an initializer of Keras, for kernels (*taps, in, out).

    Attributes:
        rule: the recipe, or the plain data of `Recipe.to_dict`.
        seed: an integer, a keras.random.SeedGenerator or None.
        name: of the parameter.

    Examples:
        >>> from penstock.recipes import Normal
        >>> tuple(FromRecipe(Normal(0.02), seed=0)((4, 3)).shape)
        (4, 3)
    """

    def __init__(self, rule: Recipe | Mapping[str, Any], seed: Any = None, *, name: str = "") -> None:
        super().__init__(seed=seed, name=name)
        self.rule = recipe_from_dict(rule) if isinstance(rule, Mapping) else rule
        if not isinstance(self.rule, Recipe):
            raise ArgumentError(
                message(
                    f"FromRecipe: rule must be a recipe; got {rule!r}.",
                    hint="penstock.keras.FromRecipe(penstock.recipes.Normal(0.02))",
                )
            )

    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """Roles as of a kernel; a vector has none."""
        return self.rule, Geometry(shape) if len(shape) < 2 else kernel_geometry("FromRecipe", shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"rule": self.rule.to_dict()}


@registered
class Identity(keras.initializers.Identity):
    """Output d repeats input d, times `gain`; for convolutions (*taps, in, out) on the centre tap, k // 2."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The kernel as a tensor of the backend."""
        geometry = kernel_geometry("Identity", checked_shape("Identity", shape))
        values = IdentityRecipe(self.gain).draw(geometry, 0)
        return keras.ops.convert_to_tensor(values, dtype=keras.backend.standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's argument."""
        return {"gain": self.gain}


@registered
class Zeros(keras.initializers.Zeros):
    """All elements 0."""


@registered
class Ones(keras.initializers.Ones):
    """All elements 1."""


@registered
class Constant(keras.initializers.Constant):
    """All elements `value`."""
