"""Draw a recipe's values straight into a tensor: the one place where `penstock.torch.init` writes."""

from __future__ import annotations

import math
import operator
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import SupportsIndex, TypedDict

import torch

from penstock.errors import ArgumentError, ShapeError, UnsupportedError, message
from penstock.geometry import Geometry
from penstock.randomness import Window, key_for
from penstock.recipes import Constant, Identity, Recipe
from penstock.recipes.arguments import no_more
from penstock.recipes.bounded_normal import BoundedNormal
from penstock.recipes.complex_values import draw_complex
from penstock.recipes.normal import Normal
from penstock.recipes.scaling import VarianceScaling
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform
from penstock.recipes.uniform_between import UniformBetween
from penstock.recipes.zero_rows import ZeroRows
from penstock.torch.init.memory import fill_memory
from penstock.torch.init.shards import is_dtensor, pieces, shared_key

_PIECE = 2**22
"""Elements drawn at a time: 16 MiB of float32 beside the tensor itself."""
_SMALL = 2**12
"""Up to so many elements drawing beside the tensor costs less than looking at its memory (empirical)."""
# Recipes whose elements do not depend on each other: any window costs only itself.
_ELEMENTWISE = (Constant, Normal, BoundedNormal, TruncatedNormal, Uniform, UniformBetween, VarianceScaling)


class Keyed(TypedDict, total=False):
    """Where values come from, other than from a generator.

    Attributes:
        key: 64 bits, taken as they are.
        seed: 0 <= seed < 2**64; with `name` it gives the key `key_for(seed, name)`, as in every other door.
        name: the parameter's name; "" if left out.
    """

    key: int | None
    seed: SupportsIndex | None
    name: str


class Axes(TypedDict, total=False):
    """The roles of a weight's axes, where they are not PyTorch's (out, in, *taps). Negative ones count from the end.

    Attributes:
        in_axes: axes that are summed over; 1, or 0 if transposed.
        out_axes: axes that index output units; 0, or 1 if transposed.
        batch_axes: axes of independent weights (experts, heads); in no fan. All axes without another role are taps.
        groups: groups of a grouped convolution.
        stride: product of a convolution's strides.
        transposed: weight of a transposed convolution, (in, out / groups, *taps).
        lookup: an embedding (rows, features): fan_in is 1.
    """

    in_axes: int | Sequence[int] | None
    out_axes: int | Sequence[int] | None
    batch_axes: int | Sequence[int]
    groups: int
    stride: int
    transposed: bool
    lookup: bool


class Options(Keyed, Axes, total=False):
    """`Keyed` and `Axes` together."""


def weight_geometry(
    function: str,
    tensor: torch.Tensor,
    *,
    in_axes: int | Sequence[int] | None = None,
    out_axes: int | Sequence[int] | None = None,
    batch_axes: int | Sequence[int] = (),
    groups: int = 1,
    stride: int = 1,
    transposed: bool = False,
    lookup: bool = False,
    **unknown: object,
) -> Geometry:
    """The roles of a weight's axes: PyTorch's (out, in, *taps), or what is declared.

    Raises:
        ShapeError: if there are fewer than 2 axes, or the roles do not fit.
        UnsupportedError: if there are other arguments.
    """
    no_more(function, unknown, Options.__annotations__)
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ShapeError(
            message(
                f"{function}: tensor must have 2 dimensions or more; got shape {shape}.",
                because="fan in and fan out are the sizes of an input and of an output axis",
                hint="init.normal_(tensor, std=0.02) or init.zeros_(tensor), which need no fans",
            )
        )
    # An embedding's rows are its inputs, as those of a transposed weight are.
    default_in, default_out = (0, 1) if transposed or lookup else (1, 0)
    inputs = _axes(function, "in_axes", default_in if in_axes is None else in_axes, len(shape))
    outputs = _axes(function, "out_axes", default_out if out_axes is None else out_axes, len(shape))
    batch = _axes(function, "batch_axes", batch_axes, len(shape))
    if groups < 1 or stride < 1:
        raise ShapeError(message(f"{function}: groups and stride must be >= 1; got {groups} and {stride}."))
    held = inputs if transposed else outputs
    if groups > 1 and shape[held[0]] % groups:
        raise ShapeError(message(f"{function}: groups must divide axis {held[0]}; got {groups} for shape {shape}."))
    return Geometry(
        shape,
        in_axes=inputs,
        out_axes=outputs,
        window_axes=tuple(axis for axis in range(len(shape)) if axis not in inputs + outputs + batch),
        batch_axes=batch,
        groups=groups,
        split="out" if transposed else "in",
        stride=stride,
        transposed=transposed,
        lookup=lookup,
    )


