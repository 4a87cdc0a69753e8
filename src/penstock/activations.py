"""The named activations, as NumPy functions of float64, and their other names.

Constants are those of the papers and of PyTorch's implementations; where frameworks differ, the comment says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, UnsupportedError, closest, message

Array = npt.NDArray[np.float64]
ScalarFunction = Callable[[Array], Array]

# Klambauer et al. 2017, eq. 14, to 24 digits: the fixed point (mean 0, variance 1) of SELU.
_SELU_ALPHA = 1.673263242354377284817043
_SELU_SCALE = 1.050700987355480493419335

_ERF = np.frompyfunc(math.erf, 1, 1)


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _erf(x: Array) -> Array:
    """By the standard library: for the thousand points of a quadrature faster than importing scipy.special is."""
    return np.asarray(_ERF(x), dtype=np.float64)


def _gelu(x: Array) -> Array:
    """The exact x Phi(x), Hendrycks & Gimpel 2016. Keras and PyTorch; JAX and Flax default to the tanh form."""
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _gelu_tanh(x: Array) -> Array:
    """The tanh approximation, Hendrycks & Gimpel 2016, section 2. GPT-2's and JAX's."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _elu(x: Array) -> Array:
    """Clevert et al. 2015, eq. 15, with alpha = 1."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def _selu(x: Array) -> Array:
    return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def _leaky_relu(slope: float) -> ScalarFunction:
    """Maas et al. 2013. The slope is 0.01 in PyTorch and JAX, 0.2 or 0.3 in Keras: give it in the name."""
    return lambda x: np.where(x > 0, x, slope * x)


_FUNCTIONS: dict[str, ScalarFunction] = {
    "abs": np.abs,
    "arctan": np.arctan,
    "asinh": np.arcsinh,
    "cos": np.cos,
    "elu": _elu,
    "erf": _erf,
    "erf_unitslope": lambda x: _erf(x * (math.sqrt(math.pi) / 2)),
    "exp": np.exp,
    "gaussian_exp(-x^2)": lambda x: np.exp(-(x**2)),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0.0),  # PyTorch's lambda
    "hardsigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),  # PyTorch, JAX, Keras 3; Keras 2 had 0.2 x + 0.5
    "hardswish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),  # Howard et al. 2019, section 5.2
    "hardtanh": lambda x: np.clip(x, -1.0, 1.0),
    "identity": lambda x: x,
    "leaky_relu_0.01": _leaky_relu(0.01),
    "leaky_relu_0.2": _leaky_relu(0.2),
    "lecun_tanh_1.7159": lambda x: 1.7159 * np.tanh(2.0 * x / 3.0),  # LeCun et al. 1998, section 4.4
    "log_sigmoid": lambda x: -_softplus(-x),
    "mish": lambda x: x * np.tanh(_softplus(x)),  # Misra 2019, eq. 1
    "quick_gelu": lambda x: x * _sigmoid(1.702 * x),  # Hendrycks & Gimpel 2016, section 2; CLIP's
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),  # Elfwing et al. 2017, eq. 1; swish with beta = 1
    "sin": np.sin,
    "softplus": _softplus,
    "softshrink": lambda x: x - np.clip(x, -0.5, 0.5),  # PyTorch's lambda
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "squared_relu": lambda x: np.maximum(x, 0.0) ** 2,  # So et al. 2021 (Primer), section 3
    "tanh": np.tanh,
    "tanhshrink": lambda x: x - np.tanh(x),
}

_ALIASES = {
    "atan": "arctan",
    "celu": "elu",  # equal at alpha = 1, the default
    "exponential": "exp",
    "gaussian": "gaussian_exp(-x^2)",
    "gelu_accurate": "gelu_tanh",
    "gelu_exact": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "hard_shrink": "hardshrink",
    "hard_sigmoid": "hardsigmoid",
    "hard_silu": "hardswish",
    "hard_swish": "hardswish",
    "hard_tanh": "hardtanh",
    "leaky_relu": "leaky_relu_0.01",
    "lecun_tanh": "lecun_tanh_1.7159",
    "linear": "identity",
    "logsigmoid": "log_sigmoid",
    "relu2": "squared_relu",
    "relu_squared": "squared_relu",
    "sine": "sin",
    "soft_shrink": "softshrink",
    "soft_sign": "softsign",
    "swish": "silu",
    "tanh_shrink": "tanhshrink",
}

# Names that users try and that are functions of a whole vector.
_OF_VECTORS = frozenset({"softmax", "log_softmax", "softmin", "sparsemax", "maxout", "glu", "geglu", "reglu", "swiglu"})

_LEAKY = re.compile(r"leaky_?relu[_ (:=]*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\)?")


def canonical(name: str) -> str:
    """The one name of an activation: aliases resolved, case and dashes ignored.

    Raises:
        ArgumentError: if no activation has this name.
        UnsupportedError: if it is a function of a vector, which has no scalar gain.

    Examples:
        >>> canonical("Swish"), canonical("gelu-new"), canonical("leaky_relu(0.3)")
        ('silu', 'gelu_tanh', 'leaky_relu_0.3')
    """
    key = name.strip().lower().replace("-", "_") if name not in _FUNCTIONS else name
    key = _ALIASES.get(key, key)
    if key in _FUNCTIONS:
        return key
    leaky = _LEAKY.fullmatch(key)
    if leaky:
        return f"leaky_relu_{float(leaky[1]):g}"
    if key in _OF_VECTORS:
        raise UnsupportedError(
            message(
                f"gain: activation must be a function of one number; {name!r} is one of a whole vector.",
                because="its output for one unit depends on the others, so no scalar gain describes it",
            )
        )
    fact = f"gain: activation must be a known name or a callable; got {name!r}."
    raise ArgumentError(message(fact, hint=closest(key, names(aliases=True))))


def named(name: str) -> ScalarFunction:
    """The function of a named activation, from float64 array to float64 array.

    Raises:
        ArgumentError: if no activation has this name.

    Examples:
        >>> named("relu")(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    key = canonical(name)
    if key in _FUNCTIONS:
        return _FUNCTIONS[key]
    return _leaky_relu(float(key.removeprefix("leaky_relu_")))


def names(*, aliases: bool = False) -> tuple[str, ...]:
    """The names of all activations, sorted; with `aliases` also their other names."""
    return tuple(sorted({*_FUNCTIONS, *(_ALIASES if aliases else ())}))


def recognise(function: ScalarFunction) -> str | None:
    """The name of the activation that a function computes, however it is written.

    Args:
        function: elementwise, float64 in and out.

    Returns:
        A name of this module, "leaky_relu_<slope>", "scale" for c x, or None for a function without a name.

    Examples:
        >>> recognise(lambda x: x / (1 + np.exp(-x)))
        'silu'
        >>> recognise(lambda x: 0.125 * x)
        'scale'
        >>> recognise(lambda x: x**2 * np.sin(x)) is None
        True
    """
    with np.errstate(all="ignore"):
        values = np.asarray(function(_PROBE))
        if values.shape != _PROBE.shape or not np.isfinite(values).all():
            return None
        for name, known in _FUNCTIONS.items():
            if np.allclose(values, known(_PROBE), rtol=_SAME, atol=_SAME):
                return name
    slopes = values / _PROBE
    right, left = slopes[_PROBE > 0], slopes[_PROBE < 0]
    if np.ptp(right) > _SAME or np.ptp(left) > _SAME:
        return None
    if abs(right[0] - left[0]) <= _SAME:
        return "scale"
    return f"leaky_relu_{left[0]:g}" if abs(right[0] - 1.0) <= _SAME else None


# Inside and outside of every named function's kinks; no zero, so that slopes can be told.
_PROBE = np.array([-7.3, -3.2, -2.9, -1.3, -0.6, -0.2, 0.1, 0.45, 1.2, 2.4, 3.3, 7.1])
# The two forms of GELU differ by 1e-4; float32 constants and an epsilon by 1e-7.
_SAME = 1e-6
