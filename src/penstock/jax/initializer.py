"""A recipe in the form of JAX's initializers: a function of key, shape and type, safe under every transformation."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.jax.keys import philox_key
from penstock.jax.laws import Law, law_of, values
from penstock.randomness import fill
from penstock.recipes import Constant, Recipe, VarianceScaling
from penstock.recipes.complex_values import check_complex, draw_complex
from penstock.recipes.recipe import needs_axes
from penstock.recipes.uniform_between import open_end, rounded

Axis = int | Sequence[int]
OutSharding = NamedSharding | PartitionSpec | None

_ALIGNED = 64
_FILLED = frozenset({"float64", "float32", "bfloat16", "float16"})
"""Types that `fill` writes."""


@final
@dataclass(frozen=True)
class Initializer:
    """A recipe and the roles of the axes; called with a key it gives a parameter. Hashable, picklable.

    Attributes:
        recipe: the rule.
        in_axis: axes that are summed over; every axis without a role is a tap of a convolution.
        out_axis: axes that index output units.
        batch_axis: axes of independent weights, in no fan.
        dtype: of the values, where the call names none; None for JAX's default.
        factor: multiplies the values; for a scale that is itself traced.
    """

    recipe: Recipe
    in_axis: Axis = -2
    out_axis: Axis = -1
    batch_axis: Axis = ()
    dtype: Any = None
    factor: Any = None

    def __call__(
        self, key: jax.Array, shape: Sequence[int], dtype: Any = None, out_sharding: OutSharding = None
    ) -> jax.Array:
        """The parameter's values.

        Args:
            key: one JAX key, typed or raw; not read by rules without randomness.
            shape: of the whole parameter.
            dtype: a floating-point or complex type; None for the initializer's own.
            out_sharding: how the result is laid out over devices; each then makes its own part, of rules with
                independent elements. The values do not depend on it.

        Returns:
            An array of that shape and type.

        Raises:
            ArgumentError: if the key is no single key or the type is neither floating-point nor complex.
            ShapeError: if the recipe needs axes that the shape does not have.
        """
        sizes = _sizes(shape)
        kind = _kind(self.dtype if dtype is None else dtype)
        drawn = not isinstance(self.recipe, Constant)
        words = jnp.stack(philox_key("init", key)) if drawn else jnp.zeros(2, jnp.uint32)
        roles = (_plain(self.in_axis), _plain(self.out_axis), _plain(self.batch_axis))
        draw = _drawn if out_sharding is None else _sharded(out_sharding, _mesh_in_scope())
        factor = None if self.factor is None else jnp.asarray(self.factor, jnp.float32)
        if drawn and factor is None and out_sharding is None and math.prod(sizes) > 0 and _is_at_hand(key, words):
            made = _at_once(words, self.recipe, sizes, kind, roles)
            if made is not None:
                return made
        return draw(words, factor, self.recipe, sizes, kind, roles)


def _make(
    words: jax.Array,
    factor: jax.Array | None,
    recipe: Recipe,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    roles: tuple[Axis, Axis, Axis],
) -> jax.Array:
    if isinstance(recipe, Constant):
        made: jax.Array = jnp.full(shape, recipe.value, jnp.float32)
    else:
        recipe, geometry = _placed(recipe, shape, *roles)
        law = None if jnp.issubdtype(dtype, jnp.complexfloating) else law_of(recipe, geometry)
        made = _on_host(words, recipe, geometry, dtype) if law is None else _on_device(words, shape, law)
    if factor is not None:
        made = made * factor
    if dtype == jnp.bfloat16:
        # XLA may leave out a rounding that is undone at once by what follows; not this one.
        made = jax.lax.reduce_precision(made, exponent_bits=8, mantissa_bits=7)
    end = open_end(recipe, dtype) if factor is None else None
    return made.astype(dtype) if end is None else jnp.minimum(made.astype(dtype), end)


def _is_at_hand(key: Any, words: jax.Array) -> bool:
    """Whether values can be drawn by NumPy now: nothing is traced, and the result belongs on the default CPU."""
    if isinstance(words, Tracer) or isinstance(jnp.zeros(()), Tracer) or _mesh_in_scope() is not None:
        return False
    home = jnp.zeros(()).devices()
    return words.devices() == home and all(device.platform == "cpu" for device in home)


def _at_once(
    words: jax.Array, recipe: Recipe, shape: tuple[int, ...], dtype: np.dtype[Any], roles: tuple[Axis, Axis, Axis]
) -> jax.Array | None:
    """The bits of `_make` by NumPy's fills: nothing is compiled for each shape. None where a law has no such fill."""
    recipe, geometry = _placed(recipe, shape, *roles)
    law = None if jnp.issubdtype(dtype, jnp.complexfloating) else law_of(recipe, geometry)
    if law is None:
        return None
    high, low = (int(word) for word in jax.device_get(words))
    key = high << 32 | low
    if law.bounds is not None or dtype.name not in _FILLED:
        return jax.device_put(rounded(recipe, recipe.draw(geometry, key), dtype))
    # JAX takes over memory that begins at a multiple of 64 bytes, and copies any other.
    memory = np.empty(math.prod(shape) * dtype.itemsize + _ALIGNED, np.uint8)
    begin = -memory.ctypes.data % _ALIGNED
    values = memory[begin : begin + memory.size - _ALIGNED].view(dtype).reshape(shape)
    fill(law.distribution, shape, key, scale=law.scale, shift=law.shift, out=values)
    return jax.device_put(rounded(recipe, values, dtype))


