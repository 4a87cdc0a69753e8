"""The names of `jax.nn.initializers`, with their arguments, defaults and laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.core import Tracer

from penstock.errors import ArgumentError, MissingFrameworkError, closest, message
from penstock.jax.initializer import Axis, Initializer
from penstock.randomness import Distribution
from penstock.randomness.transforms import TRUNCATED_CUT, TRUNCATED_STD
from penstock.recipes import Constant, Identity, Normal, Recipe, TruncatedNormal, VarianceScaling
from penstock.recipes.arguments import built
from penstock.recipes.bounded_normal import bounded
from penstock.recipes.delta_orthogonal import DeltaOrthogonal
from penstock.recipes.scaling import Mode
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.uniform_between import UniformBetween

FanMode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]

_MODES: dict[str, Mode] = {"fan_in": "fan_in", "fan_out": "fan_out", "fan_avg": "fan_avg", "fan_geo_avg": "fan_geo"}
_REACH = 9.0
"""No value of `normal` lies so many standard deviations out; a cut beyond changes nothing."""


def initializer(
    recipe: Recipe, in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None
) -> Initializer:
    """Any recipe of `penstock.recipes` as an initializer of JAX.

    Recipes with independent elements are compiled, sharded and differentiated like any JAX code. The others (orthogonal
    matrices, identities, state-space parameters) are drawn by NumPy on the host in a `jax.pure_callback`, whole.

    Args:
        recipe: the rule.
        in_axis: axis or axes that are summed over.
        out_axis: axis or axes that index output units.
        batch_axis: axis or axes of independent weights, such as experts; in no fan. All others are a window's taps.
        dtype: of the values, where the call names none; None for JAX's default.

    Returns:
        `init(key, shape, dtype=None, out_sharding=None)`.

    Raises:
        ArgumentError: if `recipe` is none.

    Examples:
        >>> from penstock.recipes import Normal
        >>> initializer(Normal(0.02))(jax.random.key(0), (4, 3)).shape
        (4, 3)
    """
    if not isinstance(recipe, Recipe):
        raise ArgumentError(
            message(
                f"initializer: recipe must be one of penstock.recipes; got {recipe!r}.",
                hint="penstock.jax.initializer(penstock.recipes.Normal(0.02))",
            )
        )
    return Initializer(recipe, in_axis, out_axis, batch_axis, dtype)


def variance_scaling(
    scale: Any,
    mode: FanMode,
    distribution: Distribution,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
) -> Initializer:
    r"""Independent elements whose variance follows from a fan.

    .. math::  \mathrm{std} = \sqrt{\mathrm{scale} / \mathrm{fan}}

    The same for all three distributions: the truncated one is corrected for its cut at two standard deviations.

    Args:
        scale: variance times fan, >= 0: the square of `penstock.recipes.VarianceScaling`'s gain. May be traced.
        mode: "fan_in", "fan_out", their mean "fan_avg", or the root of their product "fan_geo_avg".
        distribution: "normal", "truncated_normal" or "uniform". Complex values have E|w|^2 = std^2 and independent
            parts, where JAX takes a disk.
        in_axis: axis or axes that are summed over.
        out_axis: axis or axes that index output units.
        batch_axis: axis or axes of independent weights; in no fan. All others are a convolution's taps.
        dtype: of the values, where the call names none; None for JAX's default.

    Returns:
        `init(key, shape, dtype=None, out_sharding=None)`.

    Raises:
        ArgumentError: if the mode or the distribution is unknown, or scale is negative.

    Examples:
        >>> init = variance_scaling(2.0, "fan_in", "uniform")
        >>> w = init(jax.random.key(0), (600, 100))
        >>> bool(abs(w).max() <= 0.1)
        True

    Source:
        jax/_src/nn/initializers.py, `variance_scaling`
    """
    if mode not in _MODES:
        fact = f"variance_scaling: mode must be one of the known ones; got {mode!r}."
        raise ArgumentError(message(fact, hint=closest(str(mode), _MODES)))
    hint = 'penstock.jax.variance_scaling(2.0, "fan_in", "normal")'
    unit = built("variance_scaling", {}, hint, VarianceScaling, 1.0, _MODES[mode], distribution)
    if isinstance(scale, Tracer):
        return Initializer(unit, in_axis, out_axis, batch_axis, dtype, factor=jnp.sqrt(scale))
    variance = _number("variance_scaling", "scale", scale, at_least=0.0)
    return Initializer(unit.scaled(math.sqrt(variance)), in_axis, out_axis, batch_axis, dtype)


def he_normal(in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None) -> Initializer:
    """He's rule as JAX draws it, normal cut at two sigma and corrected: std = sqrt(2 / fan_in).

    The plain normal law is `variance_scaling(2.0, "fan_in", "normal")`. Arguments as of `variance_scaling`.

    Examples:
        >>> w = he_normal()(jax.random.key(0), (512, 256))
        >>> round(float(w.std()), 2)
        0.06
    """
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None) -> Initializer:
    """He's rule with uniform elements: bound sqrt(6 / fan_in). Arguments as of `variance_scaling`."""
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None) -> Initializer:
    """Glorot's rule as JAX draws it, truncated and corrected: std = sqrt(2 / (fan_in + fan_out))."""
    return variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def glorot_uniform(in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None) -> Initializer:
    """Glorot's rule with uniform elements: bound sqrt(6 / (fan_in + fan_out))."""
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None) -> Initializer:
    """LeCun's rule as JAX draws it, truncated and corrected: std = sqrt(1 / fan_in). Flax's default for weights."""
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def lecun_uniform(in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None) -> Initializer:
    """LeCun's rule with uniform elements: bound sqrt(3 / fan_in)."""
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Elements from N(0, stddev^2), for any shape. `stddev` may be traced."""
    if isinstance(stddev, Tracer):
        return Initializer(Normal(1.0), dtype=dtype, factor=stddev)
    return Initializer(Normal(_number("normal", "stddev", stddev, at_least=0.0)), dtype=dtype)


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Elements uniform on [0, scale), as JAX's function of this name: not symmetric. `scale` may be traced.

    For symmetric ones take `initializer(penstock.recipes.Uniform(bound))`.
    """
    if isinstance(scale, Tracer):
        return Initializer(UniformBetween(0.0, 1.0), dtype=dtype, factor=scale)
    end = _number("uniform", "scale", scale)
    return Initializer(UniformBetween(min(0.0, end), max(0.0, end)), dtype=dtype)


