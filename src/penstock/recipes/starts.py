"""Parameters whose start is one number by convention: embeddings, temperatures, slopes, layers that add nothing."""

from __future__ import annotations

import math

from penstock.recipes.arguments import count
from penstock.recipes.constant import Constant
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.normal import Normal
from penstock.recipes.recipe import Recipe, finite
from penstock.recipes.zero_rows import ZeroRows


def embedding(*, width: int | None = None, std: float = 1.0, padding: int | None = None) -> Recipe:
    """Rows of a look-up table: elements of `std`, or of 1 / sqrt(width), which a model multiplies by sqrt(width).

    PyTorch, T5 and torchtitan have std 1, GPT and BERT 0.02, the first transformers 1 / sqrt(width).

    Args:
        width: features of one row; then each row has a length of about `std`.
        std: standard deviation of one element, or with a width of one element times its root.
        padding: a row that is zero.

    Examples:
        >>> embedding().describe(), embedding(width=400).describe(), embedding(std=0.02, padding=0).describe()
        ('normal(std=1)', 'normal(std=0.05)', 'normal(std=0.02), row 0 zero')

    Source:
        Vaswani et al. 2017, section 3.4, https://arxiv.org/abs/1706.03762; torch.nn.Embedding
    """
    root = 1.0 if width is None else math.sqrt(count("embedding", "width", width))
    rows = Normal(finite("embedding", "std", std, at_least=0.0) / root)
    return rows if padding is None else ZeroRows(rows, (count("embedding", "padding", padding, at_least=0),))


def zero_convolution() -> Constant:
    """A layer that adds nothing at the start and learns all the same, since its input is not zero.

    The convolutions that join a ControlNet to its model, the last layer of a diffusion model, adaLN-Zero's modulations.

    Source:
        Zhang, Rao, Agrawala 2023 (ControlNet), section 3.1, https://arxiv.org/abs/2302.05543; Peebles & Xie 2022
    """
    return Constant(0.0)


def prelu_slope() -> Constant:
    """A learnt slope for negative inputs, 0.25; layers behind it take he_normal(negative_slope=0.25).

    Source:
        He, Zhang, Ren, Sun 2015, section 2.1, https://arxiv.org/abs/1502.01852
    """
    return Constant(0.25)


def clip_temperature() -> Constant:
    """The logarithm of the factor of CLIP's cosines: log(1 / 0.07).

    Examples:
        >>> round(clip_temperature().value, 6)
        2.65926

    Source:
        Radford et al. 2021, section 2.5, https://arxiv.org/abs/2103.00020
    """
    return Constant(-math.log(0.07))


def spline_derivative_bias() -> Constant:
    """The derivatives of a rational-quadratic spline flow at its knots: softplus of this is 1, so it is an identity.

    Examples:
        >>> round(math.log1p(math.exp(spline_derivative_bias().value)), 12)
        1.0

    Source:
        Durkan et al. 2019 (Neural Spline Flows), https://arxiv.org/abs/1906.04032, and its code
    """
    return Constant(math.log(math.expm1(1.0)))


def _entry(name: str, formula: str, when: str, source: str) -> CatalogueEntry:
    return CatalogueEntry(name, formula, when, source, "named rule")


ENTRIES = (
    _entry(
        "embedding",
        "w ~ N(0, std^2) or N(0, std^2 / width), padding row 0",
        "token and position embeddings",
        "Vaswani et al. 2017, arXiv:1706.03762; torch.nn.Embedding",
    ),
    _entry(
        "zero_convolution",
        "w = 0",
        "layers that join a new branch to a trained model, adaLN-Zero's modulations",
        "arXiv:2302.05543; arXiv:2212.09748",
    ),
    _entry("prelu_slope", "a = 0.25", "PReLU's slope", "arXiv:1502.01852"),
    _entry("clip_temperature", "t = log(1 / 0.07)", "contrastive losses over cosines", "arXiv:2103.00020"),
    _entry("spline_derivative_bias", "b = log(e - 1)", "spline flows that start as identities", "arXiv:1906.04032"),
)
"""What the catalogue says about the rules in this file."""
