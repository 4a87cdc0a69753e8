"""Families: the recipes of all parameters of one layer or model, by parameter."""

from __future__ import annotations

from penstock.recipes.families.adapters import lora
from penstock.recipes.families.implicit import kan, siren
from penstock.recipes.families.recurrent import irnn, lstm
from penstock.recipes.families.reinforcement import ppo
from penstock.recipes.families.state_space import lru, mamba, mamba2, rg_lru, s4, s4d, s5
from penstock.recipes.families.transformers import bert, dit, t5, vit_jax
from penstock.recipes.families.vision import dcgan, efficientnet, resnet

__all__ = [
    "bert",
    "dcgan",
    "dit",
    "efficientnet",
    "irnn",
    "kan",
    "lora",
    "lru",
    "lstm",
    "mamba",
    "mamba2",
    "ppo",
    "resnet",
    "rg_lru",
    "s4",
    "s4d",
    "s5",
    "siren",
    "t5",
    "vit_jax",
]
