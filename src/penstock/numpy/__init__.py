"""Initializers that give NumPy arrays: `penstock.numpy.he_normal((512, 256), rng=0, name="dense.kernel")`.

Axes. Weights are (*taps, in, out), as in Keras and JAX: `in_axis=-2, out_axis=-1`, and every other axis is a tap of a
convolution unless it is named in `batch_axis` (experts, heads: in no fan). PyTorch's layout is `in_axis=1, out_axis=0`.

Random numbers. `rng` is None (fresh entropy), a seed, a `numpy.random.SeedSequence`, or a `numpy.random.Generator`,
from which one 64-bit number is drawn. With a seed the values are the same in every call, on every machine and in every
door of penstock: give parameters different names to make them differ, `name="layers.0.weight"`. NumPy's global state
is neither read nor changed.

A `window` is a tuple of slices: that part of the whole array is made alone, with the bits it has in the whole; `shape`
and the fans stay those of the whole. `out` is written in place and returned; it has the window's shape, any strides,
and its own type. Values are made in float32 and rounded once.
"""

from __future__ import annotations

from penstock.numpy.drawing import draw
from penstock.numpy.elementwise import constant, normal, ones, truncated_normal, uniform, zeros
from penstock.numpy.rules import (
    delta_orthogonal,
    dirac,
    eye,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    identity,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    orthogonal,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
)

__all__ = [
    "constant",
    "delta_orthogonal",
    "dirac",
    "draw",
    "eye",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
