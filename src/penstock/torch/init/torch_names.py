"""Every name of `torch.nn.init`, with its arguments, defaults, laws and warnings, on penstock's random numbers.

`penstock.torch.init` says what is the same and what differs.
"""

from __future__ import annotations

import math
import warnings
from typing import Unpack

import torch

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes import Constant, Identity, Normal, Recipe, Uniform, VarianceScaling
from penstock.recipes.arguments import built
from penstock.recipes.bounded_normal import bounded
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.sparse import Sparse
from penstock.recipes.uniform_between import UniformBetween
from penstock.torch.init.gain import FanMode, Nonlinearity, calculate_gain, fan_mode
from penstock.torch.init.write import Keyed, callers_level, weight_geometry, write

_STD = {"sigma": "std"}
_ENDS = {"bound": "b", "low": "a", "high": "b"}
"""PyTorch's names of the recipes' fields."""


def uniform_(
    tensor: torch.Tensor,
    a: float = 0.0,
    b: float = 1.0,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with U[a, b). Never b, and for a = 0 never 0, also in half types.

    Examples:
        >>> w = uniform_(torch.empty(100), -1.0, 1.0, seed=0)
        >>> bool((w.abs() < 1).all())
        True
    """
    hint = "init.uniform_(tensor, -0.1, 0.1)"
    recipe: Recipe
    if a == -b and b >= 0:
        recipe = built("uniform_", _ENDS, hint, Uniform, b)
    else:
        recipe = built("uniform_", _ENDS, hint, UniformBetween, a, b)
    return write("uniform_", tensor, recipe, Geometry(tuple(tensor.shape)), generator, **keyed)


def normal_(
    tensor: torch.Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with N(mean, std^2), tails out to 6.3 std.

    Examples:
        >>> normal_(torch.empty(2), std=0.02, seed=0).shape
        torch.Size([2])
    """
    recipe = built("normal_", _STD, "init.normal_(tensor, std=0.02)", Normal, std, mean)
    return write("normal_", tensor, recipe, Geometry(tuple(tensor.shape)), generator, **keyed)


def trunc_normal_(
    tensor: torch.Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with N(mean, std^2) given a <= w <= b. The bounds are values, and std is that before the cut.

    So `std=0.02` with the default bounds cuts nothing: they lie at 100 std. No rejection: the time does not depend on
    the bounds.

    Examples:
        >>> w = trunc_normal_(torch.empty(1000), std=0.02, a=-0.04, b=0.04, seed=0)
        >>> bool(w.abs().max() <= 0.04)
        True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in trunc_normal_: few or no values of the whole law lie there.",
            UserWarning,
            stacklevel=callers_level(),
        )
    hint = "init.trunc_normal_(tensor, std=0.02, a=-0.04, b=0.04)"
    recipe = built("trunc_normal_", _STD | _ENDS, hint, bounded, mean, std, a, b)
    return write("trunc_normal_", tensor, recipe, Geometry(tuple(tensor.shape)), generator, **keyed)


def constant_(tensor: torch.Tensor, val: float) -> torch.Tensor:
    """Fill with one value."""
    with torch.no_grad():
        return tensor.fill_(val)


def ones_(tensor: torch.Tensor) -> torch.Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: torch.Tensor) -> torch.Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: torch.Tensor) -> torch.Tensor:
    """Fill a matrix with the identity: as many inputs as possible are passed on.

    Raises:
        ShapeError: if there are not 2 dimensions.
    """
    _needs_dimensions("eye_", tensor, (2,), "init.dirac_(tensor), for convolutions")
    return write("eye_", tensor, Identity(), weight_geometry("eye_", tensor), None)


def dirac_(tensor: torch.Tensor, groups: int = 1) -> torch.Tensor:
    """Fill a convolution's weight so that each group passes on as many of its inputs as possible.

    Raises:
        ShapeError: if there are not 3 to 5 dimensions, or groups do not divide the first.
    """
    _needs_dimensions("dirac_", tensor, (3, 4, 5), "init.eye_(tensor), for matrices")
    return write("dirac_", tensor, Identity(), weight_geometry("dirac_", tensor, groups=groups), None)


