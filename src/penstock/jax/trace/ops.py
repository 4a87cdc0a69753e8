"""What JAX's primitives mean, by name. One that stands in no table is kind "other": it is passed through and listed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.activations import named

Array = npt.NDArray[Any]

# The same values in another shape or type: no step of their own, the signal keeps its number.
ALIAS = frozenset(
    "reshape squeeze expand_dims transpose broadcast_in_dim convert_element_type copy copy_p stop_gradient "
    "sharding_constraint reduce_precision optimization_barrier name device_put pvary pcast mesh_cast reshard "
    "layout_constraint real conj psum pmean".split()
)

# A part of a signal, or several signals side by side: the result is a "move".
MOVE = frozenset(
    "slice dynamic_slice dynamic_update_slice concatenate pad gather scatter scatter-add scatter_add scatter-mul "
    "scatter-min scatter-max rev sort top_k cumsum cumprod cummax cummin cumlogsumexp split tile scan_slice scan_stack "
    "select_and_gather_add complex imag roll".split()
)

REDUCTION = {
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_and": "all",
    "reduce_or": "any",
}
POOL = {"reduce_window_sum": "sum_pool", "reduce_window_max": "max_pool", "reduce_window_min": "min_pool"}

# Names under which `penstock.tracing.elementwise` knows what has a meaning of its own.
NAMES = {"add_any": "add", "logistic": "sigmoid", "max": "maximum", "min": "minimum", "select_n": "where"}

# What people call a step, where the trace calls it otherwise.
SHOWN = {"dot_general": "linear", "conv_general_dilated": "conv", "gather": "embedding"}


def _rounded(x: Array, *, rounding_method: Any = None, **_: Any) -> Array:
    if getattr(rounding_method, "name", "") == "AWAY_FROM_ZERO":
        return np.sign(x) * np.floor(np.abs(x) + 0.5)
    return np.round(x)


def _select(which: Array, *cases: Array, **_: Any) -> Array:
    return np.select([np.asarray(which) == i for i in range(len(cases))], cases)


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda *args, **_: np.asarray(function(*args))


_erf = named("erf")
_LGAMMA = np.frompyfunc(math.lgamma, 1, 1)

FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    **{
        name: _plain(getattr(np, numpy_name))
        for name, numpy_name in {
            "add": "add",
            "add_any": "add",
            "sub": "subtract",
            "mul": "multiply",
            "div": "divide",
            "max": "maximum",
            "min": "minimum",
            "rem": "fmod",
            "pow": "power",
            "neg": "negative",
            "abs": "abs",
            "sign": "sign",
            "floor": "floor",
            "ceil": "ceil",
            "exp": "exp",
            "exp2": "exp2",
            "expm1": "expm1",
            "log": "log",
            "log1p": "log1p",
            "sqrt": "sqrt",
            "cbrt": "cbrt",
            "square": "square",
            "sin": "sin",
            "cos": "cos",
            "tan": "tan",
            "asin": "arcsin",
            "acos": "arccos",
            "atan": "arctan",
            "atan2": "arctan2",
            "sinh": "sinh",
            "cosh": "cosh",
            "tanh": "tanh",
            "asinh": "arcsinh",
            "acosh": "arccosh",
            "atanh": "arctanh",
            "eq": "equal",
            "ne": "not_equal",
            "gt": "greater",
            "ge": "greater_equal",
            "lt": "less",
            "le": "less_equal",
            "and": "logical_and",
            "or": "logical_or",
            "xor": "logical_xor",
            "not": "logical_not",
            "is_finite": "isfinite",
            "nextafter": "nextafter",
        }.items()
    },
    "rsqrt": _plain(lambda x: 1.0 / np.sqrt(x)),
    "logistic": _plain(named("sigmoid")),
    "erf": _plain(_erf),
    "erfc": _plain(np.vectorize(math.erfc, otypes=[np.float64])),
    "lgamma": _plain(lambda x: np.asarray(_LGAMMA(x), dtype=np.float64)),
    "integer_pow": lambda x, *, y, **_: np.asarray(x) ** float(y),
    "clamp": _plain(lambda low, x, high: np.clip(x, low, high)),
    "round": _rounded,
    "select_n": _select,
    "convert_element_type": _plain(lambda x: np.asarray(x, dtype=np.float64)),
}
"""Elementwise primitives as functions of float64 arrays."""

# Elementwise too, but without a function here.
ELEMENTWISE = frozenset(FUNCTIONS) | frozenset("erf_inv digamma igamma bessel_i0e bessel_i1e real imag".split())

# New values that take only shape and type from their operand, or are integers by nature.
CONSTANT = frozenset(
    "iota random_bits random_wrap random_unwrap random_seed random_fold_in random_split random_gamma threefry2x32 "
    "rng_bit_generator rng_uniform argmax argmin shape_as_value axis_index create_token".split()
)
