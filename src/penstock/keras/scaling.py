"""Keras's variance scaling and the rules named after He, Glorot and LeCun."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from penstock.errors import ArgumentError, ShapeError, closest, message
from penstock.geometry import Geometry
from penstock.keras.base import Drawn, kernel_geometry, registered
from penstock.randomness import Distribution
from penstock.recipes import Normal, Recipe, TruncatedNormal, Uniform
from penstock.recipes import VarianceScaling as Scaling
from penstock.recipes.scaling import Mode

_MODES: dict[str, Mode] = {"fan_in": "fan_in", "fan_out": "fan_out", "fan_avg": "fan_avg", "fan_geo_avg": "fan_geo"}
_LAWS: dict[str, Distribution] = {
    "uniform": "uniform",
    "truncated_normal": "truncated_normal",
    "untruncated_normal": "normal",
}

Axes = Sequence[int] | None


@registered
class VarianceScaling(Drawn, keras.initializers.VarianceScaling):
    r"""Independent elements whose variance follows from a fan.

    .. math::  \mathrm{std} = \sqrt{\mathrm{scale} / \max(1, \mathrm{fan})}

    An initializer sees the shape only, so the fans are Keras's: of (*taps, in, out), fan_in = in * taps and
    fan_out = out * taps; of (n,), n. For other kernels say which axes count, the taps in both: depthwise
    (*k, in, multiplier) `input_axes=(0, 1), output_axes=(0, 1, 3)`; transposed (*k, out, in)
    `input_axes=(0, 1, 3), output_axes=(0, 1, 2)`.

    Attributes:
        scale: variance times fan, > 0.
        mode: "fan_in", "fan_out", their mean "fan_avg", or the root of their product "fan_geo_avg".
        distribution: "uniform", "truncated_normal" (also under the name "normal", as in Keras; cut at two sigma and
            corrected for it) or "untruncated_normal".
        seed: an integer, a keras.random.SeedGenerator or None.
        name: of the parameter.
        input_axes: axes whose sizes make fan_in; given together with `output_axes`.
        output_axes: axes whose sizes make fan_out.

    Examples:
        >>> w = VarianceScaling(2.0, "fan_in", "uniform", seed=0)((600, 100))
        >>> bool(keras.ops.max(keras.ops.abs(w)) <= 0.1)
        True

    Source:
        keras/src/initializers/random_initializers.py
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        *,
        name: str = "",
    ) -> None:
        Drawn.__init__(self, seed=seed, name=name)
        law = str(distribution).lower()
        law = "truncated_normal" if law == "normal" else law
        if not scale > 0.0 or math.isinf(scale):
            raise ArgumentError(message(f"{type(self).__name__}: scale must be positive and finite; got {scale!r}."))
        for argument, value, choices in (("mode", mode, _MODES), ("distribution", law, _LAWS)):
            if value not in choices:
                fact = f"{type(self).__name__}: {argument} must be one of the known ones; got {value!r}."
                raise ArgumentError(message(fact, hint=closest(str(value), choices)))
        if (input_axes is None) != (output_axes is None):
            raise ArgumentError(
                message(
                    f"{type(self).__name__}: input_axes and output_axes must be given together; got "
                    f"input_axes={input_axes!r}, output_axes={output_axes!r}.",
                    hint=f"penstock.keras.{type(self).__name__}(input_axes=(0, 1), output_axes=(0, 1, 3))",
                )
            )
        self.scale = scale
        self.mode = mode
        self.distribution = law
        self.input_axes = None if input_axes is None else list(input_axes)
        self.output_axes = None if output_axes is None else list(output_axes)

    def recipe(self, shape: tuple[int, ...]) -> tuple[Recipe, Geometry]:
        """A law with the standard deviation that follows from the shape."""
        fan_in, fan_out = (max(1, fan) for fan in self._fans(shape))
        fans = Geometry((fan_in, fan_out), in_axes=(0,), out_axes=(1,))
        law = _LAWS[self.distribution]
        scaling = Scaling(math.sqrt(self.scale), _MODES[self.mode], law)
        if len(shape) > 1 and self.input_axes is None and 0 not in shape:
            return scaling, kernel_geometry(type(self).__name__, shape)
        std = scaling.std(fans)
        laws = {"normal": Normal(std), "truncated_normal": TruncatedNormal(std), "uniform": Uniform(std * math.sqrt(3))}
        return laws[law], Geometry(shape)

    def _fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if self.input_axes is not None and self.output_axes is not None:
            geometry = _of_axes(type(self).__name__, shape, self.input_axes, self.output_axes)
        elif len(shape) > 1:
            geometry = kernel_geometry(type(self).__name__, shape)
        else:
            # Keras's convention for a vector, where nothing is known of its use.
            size = math.prod(shape)
            return size, size
        return int(geometry.fans.fan_in), int(geometry.fans.fan_out)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return Drawn.get_config(self) | {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Named(VarianceScaling):
    """A rule with a name: scale, mode and distribution are fixed."""

    fixed: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Axes = None, output_axes: Axes = None, *, name: str = "") -> None:
        super().__init__(*self.fixed, seed=seed, input_axes=input_axes, output_axes=output_axes, name=name)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        return {key: config[key] for key in ("seed", "name", "input_axes", "output_axes")}


@registered
class HeNormal(_Named):
    """He's rule as Keras draws it, normal cut at two sigma and corrected: std = sqrt(2 / fan_in)."""

    fixed = (2.0, "fan_in", "truncated_normal")


@registered
class HeUniform(_Named):
    """He's rule with uniform elements: bound sqrt(6 / fan_in)."""

    fixed = (2.0, "fan_in", "uniform")


@registered
class GlorotNormal(_Named):
    """Glorot's rule as Keras draws it, truncated and corrected: std = sqrt(2 / (fan_in + fan_out))."""

    fixed = (1.0, "fan_avg", "truncated_normal")


@registered
class GlorotUniform(_Named):
    """Glorot's rule with uniform elements: bound sqrt(6 / (fan_in + fan_out)). Keras's default for kernels."""

    fixed = (1.0, "fan_avg", "uniform")


@registered
class LecunNormal(_Named):
    """LeCun's rule as Keras draws it, truncated and corrected: std = sqrt(1 / fan_in)."""

    fixed = (1.0, "fan_in", "truncated_normal")


@registered
class LecunUniform(_Named):
    """LeCun's rule with uniform elements: bound sqrt(3 / fan_in)."""

    fixed = (1.0, "fan_in", "uniform")


def _of_axes(function: str, shape: tuple[int, ...], input_axes: list[int], output_axes: list[int]) -> Geometry:
    """Axes that are named twice are taps; those that are not named count for neither fan."""
    if any(not -len(shape) <= axis < len(shape) for axis in input_axes + output_axes):
        raise ShapeError(
            message(
                f"{function}: input_axes and output_axes must be axes of the shape; got {input_axes} and "
                f"{output_axes} for shape {shape}."
            )
        )
    into, out = ({axis % len(shape) for axis in axes} for axes in (input_axes, output_axes))
    return Geometry(
        shape,
        in_axes=tuple(sorted(into - out)),
        out_axes=tuple(sorted(out - into)),
        window_axes=tuple(sorted(into & out)),
        batch_axes=tuple(axis for axis in range(len(shape)) if axis not in into | out),
    )
