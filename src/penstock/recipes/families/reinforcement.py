"""Reinforcement learning."""

from __future__ import annotations

import math

from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.orthogonal import Orthogonal


def ppo() -> Family:
    """Orthogonal layers: gain sqrt(2) hidden, 0.01 for the policy's last layer, 1 for the value's.

    A policy that starts nearly uniform explores. Hidden layers keep the RMS where they widen, unlike PyTorch's rule,
    which the published code uses.

    Examples:
        >>> ppo()["policy"].describe()
        'orthogonal(gain=0.01)'

    Source:
        CleanRL's ppo.py, after OpenAI Baselines
    """
    return {
        "hidden": Orthogonal(math.sqrt(2.0)),
        "policy": Orthogonal(0.01),
        "value": Orthogonal(1.0),
        "bias": Constant(0.0),
    }


ENTRIES = (
    entry("ppo", "orthogonal: hidden sqrt(2), policy 0.01, value 1; b = 0", "policy gradients", "CleanRL, ppo.py"),
)