def xavier_uniform_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with U(-b, b), b = gain sqrt(6 / (fan_in + fan_out)); `glorot_uniform_` takes axis roles too.

    Raises:
        ShapeError: if there are fewer than 2 dimensions.
    """
    recipe = built("xavier_uniform_", {}, "init.xavier_uniform_(tensor)", VarianceScaling, gain, "fan_avg", "uniform")
    return _scaled("xavier_uniform_", tensor, recipe, generator, keyed)


def xavier_normal_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)); `glorot_normal_` takes axis roles too.

    Raises:
        ShapeError: if there are fewer than 2 dimensions.
    """
    recipe = built("xavier_normal_", {}, "init.xavier_normal_(tensor)", VarianceScaling, gain, "fan_avg", "normal")
    return _scaled("xavier_normal_", tensor, recipe, generator, keyed)


def kaiming_uniform_(
    tensor: torch.Tensor,
    a: float = 0,
    mode: FanMode = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with U(-b, b), b = gain sqrt(3 / fan); `he_uniform_` takes axis roles too.

    Raises:
        ShapeError: if there are fewer than 2 dimensions.
        ArgumentError: if the mode or the nonlinearity is unknown.
    """
    if warned_of_empty(tensor):
        return tensor
    recipe = VarianceScaling(calculate_gain(nonlinearity, a), fan_mode("kaiming_uniform_", mode), "uniform")
    return _scaled("kaiming_uniform_", tensor, recipe, generator, keyed)


def kaiming_normal_(
    tensor: torch.Tensor,
    a: float = 0,
    mode: FanMode = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with N(0, std^2), std = gain / sqrt(fan); `he_normal_` takes axis roles too.

    Raises:
        ShapeError: if there are fewer than 2 dimensions.
        ArgumentError: if the mode or the nonlinearity is unknown.
    """
    if warned_of_empty(tensor):
        return tensor
    recipe = VarianceScaling(calculate_gain(nonlinearity, a), fan_mode("kaiming_normal_", mode), "normal")
    return _scaled("kaiming_normal_", tensor, recipe, generator, keyed)


def orthogonal_(
    tensor: torch.Tensor,
    gain: float = 1,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill with gain Q, Q Haar-distributed with orthonormal rows or columns; trailing dimensions are flattened.

    Half types are made in float64 and rounded once; complex ones are unitary. -Q has the law of Q, so the sign of
    `gain` plays no part.

    Raises:
        ShapeError: if there are fewer than 2 dimensions.
    """
    recipe = built("orthogonal_", {}, "init.orthogonal_(tensor)", SemiOrthogonal, abs(gain))
    return _scaled("orthogonal_", tensor, recipe, generator, keyed)


def sparse_(
    tensor: torch.Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: torch.Generator | None = None,
    **keyed: Unpack[Keyed],
) -> torch.Tensor:
    """Fill a matrix with N(0, std^2), then put ceil(sparsity rows) zeros at random places of each column.

    Raises:
        ShapeError: if there are not 2 dimensions.
        ArgumentError: if the sparsity is not within 0..1.
    """
    _needs_dimensions("sparse_", tensor, (2,), "init.fill_(tensor, penstock.recipes.Sparse(15))")
    rows = tensor.shape[0]
    if not 0.0 <= sparsity <= 1.0:
        fact = f"sparse_: sparsity must lie within 0..1; got {sparsity!r}."
        raise ArgumentError(message(fact, hint="init.sparse_(tensor, 0.9)"))
    nonzero = rows - math.ceil(sparsity * rows)
    hint = "init.sparse_(tensor, 0.9, std=0.01)"
    recipe = built("sparse_", {"gain": "std"}, hint, Sparse, max(1, nonzero), "input", std)
    recipe = recipe if nonzero else Constant(0.0)
    return _scaled("sparse_", tensor, recipe, generator, keyed)


def warned_of_empty(tensor: torch.Tensor) -> bool:
    """Whether a tensor has no elements; then PyTorch's warning was given."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", UserWarning, stacklevel=callers_level())
        return True
    return False


def _scaled(
    function: str, tensor: torch.Tensor, recipe: Recipe, generator: torch.Generator | None, keyed: Keyed
) -> torch.Tensor:
    return write(function, tensor, recipe, weight_geometry(function, tensor), generator, **keyed)


def _needs_dimensions(function: str, tensor: torch.Tensor, allowed: tuple[int, ...], hint: str) -> None:
    if tensor.dim() not in allowed:
        wanted = " or ".join(map(str, allowed))
        fact = f"{function}: tensor must have {wanted} dimensions; got {tuple(tensor.shape)}."
        raise ShapeError(message(fact, hint=hint))