def write(
    function: str,
    tensor: torch.Tensor,
    recipe: Recipe,
    geometry: Geometry,
    generator: torch.Generator | None,
    *,
    key: int | None = None,
    seed: SupportsIndex | None = None,
    name: str | None = None,
    **unknown: object,
) -> torch.Tensor:
    """Write a recipe's values into a tensor, this rank's part only if it is sharded.

    Raises:
        UnsupportedError: if the tensor is none, or of integers and the values random; if it is a DTensor with pending
            sums; if the generator is none; if there are other arguments.
        ArgumentError: if more than one of generator, key and seed is given.
    """
    no_more(function, unknown, Keyed.__annotations__)
    _check_kinds(function, tensor, generator)
    rows: tuple[int, ...] = ()
    across = 0
    if type(recipe) is ZeroRows:  # its part is drawn the fast way, then the rows are cleared
        rows, across, recipe = recipe.rows, recipe.axis(geometry), recipe.part
    fixed = type(recipe) in (Constant, Identity)
    if not fixed and not tensor.is_floating_point() and not tensor.is_complex():
        raise UnsupportedError(
            message(
                f"{function}: tensor must be of a floating-point or complex type; got {tensor.dtype}.",
                hint="fill a float32 tensor, then convert it",
            )
        )
    _one_source(function, generator, key, seed, name)
    if tensor.is_meta or tensor.numel() == 0:
        return tensor
    _warn_if_computed(function, tensor)
    with torch.no_grad():
        targets = list(pieces(tensor))
        number = 0 if fixed else _key(tensor, generator, key, seed, name)
        for target, window in targets:
            if target.numel() <= _SMALL or not fill_memory(target, recipe, geometry, number, window):
                _copy(target, recipe, geometry, number, window)
            if type(recipe) is UniformBetween:
                _below(target, recipe.high)
            _clear(target, rows, across, window)
    return tensor


def _check_kinds(function: str, tensor: object, generator: object) -> None:
    if not isinstance(tensor, torch.Tensor):
        fact = f"{function}: tensor must be a torch.Tensor; got {type(tensor).__name__}."
        raise UnsupportedError(message(fact, hint=f"penstock.numpy for arrays; init.{function}(layer.weight)"))
    if generator is not None and not isinstance(generator, torch.Generator):
        fact = f"{function}: generator must be a torch.Generator or None; got {generator!r}."
        raise UnsupportedError(message(fact, hint="seed=0, name='layers.0.weight'"))


def _clear(target: torch.Tensor, rows: Sequence[int], axis: int, window: Window | None) -> None:
    """Set rows of the whole tensor to zero, those that lie in this window."""
    first = 0 if window is None else window[axis].start
    for row in rows:
        if 0 <= row - first < target.shape[axis]:
            target.select(axis, row - first).zero_()


def _copy(target: torch.Tensor, recipe: Recipe, geometry: Geometry, key: int, window: Window | None) -> None:
    """Draw values beside the tensor and let PyTorch convert, stride and send them to its device."""
    draw = draw_complex if target.is_complex() else type(recipe).draw
    for part, box in _in_pieces(target, window, geometry, recipe):
        part.copy_(torch.from_numpy(draw(recipe, geometry, key, window=box)))