def truncated_normal(stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """Elements from a normal law cut at lower and upper times stddev.

    Args:
        stddev: before the cut, >= 0, as in JAX: cut at 2, values have std 0.8796 stddev. May be traced.
        dtype: of the values, where the call names none; None for JAX's default.
        lower: smallest value in units of stddev.
        upper: largest value in units of stddev, > lower.

    Examples:
        >>> w = truncated_normal(0.02)(jax.random.key(0), (300, 300))
        >>> round(float(w.std()), 4)
        0.0176
    """
    low = max(-_REACH, min(_REACH, _number("truncated_normal", "lower", lower, infinite=True)))
    high = max(-_REACH, min(_REACH, _number("truncated_normal", "upper", upper, infinite=True)))
    hint = "penstock.jax.truncated_normal(0.02, lower=-2.0, upper=2.0)"
    unit = built(
        "truncated_normal", {"sigma": "stddev", "low": "lower", "high": "upper"}, hint, bounded, 0.0, 1.0, low, high
    )
    if isinstance(stddev, Tracer):
        return Initializer(unit, dtype=dtype, factor=stddev)
    sigma = _number("truncated_normal", "stddev", stddev, at_least=0.0)
    if sigma == 0.0:
        return Initializer(Constant(0.0), dtype=dtype)
    if high == -low == TRUNCATED_CUT:
        return Initializer(TruncatedNormal(TRUNCATED_STD * sigma), dtype=dtype)
    return Initializer(bounded(0.0, sigma, low * sigma, high * sigma), dtype=dtype)


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Orthonormal rows or columns, whichever are fewer, times `scale`; Haar-distributed.

    The weight is a matrix of (all other axes) x (column_axis), as in JAX. Drawn on the host in float64; half types too.
    The law that keeps the RMS of widening layers is `initializer(penstock.recipes.Orthogonal(gain))`.

    Args:
        scale: every singular value, >= 0.
        column_axis: the axis of the columns, the outputs.
        dtype: of the values, where the call names none; None for JAX's default.
    """
    recipe = SemiOrthogonal(_number("orthogonal", "scale", scale, at_least=0.0))
    # Rows in the order of the other doors where the column axis is the usual one.
    return Initializer(recipe, -2 if column_axis == -1 else (), column_axis, (), dtype)


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """An orthogonal matrix on the centre tap of a convolution (*taps, in, out) and zeros elsewhere; in <= out.

    Args:
        scale: norm out over norm in, >= 0.
        column_axis: -1 or -2; the law is the same for both.
        dtype: of the values, where the call names none; None for JAX's default.

    Source:
        Xiao et al. 2018, algorithm 2, arXiv:1806.05393
    """
    if column_axis not in (-1, -2):
        raise ArgumentError(message(f"delta_orthogonal: column_axis must be -1 or -2; got {column_axis!r}."))
    return Initializer(DeltaOrthogonal(_number("delta_orthogonal", "scale", scale, at_least=0.0)), dtype=dtype)


def identity(
    gain: float = 1.0, in_axis: Axis = -2, out_axis: Axis = -1, batch_axis: Axis = (), dtype: Any = None
) -> Initializer:
    """Output d repeats input d, times the gain; for convolutions on the centre tap. JAX has no such function."""
    recipe = Identity(_number("identity", "gain", gain))
    return Initializer(recipe, in_axis, out_axis, batch_axis, dtype)


def constant(value: Any, dtype: Any = None) -> Initializer:
    """Every element equals `value`, which may be traced."""
    if isinstance(value, Tracer):
        return Initializer(Constant(1.0), dtype=dtype, factor=value)
    return Initializer(Constant(_number("constant", "value", value)), dtype=dtype)


zeros = Initializer(Constant(0.0))
"""Itself an initializer: `zeros(key, shape, dtype)`; the key may be None."""
ones = Initializer(Constant(1.0))
"""Itself an initializer: `ones(key, shape, dtype)`; the key may be None."""

kaiming_normal, kaiming_uniform = he_normal, he_uniform
xavier_normal, xavier_uniform = glorot_normal, glorot_uniform


def haiku(init: Callable[..., jax.Array]) -> Callable[[Sequence[int], Any], jax.Array]:
    """An initializer in Haiku's form, `w_init=haiku(he_normal())`: each call takes Haiku's next key.

    Haiku's `hk.Linear` and `hk.ConvND` have JAX's layout of axes.

    Args:
        init: an initializer of this module or of JAX.

    Returns:
        A function of shape and type.

    Raises:
        MissingFrameworkError: when called, if dm-haiku is not installed.
    """

    def w_init(shape: Sequence[int], dtype: Any) -> jax.Array:
        try:
            import haiku as hk
        except ImportError as error:
            raise MissingFrameworkError(
                message("haiku: dm-haiku is not installed.", hint="pip install dm-haiku")
            ) from error
        return init(hk.next_rng_key(), shape, dtype)

    return w_init


def _number(function: str, argument: str, value: Any, *, at_least: float = -math.inf, infinite: bool = False) -> float:
    """A Python, NumPy or JAX scalar as a float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number) or number < at_least or (math.isinf(number) and not infinite):
        bound = "" if at_least == -math.inf else f" >= {at_least:g}"
        fact = f"{function}: {argument} must be a finite number{bound}; got {value!r}."
        more = ', mode="fan_in", distribution="normal"' if function == "variance_scaling" else ""
        raise ArgumentError(message(fact, hint=f"penstock.jax.{function}({argument}=1.0{more})"))
    return number
