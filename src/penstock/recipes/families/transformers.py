"""Transformers whose rule does not depend on depth; those that do are schemes."""

from __future__ import annotations

import math

from penstock.recipes.arguments import count
from penstock.recipes.blocks import Blocks
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.normal import Normal
from penstock.recipes.scaling import VarianceScaling
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform

_TRUNCATED = TruncatedNormal(0.02 * 0.87962566103423978)
"""A normal law of std 0.02 cut at two of them, whose std then is 0.0176."""


def bert() -> Family:
    """All weights and embeddings from a normal law of std 0.02 cut at +-0.04; biases 0, norms 1 and 0.

    Source:
        Devlin et al. 2018, the published code (truncated_normal_initializer), https://arxiv.org/abs/1810.04805
    """
    return {"weight": _TRUNCATED, "embedding": _TRUNCATED, "norm": Constant(1.0), "bias": Constant(0.0)}


def transformer(*, width: int) -> Family:
    """The first transformers: Glorot-uniform weights; embeddings of std 1 / sqrt(width), which sqrt(width) multiplies.

    Args:
        width: of the residual stream.

    Examples:
        >>> transformer(width=400)["embedding"].describe()
        'normal(std=0.05)'

    Source:
        Vaswani et al. 2017, section 3.4, https://arxiv.org/abs/1706.03762, and its code (tensor2tensor)
    """
    glorot = VarianceScaling(1.0, "fan_avg", "uniform")
    rows = Normal(count("transformer", "width", width) ** -0.5)
    return {"weight": glorot, "embedding": rows, "norm": Constant(1.0), "bias": Constant(0.0)}


def t5(*, width: int, head_dim: int, heads: int, feed_forward: int) -> Family:
    """T5 leaves 1 / sqrt(head_dim) out of its attention and has it in the queries' std instead.

    Args:
        width: model width.
        head_dim: size of one head.
        heads: number of heads.
        feed_forward: hidden size of the feed-forward layer.

    Examples:
        >>> t5(width=512, head_dim=64, heads=8, feed_forward=2048)["query"].sigma == (512 * 64) ** -0.5
        True

    Source:
        Raffel et al. 2020, https://arxiv.org/abs/1910.10683, as in its Hugging Face port
    """
    width, head_dim = count("t5", "width", width), count("t5", "head_dim", head_dim)
    inner = count("t5", "heads", heads) * head_dim
    return {
        "embedding": Normal(1.0),
        "query": Normal((width * head_dim) ** -0.5),
        "key": Normal(width**-0.5),
        "value": Normal(width**-0.5),
        "attention_out": Normal(inner**-0.5),
        "relative_bias": Normal(width**-0.5),
        "feed_forward_in": Normal(width**-0.5),
        "feed_forward_out": Normal(count("t5", "feed_forward", feed_forward) ** -0.5),
    }


def vit_jax(*, classes: int | None = None) -> Family:
    """Glorot-uniform linear layers, LeCun patches, a zero head.

    Args:
        classes: with a number, the head's bias starts at -log(classes), as for sigmoid outputs.

    Source:
        Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929, as in timm's "jax" mode
    """
    bias = 0.0 if classes is None else -math.log(count("vit_jax", "classes", classes))
    return {
        "linear": VarianceScaling(1.0, "fan_avg", "uniform"),
        "mlp_bias": Normal(1e-6),
        "patch": VarianceScaling(1.0, "fan_in", "truncated_normal"),
        "head": Constant(0.0),
        "head_bias": Constant(bias),
    }


def vit_moco(*, width: int, patch: int, channels: int = 3) -> Family:
    """Glorot-uniform linear layers, each of query, key and value with the fans of its own block; frozen-size patches.

    Args:
        width: of the residual stream.
        patch: side of a patch, in pixels.
        channels: of the image.

    Examples:
        >>> vit_moco(width=384, patch=16)["patch"].describe()
        'uniform(bound=0.07217)'

    Source:
        Chen, Xie, He 2021 (MoCo v3), https://arxiv.org/abs/2104.02057, and its code; timm's "moco" mode
    """
    glorot = VarianceScaling(1.0, "fan_avg", "uniform")
    pixels = count("vit_moco", "channels", channels) * count("vit_moco", "patch", patch) ** 2
    return {
        "qkv": Blocks((glorot,) * 3),
        "linear": glorot,
        "patch": Uniform(math.sqrt(6.0 / (pixels + count("vit_moco", "width", width)))),
        "bias": Constant(0.0),
    }


def dit() -> Family:
    """Diffusion transformers with adaLN-Zero: modulations and the last layer start at 0, so every block is an identity.

    Source:
        Peebles & Xie 2022, section 3.2, https://arxiv.org/abs/2212.09748, and its code
    """
    glorot = VarianceScaling(1.0, "fan_avg", "uniform")
    return {
        "linear": glorot,
        "patch": glorot,
        "label_embedding": Normal(0.02),
        "time_embedding": Normal(0.02),
        "modulation": Constant(0.0),
        "final": Constant(0.0),
        "bias": Constant(0.0),
    }


ENTRIES = (
    entry("bert", "truncated N(0, 0.02^2), b = 0", "encoders like BERT", "arXiv:1810.04805"),
    entry(
        "transformer",
        "Glorot uniform; embeddings N(0, 1/d) times sqrt(d)",
        "the first transformers, translation",
        "arXiv:1706.03762; tensor2tensor",
    ),
    entry("t5", "q (d d_kv)^-1/2; k, v, wi d^-1/2; o (h d_kv)^-1/2; wo d_ff^-1/2", "T5", "arXiv:1910.10683"),
    entry("vit_jax", "Glorot uniform, patches LeCun, head 0", "vision transformers", "arXiv:2010.11929; timm"),
    entry("vit_moco", "Glorot uniform by block; patches U(+-sqrt(6/(c p^2 + d)))", "MoCo v3's ViT", "arXiv:2104.02057"),
    entry("dit", "Glorot uniform; modulation and last layer 0", "diffusion transformers", "arXiv:2212.09748"),
)
