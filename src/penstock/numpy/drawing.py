"""Any recipe as a NumPy array: axis roles, seeds of every kind, windows, and writing in place."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, UnsupportedError, closest, message
from penstock.geometry import Geometry
from penstock.randomness import Window, key_for
from penstock.randomness.windows import checked_shape, checked_window
from penstock.recipes import Constant, Identity, Recipe
from penstock.recipes.complex_values import draw_complex
from penstock.recipes.recipe import needs_axes
from penstock.recipes.uniform_between import rounded

Rng = SupportsIndex | np.random.SeedSequence | np.random.Generator | None
Array = npt.NDArray[Any]
Axis = int | Sequence[int]
Shape = Sequence[int]

_OTHERS = "dtype rng out window std mean low high value gain scale mode distribution negative_slope keep std_is".split()
"""Arguments of the functions beside the roles."""


class Roles(TypedDict, total=False):
    """The parameter's name and the roles of its axes. Negative axes count from the end.

    Attributes:
        name: with one seed, parameters of different names get different values; "" if left out.
        in_axis: axis or axes that are summed over; -2 if left out.
        out_axis: axis or axes that index output units; -1 if left out.
        batch_axis: axes of independent weights (experts, heads). All axes without another role are taps.
        groups: groups of a grouped convolution, whose input axis (output axis, if transposed) holds one group only.
        stride: product of a convolution's strides.
        transposed: weight of a transposed convolution.
        lookup: an embedding, whose rows are picked and not summed: fan_in is 1.
    """

    name: str
    in_axis: Axis
    out_axis: Axis
    batch_axis: Axis
    groups: int
    stride: int
    transposed: bool
    lookup: bool


def draw(
    recipe: Recipe,
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    **roles: Unpack[Roles],
) -> Array:
    """Draw any recipe of `penstock.recipes`, or of another framework by `penstock.conventions.recipe_of`.

    Args:
        recipe: the rule.
        shape: of the whole weight, (*taps, in, out) unless `roles` say otherwise; fewer than 2 axes have no roles.
        dtype: a floating-point or complex type; float32, or that of `out`, if None.
        rng: None for fresh entropy, a seed, a SeedSequence, or a Generator, which is advanced by one draw.
        out: written and returned; of the window's shape.
        window: the part to make, one slice an axis; None for all.
        **roles: `name`, `in_axis`, `out_axis`, `batch_axis`, `groups`, `stride`, `transposed`, `lookup`.

    Returns:
        `out`, or a new array of the window's shape.

    Raises:
        ShapeError: if the shape, the window, `out` or the roles do not fit, or fans are needed and there are none.
        ArgumentError: if `rng` is no seed, or `dtype` is not that of `out`.
        UnsupportedError: if the type is neither floating-point nor complex, or `recipe` is none.

    Examples:
        >>> from penstock.recipes import Normal
        >>> draw(Normal(0.02), (3, 4), rng=0, name="wte").shape
        (3, 4)
    """
    if not isinstance(recipe, Recipe):
        fact = f"penstock.numpy.draw: recipe must be one of penstock.recipes; got {recipe!r}."
        raise UnsupportedError(message(fact, hint="penstock.numpy.draw(penstock.recipes.Normal(0.02), (4, 3))"))
    sizes = checked_shape("penstock.numpy.draw", shape)
    if len(sizes) < 2 and needs_axes(recipe):
        raise ShapeError(
            message(
                f"penstock.numpy: shape must have an input and an output axis for {recipe.describe()}; got {sizes}.",
                because="fans and matrices are made of their sizes",
                hint="penstock.numpy.zeros(shape) or penstock.numpy.normal(shape, std=0.02), which need no fans",
            )
        )
    geometry = _geometry(sizes, **roles)
    taken = checked_window("penstock.numpy.draw", sizes, window)
    kind = _dtype(recipe, dtype, out)
    if out is not None and out.shape != tuple(len(part) for part in taken):
        raise ShapeError(
            message(
                f"penstock.numpy.draw: out must have the shape of what is made, {tuple(len(p) for p in taken)}; "
                f"got {out.shape}."
            )
        )
    number = _key(rng, roles.get("name", ""))
    make = draw_complex if kind.kind == "c" else type(recipe).draw
    values = rounded(recipe, make(recipe, geometry, number, window=window), kind)
    if out is None:
        return values
    out[...] = values
    return out


def _geometry(
    sizes: tuple[int, ...],
    *,
    name: str = "",
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    groups: int = 1,
    stride: int = 1,
    transposed: bool = False,
    lookup: bool = False,
    **unknown: object,
) -> Geometry:
    if unknown:
        name = next(iter(unknown))
        near = closest(name, (*Roles.__annotations__, *_OTHERS)).partition("Known: ")[0]
        fact = f"penstock.numpy: unknown argument {name!r}."
        raise UnsupportedError(message(fact, hint=f"{near}help(penstock.numpy.he_normal) lists them."))
    if len(sizes) < 2:
        return Geometry(sizes)
    inputs, outputs, batch = (
        _axes(argument, axis, len(sizes))
        for argument, axis in (("in_axis", in_axis), ("out_axis", out_axis), ("batch_axis", batch_axis))
    )
    held = inputs if transposed else outputs
    if groups < 1 or stride < 1 or (groups > 1 and (not held or sizes[held[0]] % groups)):
        raise ShapeError(
            message(
                "penstock.numpy: groups must divide the axis that holds all of them, and stride be >= 1; got "
                f"groups={groups}, stride={stride} for shape {sizes}."
            )
        )
    return Geometry(
        sizes,
        in_axes=inputs,
        out_axes=outputs,
        window_axes=tuple(axis for axis in range(len(sizes)) if axis not in inputs + outputs + batch),
        batch_axes=batch,
        groups=groups,
        split="out" if transposed else "in",
        stride=stride,
        transposed=transposed,
        lookup=lookup,
    )


def _axes(argument: str, value: Axis, ndim: int) -> tuple[int, ...]:
    axes = tuple(value) if isinstance(value, Sequence) else (value,)
    for axis in axes:
        if not -ndim <= operator.index(axis) < ndim:
            raise ShapeError(message(f"penstock.numpy: {argument} must lie in {-ndim}..{ndim - 1}; got {axis}."))
    return tuple(operator.index(axis) % ndim for axis in axes)


def _dtype(recipe: Recipe, dtype: npt.DTypeLike | None, out: Array | None) -> np.dtype[Any]:
    if out is not None and not isinstance(out, np.ndarray):
        raise ArgumentError(message(f"penstock.numpy.draw: out must be a NumPy array; got {type(out).__name__}."))
    own = out.dtype if out is not None else np.dtype(np.float32)
    kind = own if dtype is None else np.dtype(dtype)
    if out is not None and kind != own:
        fact = f"penstock.numpy.draw: dtype must be that of out, {own}, or left out; got {kind}."
        raise ArgumentError(message(fact))
    if out is not None and not out.flags.writeable:
        raise ArgumentError(message("penstock.numpy.draw: out must be writable.", hint="out.copy()"))
    # bfloat16 is not NumPy's own: its kind is "V".
    if not isinstance(recipe, Constant | Identity) and kind.kind not in "fc" and kind.name != "bfloat16":
        raise UnsupportedError(
            message(f"penstock.numpy.draw: dtype must be floating-point or complex; got {kind}.", hint="np.float32")
        )
    return kind


def _key(rng: Rng, name: str) -> int:
    """One 64-bit seed from whatever was given, and the key of the parameter's name under it."""
    if rng is None:
        rng = np.random.SeedSequence()
    if isinstance(rng, np.random.SeedSequence):
        return key_for(int(rng.generate_state(1, np.uint64)[0]), name)
    if isinstance(rng, np.random.Generator):
        return key_for(int(rng.integers(0, 2**64, dtype=np.uint64)), name)
    try:
        return key_for(operator.index(rng), name)
    except TypeError:
        raise ArgumentError(
            message(
                "penstock.numpy: rng must be None, a seed with 0 <= seed < 2**64, a numpy.random.SeedSequence or a "
                f"numpy.random.Generator; got {type(rng).__name__}.",
                hint="rng=0, or rng=np.random.default_rng(0)",
            )
        ) from None
