"""Well-known rules that are one of the recipes with certain parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from penstock.errors import ArgumentError, message
from penstock.recipes.arguments import count, one_of
from penstock.recipes.constant import Constant
from penstock.recipes.cyclic_identity import CyclicIdentity
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.identity import Identity
from penstock.recipes.normal import Normal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.recipe import finite
from penstock.recipes.scaling import VarianceScaling, glorot_normal, glorot_uniform, he_normal, he_uniform

kaiming_normal, kaiming_uniform = he_normal, he_uniform
xavier_normal, xavier_uniform = glorot_normal, glorot_uniform


def dirac(*, gain: float = 1.0) -> Identity:
    """The identity as a convolution: a one on the centre tap of equal channels.

    Examples:
        >>> dirac().describe()
        'identity(gain=1)'
    """
    return Identity(gain)


def idinit(*, branch_end: bool = False) -> CyclicIdentity:
    """IDInit: cyclic identities with 1 on the main path and 1e-6 in the last layer of each residual branch.

    Examples:
        >>> idinit(branch_end=True).gain
        1e-06

    Source:
        Pan et al. 2025, https://arxiv.org/abs/2503.04626
    """
    return CyclicIdentity(1e-6 if branch_end else 1.0)


def complex_he() -> VarianceScaling:
    r"""He's rule for complex weights: E|w|^2 = 2 / fan_in.

    Modulus Rayleigh-distributed with 1 / sqrt(fan_in) and phase uniform is the same law as independent normal real and
    imaginary parts of std 1 / sqrt(fan_in): draw them as a real parameter of shape (*shape, 2), e.g. what
    `torch.view_as_real` gives, with the last axis in no role.

    Source:
        Trabelsi et al. 2018, section 3.6, https://arxiv.org/abs/1705.09792
    """
    return VarianceScaling(1.0, "fan_in", "normal")


def complex_glorot() -> VarianceScaling:
    r"""Glorot's rule for complex weights: E|w|^2 = 2 / (fan_in + fan_out), drawn as `complex_he` says.

    Source:
        Trabelsi et al. 2018, section 3.6, https://arxiv.org/abs/1705.09792
    """
    return VarianceScaling(math.sqrt(0.5), "fan_avg", "normal")


def fourier_features(*, frequency: float = 10.0) -> Normal:
    """The fixed matrix B of [cos 2 pi B x, sin 2 pi B x]: N(0, frequency^2), in cycles per unit of x.

    Args:
        frequency: to be tuned, 1 to 100: too small blurs, too large makes noise.

    Source:
        Tancik et al. 2020, https://arxiv.org/abs/2006.10739
    """
    return Normal(finite("fourier_features", "frequency", frequency, at_least=0.0))


def prior_bias(probability: float = 0.01) -> Constant:
    """The bias with which a sigmoid starts at `probability`: -log((1 - p) / p).

    Examples:
        >>> round(prior_bias(0.01).value, 12)
        -4.595119850135

    Source:
        Lin et al. 2017 (RetinaNet), section 4.1, https://arxiv.org/abs/1708.02002
    """
    return Constant(_logit("prior_bias", probability))


def class_prior_bias(probabilities: Sequence[float], *, output: Literal["softmax", "sigmoid"] = "softmax") -> PerBlock:
    """The bias with which a classifier starts at the classes' frequencies.

    Args:
        probabilities: one for each class, each between 0 and 1; for softmax they are normalised first.
        output: "softmax" gives log p, centred to mean 0; "sigmoid" gives the logit of each.

    Examples:
        >>> class_prior_bias([0.5, 0.25, 0.25]).describe()
        'per_block(0.4621, -0.231, -0.231)'
    """
    one_of("class_prior_bias", "output", output, ("softmax", "sigmoid"))
    function = "class_prior_bias"
    if output == "sigmoid":
        values = [_logit(function, p) for p in probabilities]
    else:
        checked = [finite(function, "probabilities", p) for p in probabilities]
        if not checked or min(checked) <= 0.0:
            raise ArgumentError(message(f"{function}: probabilities must be positive; got {list(probabilities)}."))
        logs = [math.log(p / sum(checked)) for p in checked]
        values = [value - sum(logs) / len(logs) for value in logs]
    return PerBlock(tuple(values), (1,) * len(values))


def small_init(width: int) -> Normal:
    """Transformer weights of std sqrt(2 / (5 width)): between Glorot's for square and for 1:4 layers.

    Examples:
        >>> round(small_init(1000).sigma, 6)
        0.02

    Source:
        Nguyen & Salazar 2019, https://arxiv.org/abs/1910.05895
    """
    return Normal(math.sqrt(2.0 / (5.0 * count("small_init", "width", width))))


def wang_init(width: int, *, layers: int) -> Normal:
    """The last weights of residual branches: std 2 / (layers sqrt(width)).

    Examples:
        >>> wang_init(1024, layers=4).sigma
        0.015625

    Source:
        Wang & Komatsuzaki 2021 (GPT-J), the code of Mesh Transformer JAX
    """
    return Normal(2.0 / (count("wang_init", "layers", layers) * math.sqrt(count("wang_init", "width", width))))


def hyperfan_in(
    main_fan_in: float, *, embedding_second_moment: float = 1.0, relu: bool = True, makes_biases: bool = False
) -> VarianceScaling:
    r"""The last layer of a hypernetwork, so that the weights it makes keep the main network's signal.

    .. math::  \mathrm{Var}(H) = \frac{2^{[relu]}}{2^{[biases]}\, d_j\, d_k\, E[e^2]}

    A made weight is a sum of d_k = fan_in(H) products of H with the embedding e; its variance must be 2 / d_j for ReLU.

    Args:
        main_fan_in: d_j, fan_in of the layer that is made.
        embedding_second_moment: E[e^2] of H's input.
        relu: whether the main network's activation is ReLU, which halves the second moment.
        makes_biases: whether biases are made too; each then brings half of the variance.

    Examples:
        >>> hyperfan_in(100).gain
        0.1414213562373095

    Source:
        Chang, Flokas, Lipson, ICLR 2020
    """
    fan = finite("hyperfan_in", "main_fan_in", main_fan_in, at_least=1e-30)
    moment = finite("hyperfan_in", "embedding_second_moment", embedding_second_moment, at_least=1e-30)
    return VarianceScaling(math.sqrt((2.0 if relu else 1.0) / ((2.0 if makes_biases else 1.0) * fan * moment)))


def hyperfan_out(main_fan_out: float, *, embedding_second_moment: float = 1.0, relu: bool = True) -> VarianceScaling:
    """`hyperfan_in` for the gradient: the made weight's variance is 2 / fan_out of the layer that is made."""
    return hyperfan_in(main_fan_out, embedding_second_moment=embedding_second_moment, relu=relu)


