"""Low-rank adapters: W + s B A with a product that starts at zero."""

from __future__ import annotations

import math
from typing import Literal

from penstock.recipes.arguments import count, one_of
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.normal import Normal
from penstock.recipes.recipe import finite
from penstock.recipes.scaling import VarianceScaling


def lora(*, rank: int, law: Literal["kaiming", "gaussian", "embedding"] = "kaiming") -> Family:
    """A and B of a low-rank adapter, as the PEFT library draws them.

    Args:
        rank: r.
        law: "kaiming": A ~ U(+-1 / sqrt(in)), B = 0. "gaussian": A ~ N(0, 1 / r^2), std 1 / r, B = 0. "embedding":
            A = 0, B ~ N(0, 1).

    Examples:
        >>> lora(rank=8, law="gaussian")["A"].describe()
        'normal(std=0.125)'

    Source:
        Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685; the laws are those of PEFT's code.
    """
    one_of("lora", "law", law, ("kaiming", "gaussian", "embedding"))
    rank = count("lora", "rank", rank)
    if law == "embedding":
        return {"A": Constant(0.0), "B": Normal(1.0)}
    first = Normal(1.0 / rank) if law == "gaussian" else VarianceScaling(math.sqrt(1.0 / 3.0), "fan_in", "uniform")
    return {"A": first, "B": Constant(0.0)}


def lora_scaling(alpha: float, *, rank: int, stabilized: bool = False) -> float:
    """The factor s of an adapter's output: alpha / rank, or alpha / sqrt(rank) stabilized (rsLoRA).

    Examples:
        >>> lora_scaling(16, rank=4), lora_scaling(16, rank=4, stabilized=True)
        (4.0, 8.0)

    Source:
        Hu et al. 2021, section 4.1; Kalajdzievski 2023 (rsLoRA), https://arxiv.org/abs/2312.03732
    """
    alpha = finite("lora_scaling", "alpha", alpha)
    rank = count("lora_scaling", "rank", rank)
    return alpha / (math.sqrt(rank) if stabilized else rank)


ENTRIES = (
    entry(
        "lora",
        "A ~ U(+-1/sqrt(in)) or N(0, 1/r^2), B = 0; output times alpha/r, or alpha/sqrt(r) (rsLoRA)",
        "low-rank adapters of a frozen weight",
        "Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732",
    ),
)
