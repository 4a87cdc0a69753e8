"""Recipes: published initialization rules with their parameters, one a file, each a frozen value that can be drawn."""

from __future__ import annotations

from penstock.recipes.blocks import Blocks
from penstock.recipes.constant import Constant
from penstock.recipes.identity import Identity
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.recipe import Recipe
from penstock.recipes.registry import RECIPES, CatalogueEntry, catalogue, recipe_from_dict
from penstock.recipes.scaling import (
    VarianceScaling,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform

__all__ = [
    "RECIPES",
    "Blocks",
    "CatalogueEntry",
    "Constant",
    "Identity",
    "Normal",
    "Orthogonal",
    "PerBlock",
    "Recipe",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "catalogue",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "recipe_from_dict",
]
