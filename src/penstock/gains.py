"""The gain of an activation: the factor by which weights must be larger to undo what it does to the signal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from penstock.activations import canonical, named
from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.moments import Moments, moments
from penstock.quadrature import Function

Convention = Literal["exact", "torch"]

# What `torch.nn.init.calculate_gain` returns, as data. Round numbers, chosen by hand; only those of identity and
# relu's family are exact.
TORCH_CONVENTION = {
    "identity": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 0.75,
}


@dataclass(frozen=True, slots=True)
class Gain:
    """The gains of one activation at one input variance. `float(gain)` is the factor for the weights' std.

    Attributes:
        name: of the activation.
        moments: its Gaussian moments.
        convention: "exact" for 1 / sqrt(E[phi^2]), "torch" for the number that PyTorch uses by convention.
        torch_convention: that number; None where PyTorch has none.
    """

    name: str
    moments: Moments
    convention: Convention = "exact"
    torch_convention: float | None = None

    @property
    def forward(self) -> float:
        """1 / sqrt(E[phi^2]): with std = gain / sqrt(fan_in) the next layer's signal has unit variance."""
        return self.moments.gain_forward

    @property
    def backward(self) -> float:
        """1 / sqrt(E[phi'^2]): with std = gain / sqrt(fan_out) the gradient keeps its size."""
        return self.moments.gain_backward

    @property
    def centred(self) -> float:
        """1 / sqrt(Var[phi]): as `forward`, for layers whose output is centred."""
        return self.moments.gain_variance

    @property
    def chi_1(self) -> float:
        """Growth of the gradient's second moment by layer when the forward signal is held."""
        return self.moments.chi_1

    def __float__(self) -> float:
        if self.convention == "torch" and self.torch_convention is not None:
            return self.torch_convention
        return self.forward

    def __str__(self) -> str:
        m = self.moments
        rows = [
            ("forward gain", m.gain_forward, "1/sqrt(E[phi^2])   weights of the layer that reads it, fan_in"),
            ("backward gain", m.gain_backward, "1/sqrt(E[phi'^2])  the same for the gradient, fan_out"),
            ("centred gain", m.gain_variance, "1/sqrt(Var[phi])   where the mean is removed"),
            ("mean", m.mean, "E[phi]"),
            ("second moment", m.second, "E[phi^2]"),
            ("variance", m.variance, "Var[phi]"),
            ("slope, squared", m.slope_second, "E[phi'^2]"),
            ("chi_1", m.chi_1, "growth of the squared gradient by layer"),
        ]
        if self.torch_convention is not None:
            note = "torch.nn.init.calculate_gain" + ("" if self._torch_is_exact else ", a convention, not computed")
            rows.append(("PyTorch's gain", self.torch_convention, note))
        head = f"{self.name}, input ~ N({m.input_mean:g}, {m.input_variance:g})"
        return "\n".join([head, *(f"  {label:<15}{_short(value):>16}  {note}" for label, value, note in rows)])

    @property
    def _torch_is_exact(self) -> bool:
        """Whether PyTorch's number equals the forward gain."""
        return self.torch_convention is not None and math.isclose(self.torch_convention, self.forward, rel_tol=1e-9)


def gain(activation: str | Function, *, variance: float = 1.0, convention: Convention = "exact") -> Gain:
    r"""Compute the factor for weights' std that keeps the signal's size through an activation.

    .. math::  g = 1 / \sqrt{E[\phi(x)^2]}, \quad x \sim N(0, q)

    With weights of std g / sqrt(fan_in) behind the activation, zero mean and independent, the next layer's
    pre-activations have variance 1 whatever the activation's mean. At another input variance q,
    std sqrt(q) g / sqrt(fan_in) holds q.

    Args:
        activation: a name ("gelu", "leaky_relu_0.2") or an elementwise function of a float64 array.
        variance: q, the variance of the activation's input. > 0.
        convention: which number `float(...)` gives: "exact", or "torch" for that of `torch.nn.init.calculate_gain`.

    Returns:
        All gains and the moments behind them.

    Raises:
        ArgumentError: if the name, the variance or the convention is not known, or the function has no moments.
        UnsupportedError: if the activation is a function of a vector, or PyTorch has no number for it.

    Examples:
        >>> round(float(gain("relu")), 6), round(gain("gelu").backward, 6)
        (1.414214, 1.481114)
        >>> round(float(gain("tanh")), 6), round(float(gain("tanh", convention="torch")), 6)
        (1.592537, 1.666667)

    Source:
        He et al. 2015, eq. 10 (relu), https://arxiv.org/abs/1502.01852; any other function by the same derivation.
    """
    if isinstance(activation, str):
        name = canonical(activation)
        return gain_of(named(name), name=name, variance=variance, convention=convention)
    if not callable(activation):
        raise ArgumentError(
            message(
                f"gain: activation must be a name or a callable; got {activation!r}.",
                hint="penstock.gain('relu') or penstock.gain(numpy.tanh)",
            )
        )
    label = getattr(activation, "__name__", type(activation).__name__)
    return gain_of(activation, name=label, variance=variance, convention=convention)


def gain_of(
    function: Function, *, name: str = "function", variance: float = 1.0, convention: Convention = "exact"
) -> Gain:
    """The gain of a function that takes and returns float64 arrays; `name` is for people and for PyTorch's convention.

    Raises:
        ArgumentError: if the convention is not known or the function has no moments.
        UnsupportedError: if PyTorch's convention is asked for and has no number for this name.

    Examples:
        >>> round(float(gain_of(lambda x: 2 * x, name="double")), 6)
        0.5
    """
    if convention not in ("exact", "torch"):
        raise ArgumentError(message(f"gain: convention must be 'exact' or 'torch'; got {convention!r}."))
    by_torch = _torch_convention(name)
    if convention == "torch" and by_torch is None:
        known = ", ".join([*TORCH_CONVENTION, "leaky_relu_<slope>"])
        raise UnsupportedError(
            message(
                f"gain: convention='torch' has no number for {name!r}; known: {known}.",
                hint=f"penstock.gain({name!r}), which computes it",
            )
        )
    return Gain(name, moments(function, variance=variance), convention, by_torch)


def _torch_convention(name: str) -> float | None:
    """The value of `torch.nn.init.calculate_gain` for a canonical name."""
    try:
        slope = float(name.removeprefix("leaky_relu_")) if name.startswith("leaky_relu_") else None
    except ValueError:
        return None
    return TORCH_CONVENTION.get(name) if slope is None else math.sqrt(2.0 / (1.0 + slope**2))


def _short(value: float) -> str:
    """Twelve digits, and a plain zero for rounding."""
    return f"{0.0 if abs(value) < 1e-15 else value:.12g}"
