"""The recipes and the geometries that every recipe test runs over: a new recipe is enrolled by its row."""

from __future__ import annotations

import math

from penstock.geometry import Geometry
from penstock.recipes import (
    Blocks,
    Constant,
    Identity,
    Normal,
    Orthogonal,
    PerBlock,
    Recipe,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    he_normal,
)

GEOMETRIES: dict[str, Geometry] = {
    "linear": Geometry((48, 32), in_axes=(1,), out_axes=(0,)),
    "wide": Geometry((16, 80), in_axes=(1,), out_axes=(0,)),
    "input first": Geometry((32, 48), in_axes=(0,), out_axes=(1,)),
    "conv": Geometry((24, 12, 3, 4), in_axes=(1,), out_axes=(0,), window_axes=(2, 3)),
    "grouped": Geometry((24, 5, 3), in_axes=(1,), out_axes=(0,), window_axes=(2,), groups=4),
    "depthwise": Geometry((20, 1, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=20),
    "transposed": Geometry(
        (12, 6, 4, 4),
        in_axes=(0,),
        out_axes=(1,),
        window_axes=(2, 3),
        groups=2,
        split="out",
        stride=4,
        transposed=True,
    ),
    "experts": Geometry((5, 16, 24), in_axes=(2,), out_axes=(1,), batch_axes=(0,)),
    "heads": Geometry((32, 4, 6), in_axes=(0,), out_axes=(1, 2)),
    "qkv": Geometry((48, 16), in_axes=(1,), out_axes=(0,), blocks=(32, 8, 8)),
    "embedding": Geometry((50, 16), in_axes=(0,), out_axes=(1,), lookup=True),
    "empty": Geometry((0, 8), in_axes=(1,), out_axes=(0,)),
}
BIAS = Geometry((48,), out_axes=(0,))

RECIPES: dict[str, Recipe] = {
    "constant": Constant(0.25),
    "normal": Normal(0.02, 0.01),
    "truncated_normal": TruncatedNormal(0.02),
    "uniform": Uniform(0.05),
    "variance_scaling": he_normal(),
    "variance_scaling uniform": VarianceScaling(1.5, "fan_geo", "uniform"),
    "variance_scaling truncated": VarianceScaling(1.0, "fan_avg", "truncated_normal"),
    "orthogonal": Orthogonal(math.sqrt(2.0)),
    "identity": Identity(2.0),
}
BLOCKS = Blocks((Orthogonal(1.0), VarianceScaling(2.0, "fan_out", "uniform"), Constant(1.0)))
FORGET = PerBlock((0.0, 1.0, -2.0), (12, 30, 6))


def cases() -> list[tuple[str, Recipe, Geometry]]:
    """Every recipe with every geometry that it suits, with a name for the test."""
    plain = [
        (f"{name} on {place}", recipe, geometry)
        for name, recipe in RECIPES.items()
        for place, geometry in GEOMETRIES.items()
    ]
    biases = [
        (f"{name} on bias", RECIPES[name], BIAS) for name in ("constant", "normal", "truncated_normal", "uniform")
    ]
    return [*plain, *biases, ("blocks on qkv", BLOCKS, GEOMETRIES["qkv"]), ("per_block on bias", FORGET, BIAS)]
