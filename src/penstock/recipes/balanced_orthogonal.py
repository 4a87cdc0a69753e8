"""BalancedOrthogonal: a rotation whose outer taps sum to zero over their inputs, so that padding shows no border."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import key_for
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured, centre_tap, kernel_sizes, rotations, taps, with_taps


@final
@dataclass(frozen=True, slots=True)
class BalancedOrthogonal(Structured):
    r"""Orthonormal rows or columns, uniform over all such matrices whose outer taps are balanced, times a constant.

    .. math::  \sum_c W_{o c t} = 0 \text{ for every output } o \text{ and every tap } t \text{ but the centre}, \quad
               \sum_{c t} W_{o c t}^2 = \mathrm{gain}^2 \text{ on average over } o

    A unit whose activations have the mean m gets m times the sum of its weights as its own mean. At the border of a
    picture that is padded with zeros some taps read nothing, so there the mean is another one: a pattern that is the
    same for every input, and that a bias cannot take away. Layer after layer it grows at the cost of what tells inputs
    apart. Where all inputs have one mean, as behind a layer whose units are centred alike, balanced taps read that mean
    as the zero it is padded with. One direction in `inputs` is given up for it on each outer tap.

    An input of RMS 1 around its mean gives an output of RMS `gain` around its own: exactly for tall matrices, on
    average over directions for others. The std over all elements is gain / sqrt(fan_in), as of `Orthogonal`.

    Attributes:
        gain: RMS out over RMS in, both around their means, >= 0.

    Examples:
        >>> w = BalancedOrthogonal().draw(Geometry((4, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2,)), 7)
        >>> float(abs(w.sum(1)[:, ::2]).max()) < 1e-6, float(abs(w.sum(1)[:, 1]).max()) > 0.1
        (True, True)
        >>> bool(np.allclose(w.reshape(4, 9) @ w.reshape(4, 9).T, np.eye(4), atol=1e-6))
        True
    """

    gain: float = 1.0

    name: ClassVar[str] = "balanced_orthogonal"
    formula: ClassVar[str] = "W = gain Q, orthonormal rows; outer taps sum to 0 over their inputs"
    when: ClassVar[str] = "deep plain convolutional networks with zero padding and units whose mean is not 0 (sigmoid)"
    source: ClassVar[str] = (
        "ours, see docs/a_start_that_trains.md; weights of mean 0 for other reasons: Qiao et al. 2019, "
        "arXiv:1903.10520, equation 5"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("BalancedOrthogonal", "gain", self.gain, at_least=0.0))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """0 and gain / sqrt(fan_in), over all elements; those of the centre tap are a little larger."""
        _, _, _, inputs, window = _sizes("BalancedOrthogonal.moments", geometry)
        return Moments(0.0, self.gain / math.sqrt(inputs * window) if inputs * window else 0.0)

    def whole_limit(self, geometry: Geometry) -> float:
        """The largest singular value, which no element exceeds."""
        _, _, rows, inputs, window = _sizes("BalancedOrthogonal.limit", geometry)
        return self._factor(rows, _directions(inputs, window))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """Rotations of the balanced directions, which a reflection then turns into place."""
        stacked, groups, rows, inputs, window = _sizes("BalancedOrthogonal.draw", geometry)
        if math.prod(geometry.shape) == 0:
            return np.zeros(geometry.shape)
        count, centre = _directions(inputs, window), centre_tap(geometry)
        turned = rotations(key_for(key, "rotations"), stacked * groups, rows, count)
        turned *= self._factor(rows, count)
        kernels = np.zeros((stacked * groups, rows, inputs, window))
        kernels[..., centre] = turned[..., :inputs]
        outer = np.delete(np.arange(window), centre)
        kernels[:, :, 1:, outer] = turned[..., inputs:].reshape(stacked * groups, rows, inputs - 1, window - 1)
        # It sends the first axis to the diagonal: what had no first element then sums to zero.
        mirror = np.full(inputs, -1.0 / math.sqrt(inputs))
        mirror[0] += 1.0
        if window > 1:
            length = mirror @ mirror
            seen = np.einsum("c,soct->sot", mirror, kernels[..., outer]) * (2.0 / length)
            kernels[..., outer] -= mirror[:, None] * seen[:, :, None]
        return with_taps(geometry, kernels.reshape(stacked, groups, rows, inputs, window))

    def _factor(self, rows: int, count: int) -> float:
        return self.gain * math.sqrt(max(rows, count) / count) if count else 0.0


def _directions(inputs: int, window: int) -> int:
    """How many independent directions a row has: one less on each tap but the centre."""
    return inputs * window - (window - 1) if inputs * window else 0


def _sizes(function: str, geometry: Geometry) -> tuple[int, int, int, int, int]:
    """Stacked weights, groups, outputs and inputs of one group, taps."""
    stacked, groups, rows, inputs = kernel_sizes(function, geometry)
    window = taps(geometry)
    if inputs == 1 and window > 1:
        raise ShapeError(
            message(
                f"{function}: a group must have two inputs or more; got one for shape {geometry.shape}.",
                because="one weight alone sums to zero only if it is zero",
                hint="Orthogonal(gain)",
            )
        )
    return stacked, groups, rows, inputs, window
