"""What TensorFlow's operations mean, by name. One in no table is kind "other": it is passed through and listed."""

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
    "Identity IdentityN StopGradient PreventGradient CheckNumerics EnsureShape Snapshot DeepCopy Cast Bitcast Reshape "
    "Squeeze ExpandDims Transpose ConjugateTranspose BroadcastTo Conj Real".split()
)

# A part of a signal, or several signals side by side: the result is a "move".
MOVE = {
    "ConcatV2": "concatenate",
    "Pack": "stack",
    "Unpack": "unstack",
    "Split": "split",
    "SplitV": "split",
    "StridedSlice": "slice",
    "Slice": "slice",
    "GatherV2": "gather",
    "GatherNd": "gather",
    "Pad": "pad",
    "PadV2": "pad",
    "MirrorPad": "pad",
    "Tile": "tile",
    "ReverseV2": "reverse",
    "ReverseSequence": "reverse",
    "Roll": "roll",
    "TopKV2": "top_k",
    "Cumsum": "cumsum",
    "ScatterNd": "scatter",
    "TensorScatterUpdate": "scatter",
    "TensorScatterAdd": "scatter",
    "SpaceToBatchND": "space_to_batch",
    "BatchToSpaceND": "batch_to_space",
    "SpaceToDepth": "space_to_depth",
    "DepthToSpace": "depth_to_space",
    "ResizeNearestNeighbor": "resize",
    "ExtractImagePatches": "patches",
    "MatrixBandPart": "mask",
    "loop_slice": "loop_slice",
    "loop_stack": "loop_stack",
}

REDUCTION = {"Sum": "sum", "Mean": "mean", "Max": "max", "Min": "min", "Prod": "prod", "EuclideanNorm": "norm"}
POOL = {
    "AvgPool": "avg_pool",
    "AvgPool3D": "avg_pool",
    "MaxPool": "max_pool",
    "MaxPoolV2": "max_pool",
    "MaxPool3D": "max_pool",
    "ResizeBilinear": "resize",
    "ResizeBicubic": "resize",
    "ResizeArea": "resize",
}
SOFTMAX = frozenset({"Softmax", "LogSoftmax"})
BATCH_NORM = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})

# New values that take only shape and type from their operand, or are integers by nature.
CONSTANT = frozenset("Shape ShapeN Size Rank ZerosLike OnesLike ArgMax ArgMin Bucketize".split())
FILLED = {"ZerosLike": 0.0, "OnesLike": 1.0}

# Names under which `penstock.tracing.elementwise` knows what has a meaning of its own; others in small letters.
NAMES = {"AddV2": "add", "BiasAdd": "add", "RealDiv": "div", "Inv": "reciprocal", "SelectV2": "where"}


def name_of(op: str) -> str:
    """What an operation is called in a graph.

    Examples:
        >>> name_of("AddV2"), name_of("Relu"), name_of("LogicalAnd")
        ('add', 'relu', 'logicaland')
    """
    return NAMES.get(op, op.lower())


def _plain(function: Callable[..., Any]) -> Callable[..., Array]:
    return lambda *args, **_: np.asarray(function(*args))


def _erfc(x: Array) -> Array:
    return np.vectorize(math.erfc, otypes=[np.float64])(x)


def _leaky(x: Array, *, alpha: float = 0.2, **_: Any) -> Array:
    return np.where(x > 0, x, alpha * x)


def _divide_no_nan(x: Array, y: Array) -> Array:
    return np.where(y == 0, 0.0, x / np.where(y == 0, 1.0, y))


FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    **{
        name: _plain(getattr(np, numpy_name))
        for name, numpy_name in {
            "Add": "add",
            "AddV2": "add",
            "BiasAdd": "add",
            "Sub": "subtract",
            "Mul": "multiply",
            "Div": "divide",
            "RealDiv": "divide",
            "FloorDiv": "floor_divide",
            "FloorMod": "mod",
            "Mod": "fmod",
            "Maximum": "maximum",
            "Minimum": "minimum",
            "Pow": "power",
            "Neg": "negative",
            "Abs": "abs",
            "Sign": "sign",
            "Floor": "floor",
            "Ceil": "ceil",
            "Rint": "rint",
            "Round": "round",
            "Exp": "exp",
            "Expm1": "expm1",
            "Log": "log",
            "Log1p": "log1p",
            "Sqrt": "sqrt",
            "Square": "square",
            "Reciprocal": "reciprocal",
            "Inv": "reciprocal",
            "Sin": "sin",
            "Cos": "cos",
            "Tan": "tan",
            "Asin": "arcsin",
            "Acos": "arccos",
            "Atan": "arctan",
            "Atan2": "arctan2",
            "Sinh": "sinh",
            "Cosh": "cosh",
            "Tanh": "tanh",
            "Asinh": "arcsinh",
            "Acosh": "arccosh",
            "Atanh": "arctanh",
            "Equal": "equal",
            "NotEqual": "not_equal",
            "Greater": "greater",
            "GreaterEqual": "greater_equal",
            "Less": "less",
            "LessEqual": "less_equal",
            "LogicalAnd": "logical_and",
            "LogicalOr": "logical_or",
            "LogicalNot": "logical_not",
            "IsFinite": "isfinite",
            "IsNan": "isnan",
            "IsInf": "isinf",
        }.items()
    },
    **{
        name: _plain(named(own))
        for name, own in {
            "Relu": "relu",
            "Relu6": "relu6",
            "Selu": "selu",
            "Elu": "elu",
            "Sigmoid": "sigmoid",
            "Softplus": "softplus",
            "Softsign": "softsign",
            "Erf": "erf",
        }.items()
    },
    "LeakyRelu": _leaky,
    "Erfc": _plain(_erfc),
    "Rsqrt": _plain(lambda x: 1.0 / np.sqrt(x)),
    "DivNoNan": _plain(_divide_no_nan),
    "MulNoNan": _plain(lambda x, y: np.where(y == 0, 0.0, x * y)),
    "Xlogy": _plain(lambda x, y: np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, y)))),
    "Xdivy": _plain(lambda x, y: np.where(x == 0, 0.0, x / np.where(x == 0, 1.0, y))),
    "ClipByValue": _plain(np.clip),
    "Select": _plain(np.where),
    "SelectV2": _plain(np.where),
}
"""Elementwise operations as functions of float64 arrays."""

# Elementwise too, but without a function here.
ELEMENTWISE = frozenset(FUNCTIONS) - {"Select", "SelectV2"} | frozenset("Erfinv Ndtri Lgamma Digamma".split())
