"""The cases: a network, a task, and how well it must be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial

from nets import ACTIVATIONS, Recurrent, Transformer, cnn, mlp, residual_cnn, residual_mlp, siren, uneven
from tasks import SIGNS, adding, adding_100, copied_digits, copying, digits, made, picture, text
from torch import nn

from penstock.racing.data import Data

DEPTHS = {"mlp": (10, 40, 120), "cnn": (10, 30, 60), "residual": (20, 100), "transformer": (4, 12, 24)}
CNN_ACTIVATIONS = ("relu", "gelu", "silu", "tanh", "sigmoid", "selu", "softplus", "bump")


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: "family/variant/depth".
        factory: makes the network.
        data: makes the task.
        target: score (right answers, or R^2) that counts as trained.
        steps: that it may take.
        every: steps between two looks at the score.
    """

    name: str
    factory: Callable[[], nn.Module]
    data: Callable[[], Data]
    target: float
    steps: int
    every: int = 5


def all_cases() -> list[Case]:
    """Every case, families together, small before large."""
    images = partial(digits, 64)
    cases = [
        Case(f"mlp/{name}/{depth}", partial(mlp, name, depth), digits, 0.9, 200)
        for depth in DEPTHS["mlp"]
        for name in ACTIVATIONS
    ]
    cases += [
        Case(f"cnn/{name}/{depth}", partial(cnn, name, depth), images, 0.9, 250)
        for depth in DEPTHS["cnn"]
        for name in CNN_ACTIVATIONS
    ]
    for depth in DEPTHS["residual"]:
        cases.append(Case(f"residual mlp/relu/{depth}", partial(residual_mlp, depth), digits, 0.9, 200))
        cases.append(Case(f"residual cnn/relu/{depth}", partial(residual_cnn, depth), images, 0.9, 250))
    cases += [
        Case(
            f"transformer/{norms}/{layers}",
            partial(Transformer, norms, layers, signs=len(SIGNS)),
            partial(made, text),
            0.6,
            300,
        )
        for layers in DEPTHS["transformer"]
        for norms in ("pre", "post", "none")
    ]
    widths = [64, 512, 16, 256, 32, 384, 16, 128, 512, 24, 64, 16]
    cases += [
        Case("uneven mlp/gelu/12", partial(uneven, "gelu", widths), digits, 0.9, 200),
        Case(
            "autoencoder/tanh/30",
            partial(uneven, "tanh", [64] * 14 + [16] * 2 + [64] * 14, outputs=64),
            copied_digits,
            0.6,
            400,
        ),
        Case("siren/sin30/5", siren, picture, 0.7, 300),
        Case("lstm/copy/30", partial(Recurrent, "lstm", 10, 8, answers=5), partial(made, copying), 0.9, 600, 10),
    ]
    for length, task, steps in ((100, adding_100, 600), (400, adding, 1000)):
        cases += [
            Case(f"{cell}/adding/{length}", partial(Recurrent, cell, 2, 1), partial(made, task), 0.8, steps, 10)
            for cell in ("lstm", "gru")
        ]
    return cases


def chosen_cases(patterns: str) -> list[Case]:
    """The cases whose name fits one of the patterns between commas: "mlp/*/40,siren*"."""
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    return [case for case in all_cases() if any(fnmatch(case.name, pattern) for pattern in wanted)]
