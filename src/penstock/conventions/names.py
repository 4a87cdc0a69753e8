"""What each framework draws under a name: one small function a rule, with the framework's own arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from penstock.conventions.seen import Convention, known
from penstock.errors import ArgumentError, message
from penstock.randomness import Distribution
from penstock.recipes import Constant, Identity, Normal, Recipe, Uniform, VarianceScaling
from penstock.recipes.bounded_normal import bounded
from penstock.recipes.delta_orthogonal import DeltaOrthogonal
from penstock.recipes.scaling import Mode
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.uniform_between import UniformBetween

Rule = Callable[..., Recipe]


def recipe_of(name: str, *, convention: Convention, **arguments: Any) -> Recipe:
    """The recipe that a framework means by a name, with the framework's own arguments and defaults.

    The fans are those of the geometry that the recipe is drawn with. Where the framework itself takes others (groups,
    transposed convolutions, fused gates), `as_seen_by` gives the geometry that it sees.

    Args:
        name: as in `torch.nn.init` (with or without its underscore), `keras.initializers`, `jax.nn.initializers`
            (Flax's are the same) or `hk.initializers`, in snake case; "he" and "glorot" also for PyTorch's "kaiming"
            and "xavier".
        convention: the framework.
        **arguments: by the framework's names.

    Returns:
        The recipe.

    Raises:
        ArgumentError: if the framework, the name or an argument is unknown.

    Examples:
        >>> recipe_of("he_normal", convention="torch").describe()
        'fan_in normal(gain=1.414)'
        >>> recipe_of("he_normal", convention="keras").describe()
        'fan_in truncated_normal(gain=1.414)'
        >>> recipe_of("truncated_normal", convention="jax", stddev=0.02).describe()
        'truncated_normal(std=0.01759)'

    Source:
        torch/nn/init.py; keras/src/initializers; jax/_src/nn/initializers.py; haiku/_src/initializers.py
    """
    rules = known("recipe_of", "convention", convention, RULES)
    rule = known("recipe_of", f"name (of {convention})", name.removesuffix("_"), rules)
    try:
        return rule(**arguments)
    except TypeError as error:
        text = str(error).replace(f"{rule.__qualname__}()", f"recipe_of({name!r}, convention={convention!r})")
        raise ArgumentError(message(f"recipe_of: {text}.")) from None


def names_of(convention: Convention) -> tuple[str, ...]:
    """The names that `recipe_of` knows of a framework.

    Examples:
        >>> "he_normal" in names_of("keras"), "he_normal" in names_of("haiku")
        (True, False)
    """
    return tuple(known("names_of", "convention", convention, RULES))


def _torch_trunc(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Recipe:
    return bounded(mean, std, a, b)


def _torch_normal(mean: float = 0.0, std: float = 1.0) -> Recipe:
    return Normal(std, mean)


def _torch_uniform(a: float = 0.0, b: float = 1.0) -> Recipe:
    return _between(a, b)


def _torch_kaiming(distribution: Distribution) -> Rule:
    def kaiming(a: float = 0.0, mode: Mode = "fan_in") -> Recipe:
        return VarianceScaling(math.sqrt(2.0 / (1.0 + a**2)), mode, distribution)

    return kaiming


def _torch_xavier(distribution: Distribution) -> Rule:
    def xavier(gain: float = 1.0) -> Recipe:
        return VarianceScaling(gain, "fan_avg", distribution)

    return xavier


def _identity() -> Recipe:
    return Identity()


def _orthogonal(argument: str) -> Rule:
    def orthogonal(**arguments: float) -> Recipe:
        unknown = set(arguments) - {argument}
        if unknown:
            raise TypeError(f"orthogonal() got an unexpected keyword argument {min(unknown)!r}")
        return SemiOrthogonal(arguments.get(argument, 1.0))

    return orthogonal


def _truncated(default: float) -> Rule:
    """`stddev` is that before the cut, and the bounds are in it (Keras has no choice of them)."""

    def truncated_normal(stddev: float = default, mean: float = 0.0, lower: float = -2.0, upper: float = 2.0) -> Recipe:
        return bounded(mean, stddev, mean + lower * stddev, mean + upper * stddev)

    return truncated_normal


def _jax_truncated(stddev: float = 1e-2, lower: float = -2.0, upper: float = 2.0) -> Recipe:
    return bounded(0.0, stddev, lower * stddev, upper * stddev)


def _normal(default: float) -> Rule:
    def normal(stddev: float = default, mean: float = 0.0) -> Recipe:
        return Normal(stddev, mean)

    return normal


def _jax_normal(stddev: float = 1e-2) -> Recipe:
    return Normal(stddev)


def _jax_uniform(scale: float = 1e-2) -> Recipe:
    return UniformBetween(0.0, scale)


def _uniform(low: float, high: float) -> Rule:
    def uniform(minval: float = low, maxval: float = high) -> Recipe:
        return _between(minval, maxval)

    return uniform


def _variance_scaling(normal: Distribution, *extra: str) -> Rule:
    """`scale` is a variance. In Keras "normal" means truncated; the truncation is corrected everywhere."""
    laws: dict[str, Distribution] = {"truncated_normal": "truncated_normal", "uniform": "uniform", "normal": normal}
    modes: dict[str, Mode] = {"fan_in": "fan_in", "fan_out": "fan_out", "fan_avg": "fan_avg"}
    if "fan_geo_avg" in extra:
        modes["fan_geo_avg"] = "fan_geo"
    if "untruncated_normal" in extra:
        laws["untruncated_normal"] = "normal"

    def variance_scaling(scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal") -> Recipe:
        law = known("variance_scaling", "distribution", distribution, laws)
        return VarianceScaling(math.sqrt(scale), known("variance_scaling", "mode", mode, modes), law)

    return variance_scaling


def _fixed(scale: float, mode: Mode, distribution: Distribution) -> Rule:
    """A named rule of Keras or JAX: variance scaling with the truncation corrected."""

    def named() -> Recipe:
        return VarianceScaling(math.sqrt(scale), mode, distribution)

    return named


def _constant(argument: str, default: float) -> Rule:
    def constant(**arguments: float) -> Recipe:
        unknown = set(arguments) - {argument}
        if unknown:
            raise TypeError(f"constant() got an unexpected keyword argument {min(unknown)!r}")
        return Constant(arguments.get(argument, default))

    return constant


def _between(low: float, high: float) -> Recipe:
    """The simplest recipe with this law, so that it has the same bits under every name."""
    return Uniform(high) if low == -high and high >= 0 else UniformBetween(low, high)


_CORRECTED: dict[str, Rule] = {
    "he_normal": _fixed(2.0, "fan_in", "truncated_normal"),
    "he_uniform": _fixed(2.0, "fan_in", "uniform"),
    "glorot_normal": _fixed(1.0, "fan_avg", "truncated_normal"),
    "glorot_uniform": _fixed(1.0, "fan_avg", "uniform"),
    "lecun_normal": _fixed(1.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _fixed(1.0, "fan_in", "uniform"),
}
_PLAIN: dict[str, Rule] = {"zeros": lambda: Constant(0.0), "ones": lambda: Constant(1.0)}
_TORCH: dict[str, Rule] = _PLAIN | {
    "uniform": _torch_uniform,
    "normal": _torch_normal,
    "trunc_normal": _torch_trunc,
    "constant": _constant("val", 0.0),
    "eye": _identity,
    "dirac": _identity,
    "kaiming_normal": _torch_kaiming("normal"),
    "kaiming_uniform": _torch_kaiming("uniform"),
    "xavier_normal": _torch_xavier("normal"),
    "xavier_uniform": _torch_xavier("uniform"),
    "orthogonal": _orthogonal("gain"),
}
_JAX: dict[str, Rule] = (
    _PLAIN
    | _CORRECTED
    | {name.replace("he_", "kaiming_"): rule for name, rule in _CORRECTED.items() if name.startswith("he_")}
    | {name.replace("glorot_", "xavier_"): rule for name, rule in _CORRECTED.items() if name.startswith("glorot_")}
    | {
        "normal": _jax_normal,
        "uniform": _jax_uniform,
        "truncated_normal": _jax_truncated,
        "constant": _constant("value", 0.0),
        "variance_scaling": _variance_scaling("normal", "fan_geo_avg"),
        "orthogonal": _orthogonal("scale"),
        "delta_orthogonal": lambda scale=1.0: DeltaOrthogonal(scale),
    }
)
RULES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "torch": _TORCH
        | {
            "he_normal": _TORCH["kaiming_normal"],
            "he_uniform": _TORCH["kaiming_uniform"],
            "glorot_normal": _TORCH["xavier_normal"],
            "glorot_uniform": _TORCH["xavier_uniform"],
            "truncated_normal": _torch_trunc,
        },
        "keras": _PLAIN
        | _CORRECTED
        | {
            "random_normal": _normal(0.05),
            "random_uniform": _uniform(-0.05, 0.05),
            "truncated_normal": _truncated(0.05),
            "constant": _constant("value", 0.0),
            "identity": lambda gain=1.0: Identity(gain),
            "variance_scaling": _variance_scaling("truncated_normal", "untruncated_normal"),
            "orthogonal": _orthogonal("gain"),
        },
        "jax": _JAX,
        "flax": _JAX,
        "haiku": {
            "constant": _constant("constant", 0.0),
            "random_normal": _normal(1.0),
            "random_uniform": _uniform(0.0, 1.0),
            "truncated_normal": _truncated(1.0),
            "variance_scaling": _variance_scaling("normal"),
            "orthogonal": _orthogonal("scale"),
            "identity": lambda gain=1.0: Identity(gain),
        },
    }
)
"""Framework -> name -> rule, a function of the framework's own arguments."""
