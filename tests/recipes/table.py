"""The recipes and the geometries that every recipe test runs over: a new recipe is enrolled by its row."""

from __future__ import annotations

import math

from penstock.geometry import Geometry
from penstock.recipes import (
    S4D,
    BalancedOrthogonal,
    Bilinear,
    Blocks,
    BoundedNormal,
    Chrono,
    Constant,
    ConvolutionOrthogonal,
    CyclicIdentity,
    DeltaOrthogonal,
    Hippo,
    Icnr,
    Identity,
    Joined,
    LogIndex,
    LogitOfUniform,
    LogOfUniform,
    LooksLinear,
    Modular,
    Normal,
    Orthogonal,
    PerBlock,
    Recipe,
    Ring,
    SemiOrthogonal,
    Siren,
    SkewRotations,
    Sparse,
    Spectral,
    StepSize,
    TruncatedNormal,
    Uniform,
    UniformBetween,
    UniformGate,
    VarianceScaling,
    ZerO,
    ZeroRows,
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
    "spectral": Spectral(0.7),
    "bounded_normal": BoundedNormal(0.1, 0.5, -0.6, 0.9),
    "uniform_between": UniformBetween(0.5, 2.0),
    "semi_orthogonal": SemiOrthogonal(1.5),
    "siren": Siren(),
    "siren first": Siren(first=True),
    "sparse": Sparse(5, gain=0.5),
    "sparse per input": Sparse(3, "input"),
    "modular": Modular(1.5),
    "cyclic_identity": CyclicIdentity(1e-3),
    "zero_hadamard": ZerO(2.0),
}
BLOCKS = Blocks((Orthogonal(1.0), VarianceScaling(2.0, "fan_out", "uniform"), Constant(1.0)))
FORGET = PerBlock((0.0, 1.0, -2.0), (12, 30, 6))

WIDENING = ("conv", "depthwise", "grouped")
STATES = Geometry((3, 8, 8))
GATES = Geometry((4 * 24,))
ANY = {"conv": GEOMETRIES["conv"], "long bias": Geometry((960,)), "empty": GEOMETRIES["empty"]}
# Recipes that suit some geometries only.
SPECIAL: dict[str, tuple[Recipe, dict[str, Geometry]]] = {
    "log_of_uniform": (LogOfUniform(1.0, 16.0), ANY),
    "log_of_uniform from 0": (LogOfUniform(0.0, 6.28), ANY),
    "logit_of_uniform": (LogitOfUniform(0.01), ANY),
    "log_index": (LogIndex(), ANY),
    "step_size": (StepSize(), ANY),
    "step_size of mamba": (StepSize(stored="inverse_softplus", floor=1e-4), ANY),
    "ring": (Ring(0.4, 0.99), ANY),
    "ring of griffin": (Ring(0.9, 0.999, "inverse_softplus"), ANY),
    "hippo": (Hippo("B"), ANY),
    "s4d": (S4D("lin", "imag"), ANY),
    "s4d decay": (S4D("real", "log_decay", 0.5), ANY),
    "delta_orthogonal": (DeltaOrthogonal(1.5), {name: GEOMETRIES[name] for name in (*WIDENING, "linear")}),
    "delta_orthogonal keeping the rms": (DeltaOrthogonal(1.5, "rms"), {"conv": GEOMETRIES["conv"]}),
    "convolution_orthogonal": (ConvolutionOrthogonal(0.5), {name: GEOMETRIES[name] for name in WIDENING}),
    "balanced_orthogonal": (
        BalancedOrthogonal(1.5),
        {
            name: GEOMETRIES[name]
            for name in ("linear", "wide", "conv", "grouped", "transposed", "experts", "qkv", "empty")
        },
    ),
    "looks_linear": (
        LooksLinear("hidden", 1.5),
        {name: GEOMETRIES[name] for name in ("linear", "wide", "input first", "conv", "experts", "heads", "qkv")},
    ),
    "looks_linear first": (LooksLinear("first"), {"linear": GEOMETRIES["linear"], "conv": GEOMETRIES["conv"]}),
    "looks_linear last": (LooksLinear("last"), {"wide": GEOMETRIES["wide"], "conv": GEOMETRIES["conv"]}),
    "bilinear": (Bilinear(2.0), {name: GEOMETRIES[name] for name in (*WIDENING, "transposed")}),
    "icnr": (Icnr(he_normal(), 4), {name: GEOMETRIES[name] for name in ("linear", "conv", "wide", "input first")}),
    "icnr of runs": (Icnr(he_normal(), 4, "tensorflow"), {"conv": GEOMETRIES["conv"]}),
    "icnr of itself": (Icnr(Icnr(Normal(1.0), 2), 3, "tensorflow"), {"conv": GEOMETRIES["conv"]}),
    "blocks": (BLOCKS, {"qkv": GEOMETRIES["qkv"]}),
    "joined": (
        Joined((Blocks((Uniform(0.1),) * 3), Blocks((Orthogonal(1.0),) * 3)), (10, 6)),
        {"qkv": GEOMETRIES["qkv"]},
    ),
    "joined, gates together": (
        Joined((Uniform(0.1), Orthogonal(2.0)), (10, 6)),
        {"experts": Geometry((5, 16, 24), in_axes=(1,), out_axes=(2,), batch_axes=(0,))},
    ),
    "per_block": (FORGET, {"bias": BIAS}),
    "zero_rows": (
        ZeroRows(Normal(0.5), (7,)),
        {name: GEOMETRIES[name] for name in ("embedding", "linear", "wide")} | {"bias": Geometry((960,))},
    ),
    "chrono": (Chrono(100.0), {"gates": GATES}),
    "chrono of a GRU": (Chrono(50.0, 3, 1, None), {"bias": BIAS}),
    "uniform_gate": (UniformGate(), {"gates": GATES}),
    "hippo A": (Hippo("A"), {"states": STATES}),
    "hippo P": (Hippo("P", 0.5), {"states": STATES}),
    "s4d inv": (S4D("inv"), {"states": STATES}),
    "skew_rotations": (SkewRotations(), {"square": Geometry((100, 100), in_axes=(1,), out_axes=(0,))}),
    "skew_rotations henaff": (
        SkewRotations("henaff", 0.5),
        {"odd": Geometry((101, 101), in_axes=(1,), out_axes=(0,))},
    ),
    "s4d legs": (S4D("legs"), {"states": STATES}),
}
ELEMENTWISE = ("constant", "normal", "truncated_normal", "uniform")
DETERMINISTIC = frozenset(
    "constant identity per_block cyclic_identity zero_hadamard log_index hippo s4d bilinear".split()
)
REPEATS = {"looks_linear": 4, "skew_rotations": 2, "icnr": 6, "chrono": 2}
"""How often a value occurs in one draw at most, which makes the standard errors larger by the square root."""


def cases() -> list[tuple[str, Recipe, Geometry]]:
    """Every recipe with every geometry that it suits, with a name for the test."""
    plain = [
        (f"{name} on {place}", recipe, geometry)
        for name, recipe in RECIPES.items()
        for place, geometry in GEOMETRIES.items()
    ]
    biases = [(f"{name} on bias", RECIPES[name], BIAS) for name in ELEMENTWISE]
    special = [
        (f"{name} on {place}", recipe, geometry)
        for name, (recipe, places) in SPECIAL.items()
        for place, geometry in places.items()
    ]
    return [*plain, *biases, *special]
