"""The rules that need fans or a matrix: all take `shape, dtype, rng, out, window` and the roles of the axes."""

from __future__ import annotations

import math
from typing import Literal, Unpack

import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.numpy.drawing import Array, Rng, Roles, Shape, draw
from penstock.randomness import Distribution, Window
from penstock.recipes import Identity, Orthogonal, VarianceScaling
from penstock.recipes import glorot_normal as _glorot_normal
from penstock.recipes import glorot_uniform as _glorot_uniform
from penstock.recipes import he_normal as _he_normal
from penstock.recipes import he_uniform as _he_uniform
from penstock.recipes import lecun_normal as _lecun_normal
from penstock.recipes import lecun_uniform as _lecun_uniform
from penstock.recipes.arguments import built
from penstock.recipes.delta_orthogonal import DeltaOrthogonal
from penstock.recipes.scaling import Mode
from penstock.recipes.semi_orthogonal import SemiOrthogonal


def he_normal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    negative_slope: float = 0.0,
    mode: Mode = "fan_in",
    **roles: Unpack[Roles],
) -> Array:
    r"""Draw He's rule: keeps E[x^2] through layers fed by (leaky) ReLU.

    .. math::  w \sim N(0, \sigma^2), \quad \sigma = \sqrt{2 / ((1 + a^2)\, \mathrm{fan})}

    Keras and JAX truncate under this name; `penstock.conventions.recipe_of("he_normal", convention="jax")` does too.

    Args:
        shape: of the whole weight, (*taps, in, out) unless `roles` say otherwise.
        dtype: float32, or that of `out`, if None.
        rng: None, a seed, a SeedSequence or a Generator.
        out: written and returned, if given.
        window: the part to make, one slice an axis; None for all.
        negative_slope: a, the slope for negative inputs.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient, "fan_avg" and "fan_geo" lie between.
        **roles: `name`, `in_axis`, `out_axis`, `batch_axis`, `groups`, `stride`, `transposed`, `lookup`.

    Returns:
        `out`, or a new array of the window's shape.

    Raises:
        ShapeError: if there are fewer than 2 axes, or the window, `out` or the roles do not fit.

    Examples:
        >>> whole = he_normal((512, 256), rng=0, name="dense.kernel")
        >>> shard = he_normal((512, 256), rng=0, name="dense.kernel", window=(slice(0, 128), slice(None)))
        >>> bool((shard == whole[:128]).all())
        True

    Source:
        He, Zhang, Ren, Sun 2015, eq. 10, 14 and 15, https://arxiv.org/abs/1502.01852
    """
    hint = "penstock.numpy.he_normal((256, 128))"
    recipe = built("he_normal", {}, hint, _he_normal, negative_slope=negative_slope, mode=mode)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def he_uniform(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    negative_slope: float = 0.0,
    mode: Mode = "fan_in",
    **roles: Unpack[Roles],
) -> Array:
    """As `he_normal`, with uniform elements: bound sqrt(6 / ((1 + a^2) fan))."""
    hint = "penstock.numpy.he_uniform((256, 128))"
    recipe = built("he_uniform", {}, hint, _he_uniform, negative_slope=negative_slope, mode=mode)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def glorot_normal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """As `he_normal`, with Glorot's std = gain sqrt(2 / (fan_in + fan_out)): between signal and gradient."""
    recipe = built("glorot_normal", {}, "penstock.numpy.glorot_normal((256, 128))", _glorot_normal, gain=gain)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def glorot_uniform(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """As `glorot_normal`, with uniform elements: bound gain sqrt(6 / (fan_in + fan_out))."""
    recipe = built("glorot_uniform", {}, "penstock.numpy.glorot_uniform((256, 128))", _glorot_uniform, gain=gain)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def lecun_normal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """As `he_normal`, with LeCun's std = gain / sqrt(fan_in), for linear layers and SELU. Not truncated."""
    recipe = built("lecun_normal", {}, "penstock.numpy.lecun_normal((256, 128))", _lecun_normal, gain=gain)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def lecun_uniform(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """As `lecun_normal`, with uniform elements: bound gain sqrt(3 / fan_in)."""
    recipe = built("lecun_uniform", {}, "penstock.numpy.lecun_uniform((256, 128))", _lecun_uniform, gain=gain)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def variance_scaling(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Distribution = "truncated_normal",
    **roles: Unpack[Roles],
) -> Array:
    """As `he_normal`, with std = sqrt(scale / fan) for each of the three distributions.

    `scale` is a variance, as in JAX and Keras. The truncated law is corrected for its cut.

    Raises:
        ArgumentError: if the scale is negative or a name is unknown.
    """
    hint = "penstock.numpy.variance_scaling((256, 128), scale=2.0)"
    recipe = built("variance_scaling", {"gain": "scale"}, hint, VarianceScaling, _root(scale), mode, distribution)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def orthogonal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    keep: Literal["norm", "rms"] = "norm",
    **roles: Unpack[Roles],
) -> Array:
    """Draw gain Q, Q Haar-distributed with orthonormal rows or columns.

    Args and result as `he_normal`. With keep="norm" all singular values equal `gain`, as in every framework; "rms"
    multiplies by max(1, sqrt(out / in)), so that the output's RMS is `gain` times the input's also where it is wider.

    Raises:
        ShapeError: if there are fewer than 2 axes or the roles do not fit.

    Examples:
        >>> w = orthogonal((4, 6), rng=0)
        >>> bool(abs(w @ w.T - eye((4, 4))).max() < 1e-6)
        True
    """
    return draw(_orthogonal(gain, keep), shape, dtype, rng, out, window, **roles)


def delta_orthogonal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """Draw a rotation on the centre tap of a convolution, zeros elsewhere: an exact isometry for in <= out.

    Source:
        Xiao et al. 2018, algorithm 2, https://arxiv.org/abs/1806.05393
    """
    recipe = built("delta_orthogonal", {}, "penstock.numpy.delta_orthogonal((3, 3, 16, 32))", DeltaOrthogonal, gain)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def identity(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    gain: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """Pass each input on to the output of its number, times the gain; convolutions on their centre tap, by group."""
    return draw(
        built("identity", {}, "penstock.numpy.identity((64, 64))", Identity, gain),
        shape,
        dtype,
        0,
        out,
        window,
        **roles,
    )


def _orthogonal(gain: float, keep: Literal["norm", "rms"]) -> Orthogonal | SemiOrthogonal:
    if keep not in ("norm", "rms"):
        raise ArgumentError(message(f"orthogonal: keep must be 'norm' or 'rms'; got {keep!r}."))
    kind = SemiOrthogonal if keep == "norm" else Orthogonal
    return built("orthogonal", {}, "penstock.numpy.orthogonal((64, 64))", kind, gain)


def _root(scale: float) -> float:
    if not scale >= 0.0:
        raise ArgumentError(message(f"variance_scaling: scale must be >= 0; got {scale!r}.", hint="scale=2.0"))
    return math.sqrt(scale)


kaiming_normal, kaiming_uniform = he_normal, he_uniform
xavier_normal, xavier_uniform = glorot_normal, glorot_uniform
eye = dirac = identity
