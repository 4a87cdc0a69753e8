"""LooksLinear: mirrored weights, so that a network of rectifiers computes a linear map at the start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes.arguments import one_of
from penstock.recipes.matrices import from_matrices, matrix_stack, to_matrices
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured, taps


@final
@dataclass(frozen=True, slots=True)
class LooksLinear(Structured):
    r"""Units in pairs of opposite sign, so that relu(h) - relu(-h) = h passes the signal on unchanged.

    .. math::
        W_\mathrm{first} = \begin{pmatrix} W_0 \\ -W_0 \end{pmatrix}, \quad
        W_\mathrm{hidden} = \begin{pmatrix} W_0 & -W_0 \\ -W_0 & W_0 \end{pmatrix}, \quad
        W_\mathrm{last} = \begin{pmatrix} W_0 & -W_0 \end{pmatrix}

    with W_0 drawn by `Orthogonal`. A stack of first, hidden ..., last layers with ReLU between them (no biases)
    computes the product of its W_0 exactly, so gradients do not shatter. With concatenated ReLU, [relu(h), relu(-h)],
    every layer is a "last" one. The second half of a hidden layer's units lies behind the first.

    Attributes:
        place: where the layer stands: "first" mirrors its outputs, "last" its inputs, "hidden" both.
        gain: RMS out over RMS in of W_0, >= 0.

    Examples:
        >>> w = LooksLinear("hidden").draw(Geometry((4, 4), in_axes=(1,), out_axes=(0,)), 7)
        >>> bool((w[:2, :2] == w[2:, 2:]).all() and (w[:2, :2] == -w[:2, 2:]).all())
        True
    """

    place: Literal["first", "hidden", "last"] = "hidden"
    gain: float = 1.0

    name: ClassVar[str] = "looks_linear"
    formula: ClassVar[str] = "W = [[W_0, -W_0], [-W_0, W_0]], W_0 orthogonal"
    when: ClassVar[str] = "deep plain networks of ReLU or concatenated ReLU, without norms or skips"
    source: ClassVar[str] = "Balduzzi et al. 2017, section 4, arXiv:1702.08591"

    def __post_init__(self) -> None:
        one_of("LooksLinear", "place", self.place, ("first", "hidden", "last"))
        object.__setattr__(self, "gain", finite("LooksLinear", "gain", self.gain, at_least=0.0))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """0 and the standard deviation of W_0."""
        return Moments(0.0, Orthogonal(self.gain).std(self._quarter("LooksLinear.moments", geometry)))

    def whole_limit(self, geometry: Geometry) -> float:
        """That of W_0."""
        return Orthogonal(self.gain).limit(self._quarter("LooksLinear.limit", geometry))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """W_0 from the key, then its mirror images."""
        function = "LooksLinear.draw"
        small = self._quarter(function, geometry)
        stacked, groups, rows, columns = matrix_stack(function, small)
        part = to_matrices(function, small, Orthogonal(self.gain).draw(small, key))
        # Kernels of shape (stacked, groups, rows, inputs, taps): a window must not be cut by the mirror.
        size = taps(geometry)
        part = part.reshape(stacked, groups, rows, columns // size if size else 0, size)
        if self.place != "last":
            part = np.concatenate([part, -part], axis=2)
        if self.place != "first":
            part = np.concatenate([part, -part], axis=3)
        return from_matrices(geometry, part.reshape(matrix_stack(function, geometry)))

    def _quarter(self, function: str, geometry: Geometry) -> Geometry:
        """The geometry of W_0: half as many outputs, inputs or both."""
        if not geometry.out_axes or not geometry.in_axes or geometry.groups > 1:
            raise ShapeError(
                message(
                    f"{function}: a weight with input and output axes and without groups is needed; got {geometry}."
                )
            )
        shape = list(geometry.shape)
        mirrored = {"first": geometry.out_axes[:1], "last": geometry.in_axes[:1]}.get(
            self.place, geometry.out_axes[:1] + geometry.in_axes[:1]
        )
        for axis in mirrored:
            if shape[axis] % 2:
                raise ShapeError(
                    message(
                        f"{function}: axis {axis} must have an even size; got shape {geometry.shape}.",
                        because="units come in pairs of opposite sign",
                    )
                )
            shape[axis] //= 2
        return replace(geometry, shape=tuple(shape), lookup=False)
