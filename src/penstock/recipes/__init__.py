"""Recipes: published initialization rules with their parameters, one a file, each a frozen value that can be drawn.

Rules over many parameters are in `penstock.recipes.schemes`, recipes for a whole layer in `penstock.recipes.families`,
values that follow from other arrays in `penstock.recipes.from_values`. `catalogue()` lists them all.
"""

from __future__ import annotations

from penstock.recipes.balanced_orthogonal import BalancedOrthogonal
from penstock.recipes.bilinear import Bilinear
from penstock.recipes.blocks import Blocks
from penstock.recipes.bounded_normal import BoundedNormal
from penstock.recipes.chrono import Chrono
from penstock.recipes.constant import Constant
from penstock.recipes.convolution_orthogonal import ConvolutionOrthogonal
from penstock.recipes.cyclic_identity import CyclicIdentity
from penstock.recipes.delta_orthogonal import DeltaOrthogonal
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.hippo import Hippo, hippo_legs, hippo_legs_diagonal
from penstock.recipes.icnr import Icnr
from penstock.recipes.identity import Identity
from penstock.recipes.joined import Joined
from penstock.recipes.log_index import LogIndex
from penstock.recipes.log_of_uniform import LogOfUniform
from penstock.recipes.logit_of_uniform import LogitOfUniform
from penstock.recipes.looks_linear import LooksLinear
from penstock.recipes.modular import Modular
from penstock.recipes.named import (
    class_prior_bias,
    complex_glorot,
    complex_he,
    dirac,
    fourier_features,
    hyperfan_in,
    hyperfan_out,
    idinit,
    kaiming_normal,
    kaiming_uniform,
    kumar,
    prior_bias,
    small_init,
    switch_transformer,
    wang_init,
    xavier_normal,
    xavier_uniform,
)
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.poincare import Affine, gaussian_poincare
from penstock.recipes.random_walk import random_walk_gain
from penstock.recipes.recipe import Recipe
from penstock.recipes.registry import RECIPES, catalogue, recipe_from_dict
from penstock.recipes.ring import Ring
from penstock.recipes.s4d import S4D, s4d_eigenvalues
from penstock.recipes.scaling import (
    VarianceScaling,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.siren import Siren
from penstock.recipes.skew_rotations import SkewRotations
from penstock.recipes.sparse import Sparse
from penstock.recipes.spectral import Spectral
from penstock.recipes.starts import (
    clip_temperature,
    embedding,
    prelu_slope,
    spline_derivative_bias,
    zero_convolution,
)
from penstock.recipes.step_size import StepSize
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform
from penstock.recipes.uniform_between import UniformBetween
from penstock.recipes.uniform_gate import UniformGate
from penstock.recipes.zero_hadamard import ZerO
from penstock.recipes.zero_rows import ZeroRows

__all__ = [
    "RECIPES",
    "S4D",
    "Affine",
    "BalancedOrthogonal",
    "Bilinear",
    "Blocks",
    "BoundedNormal",
    "CatalogueEntry",
    "Chrono",
    "Constant",
    "ConvolutionOrthogonal",
    "CyclicIdentity",
    "DeltaOrthogonal",
    "Hippo",
    "Icnr",
    "Identity",
    "Joined",
    "LogIndex",
    "LogOfUniform",
    "LogitOfUniform",
    "LooksLinear",
    "Modular",
    "Normal",
    "Orthogonal",
    "PerBlock",
    "Recipe",
    "Ring",
    "SemiOrthogonal",
    "Siren",
    "SkewRotations",
    "Sparse",
    "Spectral",
    "StepSize",
    "TruncatedNormal",
    "Uniform",
    "UniformBetween",
    "UniformGate",
    "VarianceScaling",
    "ZerO",
    "ZeroRows",
    "catalogue",
    "class_prior_bias",
    "clip_temperature",
    "complex_glorot",
    "complex_he",
    "dirac",
    "embedding",
    "fourier_features",
    "gaussian_poincare",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "hippo_legs",
    "hippo_legs_diagonal",
    "hyperfan_in",
    "hyperfan_out",
    "idinit",
    "kaiming_normal",
    "kaiming_uniform",
    "kumar",
    "lecun_normal",
    "lecun_uniform",
    "prelu_slope",
    "prior_bias",
    "random_walk_gain",
    "recipe_from_dict",
    "s4d_eigenvalues",
    "small_init",
    "spline_derivative_bias",
    "switch_transformer",
    "wang_init",
    "xavier_normal",
    "xavier_uniform",
    "zero_convolution",
]
