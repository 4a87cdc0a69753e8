"""The fans that naive code computes, next to those that are right.

Naive code reads fans off a shape: the first axis is out, the second is in, the rest is a receptive field. That is
wrong wherever an axis means something else: groups, a transposed convolution, fused projections, stacked experts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from penstock.geometry import Geometry

SHARD = "a shard's fan"
SHARDS = (16, 32, 64)
"""Parts that make a factor of 4 and more in std. Fewer cannot be told from a gain of 1.4 or 2 that somebody wanted."""

Mode = Literal["fan_in", "fan_out", "fan_avg"]


@dataclass(frozen=True, slots=True)
class WrongFan:
    """One fan that naive code computes for a weight.

    Attributes:
        mistake: what was overlooked, as a phrase ("the groups are left out").
        mode: which fan it was meant to be.
        fan: the wrong number.
        right: the right number for the same mode.
    """

    mistake: str
    mode: Mode
    fan: float
    right: float

    @property
    def factor(self) -> float:
        """How far off the standard deviation is, as a factor of at least 1."""
        ratio = math.sqrt(self.fan / self.right)
        return max(ratio, 1.0 / ratio)


def right_fans(geometry: Geometry) -> tuple[float, ...]:
    """Every fan that a correct rule may divide by: in, out, their two averages, and out without its stride."""
    fans = geometry.fans
    found = [fans.fan_in, fans.fan_out, (fans.fan_in + fans.fan_out) / 2, math.sqrt(fans.fan_in * fans.fan_out)]
    if geometry.stride > 1 and not geometry.transposed:
        # Frameworks leave the stride out of fan_out; residual networks are started that way and do well.
        whole = fans.fan_out * geometry.stride
        found += [whole, (fans.fan_in + whole) / 2]
    return tuple(found)


def wrong_fans(geometry: Geometry) -> tuple[WrongFan, ...]:
    """The wrong fans that naive code computes for a weight of this geometry, without those that happen to be right."""
    fans, shape = geometry.fans, geometry.shape
    right: dict[Mode, float] = {
        "fan_in": fans.fan_in,
        "fan_out": fans.fan_out,
        "fan_avg": (fans.fan_in + fans.fan_out) / 2,
    }
    found: list[tuple[str, float, float]] = []
    if geometry.groups > 1 and not geometry.transposed:
        text = f"the {geometry.groups} groups are left out"
        one = geometry.groups
        inner = (fans.fan_in * one, fans.fan_out) if geometry.split == "out" else (fans.fan_in, fans.fan_out * one)
        found += [(text, *inner), (text, fans.fan_in * one, fans.fan_out * one)]
    if geometry.transposed:
        taps = geometry.stride * fans.fan_in
        found.append(
            ("input and output axis are swapped, as for a convolution that is not transposed", fans.fan_out, taps)
        )
        if geometry.stride > 1:
            found.append(("the stride is left out", taps, fans.fan_out))
    if len(geometry.blocks) > 1:
        whole = fans.fan_out * sum(geometry.blocks) / max(geometry.blocks)
        found.append((f"the {len(geometry.blocks)} fused blocks are taken for one output", fans.fan_in, whole))
    if geometry.batch_axes and len(shape) > 2:
        rest = math.prod(shape[2:])
        stacked = math.prod(shape[a] for a in geometry.batch_axes)
        text = f"the {stacked} stacked weights are taken for one"
        found.append((text, float(shape[1] * rest), float(shape[0] * rest)))
        found.append((text, fans.fan_in * stacked, fans.fan_out * stacked))
    for parts in SHARDS:
        # A rank, or an attention head, that takes its own part for the whole.
        if fans.fan_in % parts == 0 and not geometry.window_axes:
            text = f"{SHARD}: one of {parts} parts is taken for the whole"
            found.append((text, fans.fan_in / parts, fans.fan_out / parts))
    if geometry.lookup:
        rows = math.prod(shape[a] for a in geometry.in_axes)
        found.append(("an embedding is taken for a linear layer", float(rows), fans.fan_out))
    return _distinct(geometry, found, right)


def _distinct(
    geometry: Geometry, found: list[tuple[str, float, float]], right: dict[Mode, float]
) -> tuple[WrongFan, ...]:
    correct = right_fans(geometry)
    kept: dict[float, WrongFan] = {}
    for text, fan_in, fan_out in found:
        wrong: dict[Mode, float] = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        for mode, fan in wrong.items():
            # PyTorch's default for transposed convolutions divides by what is their fan_out: wrong as a fan_in only.
            swapped = geometry.transposed and mode == "fan_in" and fan != right["fan_in"]
            if swapped or not any(math.isclose(fan, c, rel_tol=1e-6) for c in correct):
                kept.setdefault(round(fan, 6), WrongFan(text, mode, fan, right[mode]))
    return tuple(kept.values())