_STATIC = ("recipe", "shape", "dtype", "roles")
_drawn = jax.jit(_make, static_argnames=_STATIC)


@functools.lru_cache(maxsize=256)
def _sharded(out_sharding: NamedSharding | PartitionSpec, mesh: Any) -> Callable[..., jax.Array]:
    """`_drawn` with its result laid out over devices, for the mesh in scope."""
    if not mesh or not mesh.explicit_axes:
        return jax.jit(_make, static_argnames=_STATIC, out_shardings=out_sharding)

    def draw(words: jax.Array, factor: jax.Array | None, *static: Any) -> jax.Array:
        function = functools.partial(_drawn, **dict(zip(_STATIC, static, strict=True)))
        automatic = jax.sharding.auto_axes(function, axes=mesh.explicit_axes, out_sharding=out_sharding)
        return cast("Callable[..., jax.Array]", automatic)(words, factor)

    return draw


def _mesh_in_scope() -> Any:
    """The mesh set by `jax.set_mesh`, None if there is none or JAX is older than that."""
    mesh = getattr(jax.sharding, "get_abstract_mesh", lambda: None)()
    return None if mesh is None or mesh.empty else mesh


def _on_device(words: jax.Array, shape: tuple[int, ...], law: Law) -> jax.Array:
    return values(words[0], words[1], shape, law)


def _on_host(words: jax.Array, recipe: Recipe, geometry: Geometry, dtype: np.dtype[Any]) -> jax.Array:
    """What NumPy draws, through a callback: rules with matrices, and complex values."""
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    kind = np.complex64 if is_complex else np.float32
    # What cannot be is told while the program is traced, not by a failing callback.
    recipe.moments(geometry)
    if is_complex:
        check_complex(recipe)

    def draw(words: np.ndarray) -> np.ndarray:
        high, low = (int(word) for word in np.asarray(words))
        key = high << 32 | low
        drawn = draw_complex(recipe, geometry, key) if is_complex else recipe.draw(geometry, key)
        return np.asarray(drawn, dtype=kind)

    return jax.pure_callback(draw, jax.ShapeDtypeStruct(geometry.shape, kind), words, vmap_method="sequential")


def _placed(
    recipe: Recipe, shape: tuple[int, ...], in_axis: Axis, out_axis: Axis, batch_axis: Axis
) -> tuple[Recipe, Geometry]:
    """The recipe and the roles of all axes; none for a recipe that suits any shape where there are no such axes."""
    dimensions = len(shape)
    roles = [(axis,) if isinstance(axis, int) else tuple(axis) for axis in (in_axis, out_axis, batch_axis)]
    if any(not -dimensions <= axis < dimensions for axes in roles for axis in axes):
        if needs_axes(recipe):
            raise ShapeError(
                message(
                    f"init: shape must have the axes in_axis={in_axis}, out_axis={out_axis}, "
                    f"batch_axis={batch_axis} for {recipe.describe()}; got {shape}.",
                    because="fans and matrices are made of sizes of these axes",
                    hint="penstock.jax.zeros for biases, penstock.jax.normal(0.02) for any shape",
                )
            )
        return recipe, Geometry(shape)
    into, out, batch = (tuple(axis % dimensions for axis in axes) for axes in roles)
    if set(into) == set(out):
        # As in Flax's embedding, in_axis=-2 and out_axis=0 of (words, features). JAX divides the number of elements by
        # an axis once for each role it has, and both fans are then the product of the axes that are left.
        left = tuple(axis for axis in range(dimensions) if axis not in {*out, *batch})
        scaling = replace(recipe, mode="fan_in") if isinstance(recipe, VarianceScaling) else recipe
        return scaling, Geometry(shape, in_axes=left, out_axes=out, batch_axes=batch)
    taps = tuple(axis for axis in range(dimensions) if axis not in {*into, *out, *batch})
    return recipe, Geometry(shape, in_axes=into, out_axes=out, window_axes=taps, batch_axes=batch)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = (-1,)
    if any(size < 0 for size in sizes):
        raise ShapeError(message(f"init: shape must be a tuple of sizes >= 0; got {shape!r}.", hint="init(key, (4,))"))
    return sizes


def _kind(dtype: Any) -> np.dtype[Any]:
    kind = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.inexact):
        raise ArgumentError(
            message(f"init: dtype must be floating-point or complex; got {kind}.", hint="init(key, shape, jnp.float32)")
        )
    return kind


def _plain(axis: Axis) -> Axis:
    return operator.index(axis) if not isinstance(axis, Sequence) else tuple(operator.index(each) for each in axis)
