"""Convolutional networks for images."""

from __future__ import annotations

import math

from penstock.recipes.arguments import count
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.recipe import finite
from penstock.recipes.scaling import VarianceScaling, he_normal


def resnet(*, zero_last_norm: bool = True) -> Family:
    """He by fan_out for convolutions; the last norm of each residual branch starts at 0, so that blocks are identities.

    Examples:
        >>> resnet()["last_norm"].describe()
        'zeros'

    Source:
        He et al. 2015, eq. 14, https://arxiv.org/abs/1502.01852; zero norms: Goyal et al. 2017, section 5.1,
        https://arxiv.org/abs/1706.02677
    """
    return {
        "conv": he_normal(mode="fan_out"),
        "norm": Constant(1.0),
        "last_norm": Constant(0.0 if zero_last_norm else 1.0),
        "bias": Constant(0.0),
    }


def efficientnet() -> Family:
    """Convolutions N(0, 2 / fan_out) with the fan of one group; the head uniform on +-1 / sqrt(fan_out).

    Source:
        timm's port of the TensorFlow code of MnasNet, MobileNet and EfficientNet
    """
    return {
        "conv": he_normal(mode="fan_out"),
        "head": VarianceScaling(math.sqrt(1.0 / 3.0), "fan_out", "uniform"),
        "norm": Constant(1.0),
        "bias": Constant(0.0),
    }


def weight_norm(*, fan_in: float, fan_out: float, blocks: int = 1) -> Family:
    """Weight-normalised ReLU layers: orthogonal directions, and lengths that keep the RMS both ways on the average.

    Args:
        fan_in: of the layer.
        fan_out: of the layer.
        blocks: residual blocks in the same stage, for "branch_end_length".

    Examples:
        >>> weight_norm(fan_in=64, fan_out=64)["length"].describe()
        'constant(1.414)'

    Source:
        Arpit, Campos, Bengio 2019, section 3, https://arxiv.org/abs/1906.02341
    """
    units = finite("weight_norm", "fan_out", fan_out, at_least=1.0)
    ratio = finite("weight_norm", "fan_in", fan_in, at_least=1.0) / units
    return {
        "direction": Orthogonal(1.0),
        "length": Constant(math.sqrt(2.0 * ratio)),
        "linear_length": Constant(1.0),
        "branch_end_length": Constant(math.sqrt(ratio / count("weight_norm", "blocks", blocks))),
        "bias": Constant(0.0),
    }


def dcgan() -> Family:
    """N(0, 0.02^2) for all convolutions, N(1, 0.02^2) for norm scales.

    Source:
        Radford, Metz, Chintala 2015, section 4, https://arxiv.org/abs/1511.06434; norms: PyTorch's DCGAN example
    """
    return {"conv": Normal(0.02), "norm": Normal(0.02, 1.0), "norm_bias": Constant(0.0)}


ENTRIES = (
    entry(
        "resnet", "He by fan_out; last norm of a branch 0", "residual networks", "arXiv:1502.01852; arXiv:1706.02677"
    ),
    entry("efficientnet", "Var(w) = 2/fan_out; head U(+-1/sqrt(fan_out))", "EfficientNet, MobileNet", "timm"),
    entry(
        "weight_norm",
        "orthogonal directions; lengths sqrt(2 fan_in/fan_out), sqrt(fan_in/fan_out/blocks) at a branch's end",
        "weight normalisation",
        "arXiv:1906.02341",
    ),
    entry("dcgan", "w ~ N(0, 0.02^2), norm ~ N(1, 0.02^2)", "convolutional GANs", "arXiv:1511.06434"),
)
