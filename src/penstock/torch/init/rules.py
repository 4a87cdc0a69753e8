"""penstock's own rules in PyTorch's form: in place, with the roles of the axes, and through parametrizations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Unpack

import torch
from torch import nn
from torch.nn.utils import parametrize

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.geometry import Geometry
from penstock.randomness import Distribution
from penstock.recipes import (
    Orthogonal,
    Recipe,
    TruncatedNormal,
    VarianceScaling,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)
from penstock.recipes.arguments import built, no_more
from penstock.recipes.scaling import Mode
from penstock.torch.init.torch_names import warned_of_empty
from penstock.torch.init.write import Keyed, Options, weight_geometry, write

P = ParamSpec("P")
_KEYED = Keyed.__annotations__
_KNOWN = frozenset(Options.__annotations__)


def fill_(
    tensor: torch.Tensor,
    recipe: Recipe,
    generator: torch.Generator | None = None,
    *,
    geometry: Geometry | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """Fill with any recipe of `penstock.recipes`, or of another framework by `penstock.conventions.recipe_of`.

    Args:
        tensor: shape (out, in, *taps) unless `options` or `geometry` say otherwise; any shape for recipes without fans.
        recipe: the rule.
        generator: advanced by one draw; None for PyTorch's default one.
        geometry: the roles of all axes, e.g. from `penstock.fans(layer)["weight"].geometry`, fused blocks included.
        **options: `in_axes`, `out_axes`, `batch_axes`, `groups`, `stride`, `transposed`, `lookup`;
            `key`; `seed`, `name`.

    Returns:
        The tensor.

    Raises:
        ArgumentError: if a geometry and axes are given, or the geometry is of another shape.
        ShapeError: if the recipe needs fans or a matrix and the tensor has none.
        UnsupportedError: if `recipe` is none.

    Examples:
        >>> from penstock.recipes import Normal
        >>> fill_(torch.empty(3), Normal(0.02), seed=0).shape
        torch.Size([3])
    """
    if not isinstance(recipe, Recipe):
        fact = f"fill_: recipe must be one of penstock.recipes; got {recipe!r}."
        raise UnsupportedError(message(fact, hint="init.fill_(tensor, penstock.recipes.Normal(0.02))"))
    keyed, axes = _parted("fill_", options)
    if geometry is not None and (axes or geometry.shape != tuple(tensor.shape)):
        raise ArgumentError(
            message(
                f"fill_: geometry must be of the tensor's shape {tuple(tensor.shape)} and stand without axes; got "
                f"shape {geometry.shape} and {', '.join(axes) or 'no axes'}."
            )
        )
    if geometry is None:
        plain = tensor.dim() < 2 and not axes
        geometry = Geometry(tuple(tensor.shape)) if plain else weight_geometry("fill_", tensor, **axes)
    return write("fill_", tensor, recipe, geometry, generator, **keyed)


def he_normal_(
    tensor: torch.Tensor,
    negative_slope: float = 0.0,
    mode: Mode = "fan_in",
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    r"""Fill with He's rule: keeps E[x^2] through layers fed by (leaky) ReLU.

    .. math::  w \sim N(0, \sigma^2), \quad \sigma = \sqrt{2 / ((1 + a^2)\, \mathrm{fan})}

    Args:
        tensor: shape (out, in, *taps), unless `options` declare other roles.
        negative_slope: a, the slope for negative inputs.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient, "fan_avg" and "fan_geo" lie between.
        generator: advanced by one draw; None for PyTorch's default one.
        **options: `in_axes`, `out_axes`, `batch_axes`, `groups`, `stride`, `transposed`, `lookup`;
            `key`; `seed`, `name`.

    Returns:
        The tensor.

    Raises:
        ShapeError: if there are fewer than 2 dimensions or the roles do not fit.

    Examples:
        >>> experts = he_normal_(torch.empty(8, 64, 512), in_axes=2, out_axes=1, batch_axes=0, seed=0, name="experts")
        >>> round(float(experts.std()), 3)
        0.063

    Source:
        He, Zhang, Ren, Sun 2015, eq. 10, 14 and 15, https://arxiv.org/abs/1502.01852
    """
    recipe = built("he_normal_", {}, "init.he_normal_(tensor)", he_normal, negative_slope=negative_slope, mode=mode)
    return _rule("he_normal_", tensor, recipe, generator, options)


def he_uniform_(
    tensor: torch.Tensor,
    negative_slope: float = 0.0,
    mode: Mode = "fan_in",
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """As `he_normal_`, with uniform elements: bound sqrt(6 / ((1 + a^2) fan))."""
    recipe = built("he_uniform_", {}, "init.he_uniform_(tensor)", he_uniform, negative_slope=negative_slope, mode=mode)
    return _rule("he_uniform_", tensor, recipe, generator, options)


def glorot_normal_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """As `he_normal_`, with Glorot's std = gain sqrt(2 / (fan_in + fan_out)): between signal and gradient."""
    recipe = built("glorot_normal_", {}, "init.glorot_normal_(tensor)", glorot_normal, gain=gain)
    return _rule("glorot_normal_", tensor, recipe, generator, options)


def glorot_uniform_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """As `glorot_normal_`, with uniform elements: bound gain sqrt(6 / (fan_in + fan_out))."""
    recipe = built("glorot_uniform_", {}, "init.glorot_uniform_(tensor)", glorot_uniform, gain=gain)
    return _rule("glorot_uniform_", tensor, recipe, generator, options)