def _in_pieces(
    target: torch.Tensor, window: Window | None, geometry: Geometry, recipe: Recipe
) -> Iterator[tuple[torch.Tensor, Window | None]]:
    """Cut along the first axis, so that the drawn float32 values never stand beside all of a large tensor."""
    if not isinstance(recipe, _ELEMENTWISE) or target.numel() <= _PIECE or target.dim() == 0:
        yield target, window
        return
    whole = window or tuple(slice(0, size) for size in geometry.shape)
    rows = max(1, _PIECE // max(1, math.prod(target.shape[1:])))
    for begin in range(0, target.shape[0], rows):
        end = min(begin + rows, target.shape[0])
        yield target[begin:end], (slice(whole[0].start + begin, whole[0].start + end), *whole[1:])


def _key(
    tensor: torch.Tensor,
    generator: torch.Generator | None,
    key: int | None,
    seed: SupportsIndex | None,
    name: str | None,
) -> int:
    """The key given, or one 64-bit draw from the generator (PyTorch's default one on the CPU for None)."""
    if key is not None:
        return operator.index(key)
    if seed is not None:
        return key_for(seed, name or "")
    device = generator.device if generator is not None else "cpu"
    drawn = torch.empty((), dtype=torch.int64, device=device).random_(-(2**63), None, generator=generator)
    number = int(drawn.item()) + 2**63
    return shared_key(tensor, number) if is_dtensor(tensor) else number


def _one_source(function: str, generator: object, key: object, seed: object, name: object) -> None:
    given = [text for text, value in (("generator", generator), ("key", key), ("seed", seed)) if value is not None]
    if len(given) > 1 or (name is not None and seed is None):
        got = ", ".join([*given, *(["name"] if name is not None else [])])
        raise ArgumentError(
            message(
                f"{function}: values must come from one of generator, key, or seed (with name); got {got}.",
                hint=f"{function}(tensor, seed=0, name='layers.0.weight')",
            )
        )
    if key is not None and not (isinstance(key, int) and 0 <= key < 2**64):
        raise ArgumentError(
            message(f"{function}: key must be an integer with 0 <= key < 2**64; got {key!r}.", hint="seed=0, name='w'")
        )


def _below(target: torch.Tensor, high: float) -> None:
    """Rounding to a half type may reach the end that is left out: take the largest value below it."""
    if target.is_complex() or target.dtype in (torch.float32, torch.float64):
        return
    end = torch.tensor(high, dtype=target.dtype)
    below = torch.nextafter(end, torch.tensor(-math.inf, dtype=target.dtype)) if float(end) >= high else end
    target.clamp_(max=float(below))


def _warn_if_computed(function: str, tensor: torch.Tensor) -> None:
    """A tensor with a gradient function that is no view is a result: what is written to it reaches no parameter."""
    if tensor.grad_fn is None or tensor._is_view():
        return
    warnings.warn(
        message(
            f"{function}: the tensor is computed ({type(tensor.grad_fn).__name__}), so no parameter is written.",
            because="a parametrized weight, or one converted to another type, is a new tensor each time",
            hint=f"init.through_(layer, 'weight', {function.rpartition('.')[2]})",
        ),
        UserWarning,
        stacklevel=callers_level(),
    )


def callers_level() -> int:
    """The `stacklevel` at which a warning names the line outside penstock, however deep it is given."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("penstock."):
        level, frame = level + 1, frame.f_back
    return level


def _axes(function: str, argument: str, value: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    axes = tuple(value) if isinstance(value, Sequence) else (value,)
    for axis in axes:
        if not -ndim <= operator.index(axis) < ndim:
            raise ShapeError(message(f"{function}: {argument} must lie in {-ndim}..{ndim - 1}; got {axis}."))
    return tuple(operator.index(axis) % ndim for axis in axes)