def kumar(slope: float, value: float = 0.0) -> VarianceScaling:
    r"""The rule for any activation that is smooth at 0, by its tangent there.

    .. math::  \mathrm{Var}(w) = \frac{1}{n\, \phi'(0)^2\, (1 + \phi(0)^2)}

    Args:
        slope: phi'(0), not 0.
        value: phi(0).

    Examples:
        >>> round(kumar(0.25, 0.5).gain, 12)  # sigmoid: 3.6 / sqrt(n)
        3.577708764

    Limits: exact for small signals only; `penstock.gain` computes the gain at variance 1.

    Source:
        Kumar 2017, https://arxiv.org/abs/1704.08863
    """
    slope, value = finite("kumar", "slope", slope), finite("kumar", "value", value)
    if slope == 0.0:
        raise ArgumentError(message("kumar: slope must not be 0; got 0.0.", hint="penstock.gain(activation)"))
    return VarianceScaling(1.0 / (abs(slope) * math.sqrt(1.0 + value**2)))


def switch_transformer(*, scale: float = 0.1) -> VarianceScaling:
    """Mixture-of-experts transformers: truncated normal of variance 0.1 / fan_in, for stability in low precision.

    Source:
        Fedus, Zoph, Shazeer 2021 (Switch), section 2.4, https://arxiv.org/abs/2101.03961
    """
    return VarianceScaling(
        math.sqrt(finite("switch_transformer", "scale", scale, at_least=0.0)), "fan_in", "truncated_normal"
    )


def _logit(function: str, probability: float) -> float:
    p = finite(function, "probability", probability)
    if not 0.0 < p < 1.0:
        raise ArgumentError(message(f"{function}: probability must lie between 0 and 1; got {p}."))
    return math.log(p) - math.log1p(-p)


def _entry(name: str, formula: str, when: str, source: str) -> CatalogueEntry:
    return CatalogueEntry(name, formula, when, source, "named rule")


ENTRIES = (
    _entry(
        "he_normal, he_uniform (kaiming)", "Var(w) = 2 / ((1 + a^2) fan)", "ReLU and leaky ReLU", "arXiv:1502.01852"
    ),
    _entry(
        "glorot_normal, glorot_uniform (xavier)",
        "Var(w) = 2 gain^2 / (fan_in + fan_out)",
        "tanh, sigmoid, linear, attention",
        "Glorot & Bengio 2010",
    ),
    _entry(
        "lecun_normal, lecun_uniform", "Var(w) = 1 / fan_in", "linear and SELU", "LeCun et al. 1998; arXiv:1706.02515"
    ),
    _entry("dirac", "w[d, d, centre] = gain, else 0", "convolutions that start as identities", "arXiv:1504.00941"),
    _entry("idinit", "cyclic_identity with 1, or 1e-6 at a branch's end", "residual networks", "arXiv:2503.04626"),
    _entry("complex_he", "E|w|^2 = 2 / fan_in", "complex weights, ReLU", "Trabelsi et al. 2018, arXiv:1705.09792"),
    _entry(
        "complex_glorot", "E|w|^2 = 2 / (fan_in + fan_out)", "complex weights", "Trabelsi et al. 2018, arXiv:1705.09792"
    ),
    _entry("fourier_features", "B ~ N(0, frequency^2)", "coordinate networks", "Tancik et al. 2020, arXiv:2006.10739"),
    _entry(
        "prior_bias",
        "b = -log((1 - p) / p)",
        "rare-event detectors and focal loss",
        "Lin et al. 2017, arXiv:1708.02002",
    ),
    _entry(
        "class_prior_bias",
        "b_k = log p_k (centred) or logit p_k",
        "classifiers of unbalanced classes",
        "arXiv:1708.02002",
    ),
    _entry(
        "small_init", "std(w) = sqrt(2 / (5 width))", "transformer weights", "Nguyen & Salazar 2019, arXiv:1910.05895"
    ),
    _entry("wang_init", "std(w) = 2 / (layers sqrt(width))", "last weights of residual branches", "GPT-J, 2021"),
    _entry(
        "hyperfan_in, hyperfan_out",
        "Var(H) = 2^[relu] / (2^[biases] fan_main fan_in(H) E[e^2])",
        "last layer of a hypernetwork",
        "Chang, Flokas, Lipson, ICLR 2020",
    ),
    _entry(
        "kumar", "Var(w) = 1 / (n phi'(0)^2 (1 + phi(0)^2))", "activations smooth at 0", "Kumar 2017, arXiv:1704.08863"
    ),
    _entry("switch_transformer", "Var(w) = 0.1 / fan_in, truncated", "mixtures of experts", "arXiv:2101.03961"),
)
"""What the catalogue says about the rules in this file and in `scaling`."""
