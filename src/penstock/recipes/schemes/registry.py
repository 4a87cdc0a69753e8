"""The schemes by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from penstock.errors import ArgumentError, closest, message
from penstock.recipes.schemes.branch_scales import LayerScale, ReZero, SkipInit, StableResNet
from penstock.recipes.schemes.complete_p import CompleteP
from penstock.recipes.schemes.deep_norm import DeepNorm
from penstock.recipes.schemes.ds_init import DSInit
from penstock.recipes.schemes.fixup import Fixup
from penstock.recipes.schemes.gpt2 import GPT2, Llama
from penstock.recipes.schemes.mup import MuP
from penstock.recipes.schemes.ntk import NTK
from penstock.recipes.schemes.olmo import Olmo
from penstock.recipes.schemes.scheme import Scheme
from penstock.recipes.schemes.spectral_condition import SpectralCondition
from penstock.recipes.schemes.sub_ln import SubLN
from penstock.recipes.schemes.t_fixup import TFixup
from penstock.recipes.schemes.unit_mup import UnitMuP

SCHEMES: dict[str, type[Scheme]] = {
    scheme.name: scheme
    for scheme in (
        NTK,
        MuP,
        CompleteP,
        UnitMuP,
        SpectralCondition,
        GPT2,
        Llama,
        Olmo,
        TFixup,
        DSInit,
        DeepNorm,
        SubLN,
        Fixup,
        SkipInit,
        ReZero,
        LayerScale,
        StableResNet,
    )
}
"""Every scheme by its name."""


def scheme_from_dict(data: Mapping[str, Any]) -> Scheme:
    """The scheme that `Scheme.to_dict` wrote.

    Raises:
        ArgumentError: if the name is unknown, or a field is missing, unknown or out of range.

    Examples:
        >>> scheme_from_dict({"scheme": "gpt2", "std": 0.02, "sums_per_layer": 2})
        GPT2(std=0.02, sums_per_layer=2)
    """
    name = data.get("scheme")
    kind = SCHEMES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ArgumentError(message(f"scheme_from_dict: unknown scheme {name!r}.", hint=closest(str(name), SCHEMES)))
    values = {key: value for key, value in data.items() if key != "scheme"}
    known = [field.name for field in fields(kind)]
    if set(values) != set(known):
        raise ArgumentError(message(f"scheme_from_dict: the fields of {name!r} must be {known}; got {sorted(values)}."))
    return kind(**values)
