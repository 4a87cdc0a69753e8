"""PyTorch's gains and fans, by its conventions."""

from __future__ import annotations

import math
from typing import Literal

import torch

from penstock.errors import ArgumentError, closest, message
from penstock.torch.init.write import weight_geometry

Nonlinearity = Literal[
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "selu",
]
FanMode = Literal["fan_in", "fan_out"]

_GAINS = {
    **dict.fromkeys("linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d".split(), 1.0),
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.01**2)),
    "selu": 0.75,
}


def calculate_gain(nonlinearity: Nonlinearity, param: int | float | None = None) -> float:
    """PyTorch's recommended gain, by convention; `penstock.gain` computes the exact one of any function.

    Args:
        nonlinearity: a name of `torch.nn.functional`.
        param: the negative slope of "leaky_relu"; 0.01 if left out.

    Raises:
        ArgumentError: if the name is unknown or the slope is no number.

    Examples:
        >>> calculate_gain("tanh"), calculate_gain("leaky_relu", 0)
        (1.6666666666666667, 1.4142135623730951)
    """
    if nonlinearity not in _GAINS:
        fact = f"calculate_gain: unsupported nonlinearity {nonlinearity!r}."
        more = "The exact gain of any function: penstock.gain('gelu')."
        raise ArgumentError(message(fact, hint=f"{closest(str(nonlinearity), _GAINS)} {more}"))
    if nonlinearity != "leaky_relu" or param is None:
        return _GAINS[nonlinearity]
    if isinstance(param, bool) or not isinstance(param, int | float) or not math.isfinite(param):
        fact = f"calculate_gain: negative_slope {param} is not a valid number."
        raise ArgumentError(message(fact, hint='init.calculate_gain("leaky_relu", 0.01)'))
    return math.sqrt(2.0 / (1.0 + param**2))


def fan_mode(function: str, mode: str) -> FanMode:
    """The mode in lower case.

    Raises:
        ArgumentError: if it is unknown.
    """
    known: dict[str, FanMode] = {"fan_in": "fan_in", "fan_out": "fan_out"}
    lower = str(mode).lower()
    if lower not in known:
        raise ArgumentError(message(f"{function}: mode {mode!r} is not supported.", hint=closest(lower, known)))
    return known[lower]


def _calculate_fan_in_and_fan_out(tensor: torch.Tensor) -> tuple[int, int]:
    """PyTorch's fans of (out, in, *taps); private there, and widely used all the same."""
    fans = weight_geometry("_calculate_fan_in_and_fan_out", tensor).fans
    return int(fans.fan_in), int(fans.fan_out)


def _calculate_correct_fan(tensor: torch.Tensor, mode: FanMode) -> int:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if fan_mode("_calculate_correct_fan", mode) == "fan_in" else fan_out
