"""Axis roles of a weight, and the fans that follow from them: the only place where fans are computed.

A framework's adapter declares what each axis of a parameter is; nothing here guesses a role from a shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from penstock.errors import ShapeError, message

GRU_GATES = ("r", "z", "n")
LSTM_GATES = ("i", "f", "g", "o")
"""The gates of a GRU and of an LSTM in PyTorch's order. Other layouts have them in another one, or each in a parameter
of its own; their draws are numbered by these."""

FUSED_GATES: dict[int, tuple[str, ...]] = {4: LSTM_GATES, 3: GRU_GATES, 1: ()}
"""Number of gates side by side in one parameter -> their order in PyTorch, Flax nnx and Equinox."""


@dataclass(frozen=True, slots=True)
class Fans:
    """How many terms one weight tensor sums.

    Attributes:
        fan_in: terms that are summed into one output unit. Count; a fraction for some strided transposed convolutions.
        fan_out: terms that one input unit's gradient sums, of one block where several are fused. Count or fraction.
    """

    fan_in: float
    fan_out: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """Shape of one parameter and the role of each of its axes.

    Attributes:
        shape: the logical shape, never that of a shard.
        in_axes: axes that are summed over. With `groups`, either these or `out_axes` hold all groups (see `split`).
        out_axes: axes that index output units.
        window_axes: receptive-field taps of a convolution.
        batch_axes: independent weights stacked in one tensor (experts); never part of a fan.
        groups: independent groups of a grouped convolution.
        split: which axes hold one group only: "in" for convolutions (out, in/groups, *k), "out" for transposed
            ones (in, out/groups, *k).
        stride: product of the strides.
        transposed: a transposed convolution: the stride divides fan_in instead of fan_out.
        blocks: sizes of independent weights that are fused along the first of `out_axes` (packed q, k, v; RNN gates).
        block_names: one name a block, for reports.
        lookup: rows are picked, not summed (an embedding): fan_in is 1.
        bilinear: each of `in_axes` belongs to another signal and they are multiplied, so that the gradient of the
            first one also sums over the others.
        order: axes in the order in which a draw numbers the elements, the outermost first; () for the shape's own.
            Layouts differ between frameworks; with one order the same key gives the same weights in each.
    """

    shape: tuple[int, ...]
    in_axes: tuple[int, ...] = ()
    out_axes: tuple[int, ...] = ()
    window_axes: tuple[int, ...] = ()
    batch_axes: tuple[int, ...] = ()
    groups: int = 1
    split: str = "in"
    stride: int = 1
    transposed: bool = False
    blocks: tuple[int, ...] = ()
    block_names: tuple[str, ...] = ()
    lookup: bool = False
    bilinear: bool = False
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        roles = self.in_axes + self.out_axes + self.window_axes + self.batch_axes
        if any(not 0 <= axis < len(self.shape) for axis in roles) or len(set(roles)) != len(roles):
            raise ShapeError(
                message(
                    f"Geometry: every axis must be named once and lie in 0..{len(self.shape) - 1}; "
                    f"got in_axes={self.in_axes}, out_axes={self.out_axes}, window_axes={self.window_axes}, "
                    f"batch_axes={self.batch_axes} for shape {self.shape}."
                )
            )
        if self.blocks and (not self.out_axes or sum(self.blocks) != self.shape[self.out_axes[0]]):
            raise ShapeError(
                message(
                    f"Geometry: blocks must add up to the output axis; got blocks={self.blocks} "
                    f"for shape {self.shape}, out_axes={self.out_axes}."
                )
            )

    @property
    def is_weight(self) -> bool:
        """Whether this parameter maps inputs to outputs (a bias or a norm's scale does not)."""
        return bool(self.out_axes) and (bool(self.in_axes) or self.lookup or bool(self.window_axes))

    @property
    def fans(self) -> Fans:
        """fan_in and fan_out of one group, one expert and one block.

        Raises:
            ShapeError: if this parameter has no input or no output axis (a bias, a scale).
        """
        if not self.is_weight:
            raise ShapeError(
                message(
                    f"fans: a parameter needs an input and an output axis; got shape {self.shape} with "
                    f"in_axes={self.in_axes}, out_axes={self.out_axes}.",
                    hint="penstock.fans(shape, in_axes=(1,), out_axes=(0,))",
                )
            )
        taps = self._size(self.window_axes)
        fan_in = self._size(self.in_axes) / (self.groups if self.split == "out" else 1) * taps
        fan_out = self._size(self.out_axes) / (self.groups if self.split == "in" else 1) * taps
        if self.blocks:
            fan_out *= max(self.blocks) / sum(self.blocks)
        if self.bilinear:
            fan_out *= self._size(self.in_axes[1:])
        if self.lookup:
            fan_in = 1.0
        if self.transposed:
            fan_in /= self.stride
        else:
            fan_out /= self.stride
        return Fans(float(fan_in), float(fan_out))

    def in_order(self) -> Geometry:
        """The geometry whose draw numbers elements by output, input and tap, as in PyTorch's layout.

        Look-ups and transposed convolutions have their inputs first there.

        Examples:
            >>> Geometry((3, 5), in_axes=(0,), out_axes=(1,)).in_order().order
            (1, 0)
        """
        inputs_first = self.lookup or self.transposed
        roles = (self.in_axes, self.out_axes) if inputs_first else (self.out_axes, self.in_axes)
        named = self.batch_axes + roles[0] + roles[1] + self.window_axes
        order = tuple(a for a in range(len(self.shape)) if a not in named) + named
        return replace(self, order=() if order == tuple(range(len(self.shape))) else order)

    def laid_out(self) -> Geometry:
        """The geometry of the same parameter with its axes in the order of `order`."""
        if not self.order:
            return self
        place = {axis: i for i, axis in enumerate(self.order)}

        def moved(axes: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(place[a] for a in axes)

        return replace(
            self,
            shape=tuple(self.shape[a] for a in self.order),
            in_axes=moved(self.in_axes),
            out_axes=moved(self.out_axes),
            window_axes=moved(self.window_axes),
            batch_axes=moved(self.batch_axes),
            order=(),
        )

    def block(self, index: int) -> Geometry:
        """The geometry of one fused block alone."""
        axis = self.out_axes[0]
        shape = tuple(self.blocks[index] if a == axis else size for a, size in enumerate(self.shape))
        return replace(self, shape=shape, blocks=(), block_names=())

    def block_number(self, index: int) -> int:
        """The number that a block is drawn under: its place, but for gates that in PyTorch's order.

        Examples:
            >>> Geometry((6, 2), (1,), (0,), blocks=(2, 2, 2), block_names=("z", "r", "n")).block_number(0)
            1
            >>> Geometry((2, 2), (1,), (0,), blocks=(2,), block_names=("f",)).block_number(0)
            1
        """
        names = set(self.block_names)
        order = next((gates for gates in (LSTM_GATES, GRU_GATES) if names and names <= set(gates)), None)
        return index if order is None else order.index(self.block_names[index])

    def _size(self, axes: tuple[int, ...]) -> int:
        return math.prod(self.shape[axis] for axis in axes)