def lecun_normal_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """As `he_normal_`, with LeCun's std = gain / sqrt(fan_in), for linear layers and SELU. Not truncated."""
    recipe = built("lecun_normal_", {}, "init.lecun_normal_(tensor)", lecun_normal, gain=gain)
    return _rule("lecun_normal_", tensor, recipe, generator, options)


def lecun_uniform_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """As `lecun_normal_`, with uniform elements: bound gain sqrt(3 / fan_in)."""
    recipe = built("lecun_uniform_", {}, "init.lecun_uniform_(tensor)", lecun_uniform, gain=gain)
    return _rule("lecun_uniform_", tensor, recipe, generator, options)


def variance_scaling_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Distribution = "normal",
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """Fill with std = gain / sqrt(fan), whatever the distribution; `gain` is the root of JAX's and Keras's `scale`.

    Args, result and errors as `he_normal_`.

    Examples:
        >>> w = variance_scaling_(torch.empty(64, 256), 2.0, distribution="truncated_normal", seed=0)
        >>> round(float(w.std()), 2)
        0.12
    """
    hint = "init.variance_scaling_(tensor, 1.0)"
    recipe = built("variance_scaling_", {}, hint, VarianceScaling, gain, mode, distribution)
    return _rule("variance_scaling_", tensor, recipe, generator, options)


def truncated_normal_(
    tensor: torch.Tensor,
    std: float = 1.0,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with a normal law cut at two of its standard deviations; `std` is that of the values, after the cut."""
    hint = "init.truncated_normal_(tensor, std=0.02)"
    recipe = built("truncated_normal_", {"sigma": "std"}, hint, TruncatedNormal, std)
    return write("truncated_normal_", tensor, recipe, Geometry(tuple(tensor.shape)), generator, **keyed)


def scaled_orthogonal_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> torch.Tensor:
    """Fill with orthogonal matrices that keep the RMS: `orthogonal_` times max(1, sqrt(out / in)).

    Each group and each stacked weight gets its own matrix. Args, result and errors as `he_normal_`.
    """
    recipe = built("scaled_orthogonal_", {}, "init.scaled_orthogonal_(tensor)", Orthogonal, gain)
    return _rule("scaled_orthogonal_", tensor, recipe, generator, options)


def through_(
    module: nn.Module,
    name: str,
    initializer: Callable[Concatenate[torch.Tensor, P], Any],
    *args: P.args,
    **kwargs: P.kwargs,
) -> torch.Tensor:
    """Initialize a parameter through its parametrizations, so that the layer's weight has the values drawn.

    A parametrized weight (weight norm, spectral norm, orthogonal) is computed anew at each use; what an initializer
    writes to it is lost. Here the values are drawn beside it and assigned, which runs each parametrization's
    `right_inverse`. What the parametrization cannot represent it changes: a spectral norm divides by the largest
    singular value. For the older `weight_norm` and `spectral_norm`, which are hooks, g and v, or the original, are set.

    Args:
        module: the layer that owns the parameter.
        name: e.g. "weight"; may be one without any parametrization.
        initializer: of this module, or any function that fills a tensor in place.
        *args: for the initializer.
        **kwargs: for the initializer.

    Returns:
        The parameter as the layer now computes it.

    Raises:
        UnsupportedError: if a parametrization has no `right_inverse`.

    Examples:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        >>> through_(layer, "weight", he_normal_, seed=0).shape
        torch.Size([3, 4])
    """
    if parametrize.is_parametrized(module, name):
        values = torch.empty_like(getattr(module, name).detach())
        initializer(values, *args, **kwargs)
        try:
            setattr(module, name, values)
        except (RuntimeError, NotImplementedError) as error:
            raise UnsupportedError(
                message(
                    f"through_: the parametrization of {name!r} in {type(module).__name__} cannot be inverted: {error}",
                    hint=f"initialize layer.parametrizations.{name}.original yourself",
                )
            ) from error
        return getattr(module, name)
    original = getattr(module, f"{name}_v", None) if hasattr(module, f"{name}_g") else None
    if isinstance(original, torch.Tensor):
        initializer(original, *args, **kwargs)
        lengths = getattr(module, f"{name}_g")
        kept = [axis for axis in range(original.dim()) if lengths.dim() and lengths.shape[axis] > 1]
        summed = [axis for axis in range(original.dim()) if axis not in kept]
        with torch.no_grad():
            lengths.copy_(torch.linalg.vector_norm(original, dim=summed, keepdim=bool(lengths.dim())))
        return original
    target = getattr(module, f"{name}_orig", None)
    return initializer(getattr(module, name) if target is None else target, *args, **kwargs)


def _rule(
    function: str, tensor: torch.Tensor, recipe: Recipe, generator: torch.Generator | None, options: Options
) -> torch.Tensor:
    keyed, axes = _parted(function, options)
    if warned_of_empty(tensor):
        return tensor
    return write(function, tensor, recipe, weight_geometry(function, tensor, **axes), generator, **keyed)


def _parted(function: str, options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    """Where the values come from, and the roles of the axes."""
    given = dict(options)
    if not given.keys() <= _KNOWN:
        no_more(function, {name: given[name] for name in given if name not in _KNOWN}, _KNOWN)
    return {k: v for k, v in given.items() if k in _KEYED}, {k: v for k, v in given.items() if k not in _KEYED}
