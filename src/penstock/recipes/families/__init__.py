"""Families: the recipes of all parameters of one layer or model, by parameter."""

from __future__ import annotations

from penstock.recipes.families.adapters import lora
from penstock.recipes.families.implicit import kan, siren
from penstock.recipes.families.recurrent import exp_rnn, gru, irnn, lstm, urnn, xlstm
from penstock.recipes.families.reinforcement import ppo
from penstock.recipes.families.state_space import lru, mamba, mamba2, rg_lru, s4, s4d, s5
from penstock.recipes.families.transformers import bert, dit, t5, transformer, vit_jax, vit_moco
from penstock.recipes.families.vision import dcgan, efficientnet, resnet, weight_norm

__all__ = [
    "bert",
    "dcgan",
    "dit",
    "efficientnet",
    "exp_rnn",
    "gru",
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
    "transformer",
    "urnn",
    "vit_jax",
    "vit_moco",
    "weight_norm",
    "xlstm",
]
