"""Functions from arrays to arrays: starting values that follow from weights, activations or gradients."""

from __future__ import annotations

from penstock.recipes.from_values.adapter import Adapter
from penstock.recipes.from_values.admin import admin
from penstock.recipes.from_values.eva import eva, eva_ranks
from penstock.recipes.from_values.loftq import loftq
from penstock.recipes.from_values.lora_ga import lora_ga
from penstock.recipes.from_values.low_rank import low_rank
from penstock.recipes.from_values.mimetic import mimetic_query_key, mimetic_value_output
from penstock.recipes.from_values.olora import olora
from penstock.recipes.from_values.pissa import pissa
from penstock.recipes.from_values.state_space import lru_gamma_log, s5_arrays
from penstock.recipes.from_values.weight_selection import weight_selection

__all__ = [
    "Adapter",
    "admin",
    "eva",
    "eva_ranks",
    "loftq",
    "lora_ga",
    "low_rank",
    "lru_gamma_log",
    "mimetic_query_key",
    "mimetic_value_output",
    "olora",
    "pissa",
    "s5_arrays",
    "weight_selection",
]
