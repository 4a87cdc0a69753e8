"""Schemes: rules over many parameters, frozen values that give std, multipliers and learning rates by place."""

from __future__ import annotations

from penstock.recipes.schemes.branch_scales import LayerScale, ReZero, SkipInit, StableResNet
from penstock.recipes.schemes.complete_p import CompleteP, depth_mup
from penstock.recipes.schemes.deep_norm import DeepNorm
from penstock.recipes.schemes.ds_init import DSInit
from penstock.recipes.schemes.fixup import Fixup
from penstock.recipes.schemes.gpt2 import GPT2, Llama
from penstock.recipes.schemes.mup import MuP
from penstock.recipes.schemes.ntk import NTK
from penstock.recipes.schemes.olmo import Olmo
from penstock.recipes.schemes.registry import SCHEMES, scheme_from_dict
from penstock.recipes.schemes.scheme import Factors, Place, Scheme
from penstock.recipes.schemes.spectral_condition import SpectralCondition
from penstock.recipes.schemes.sub_ln import SubLN
from penstock.recipes.schemes.t_fixup import TFixup
from penstock.recipes.schemes.unit_mup import UnitMuP

__all__ = [
    "GPT2",
    "NTK",
    "SCHEMES",
    "CompleteP",
    "DSInit",
    "DeepNorm",
    "Factors",
    "Fixup",
    "LayerScale",
    "Llama",
    "MuP",
    "Olmo",
    "Place",
    "ReZero",
    "Scheme",
    "SkipInit",
    "SpectralCondition",
    "StableResNet",
    "SubLN",
    "TFixup",
    "UnitMuP",
    "depth_mup",
    "scheme_from_dict",
]
