"""The role of every parameter of a JAX model, as its uses show it, and by its name where they do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.fan_table import Declared, Role
from penstock.geometry import Geometry

if TYPE_CHECKING:
    from penstock.jax.models import Target
    from penstock.jax.trace.tracer import Traced

_NAMES: dict[str, Role] = {
    "bias": "bias",
    "b": "bias",
    "scale": "scale",
    "offset": "offset",
    "gamma": "scale",
    "beta": "offset",
}
"""Last part of a parameter's name -> its role: those of Flax, Haiku and Equinox."""


def roles_of(traced: Traced, target: Target) -> dict[str, Declared]:
    """Declare the axes and the role of every parameter.

    A weight's axes are read from the operation that uses it. The vectors of a norm are told apart by their names, or
    by the order in which the norm uses them.
    """
    found: dict[str, Declared] = {}
    for name in target.parameters:
        for own, _ in traced.parts_of(name):
            found[own] = traced.declared.get(own) or _declare(traced, own)
    return found


def _declare(traced: Traced, name: str) -> Declared:
    shape = traced.trace.shapes.get(name, traced.trace.shapes.get(name.partition("[")[0], (0,))[1:])
    vector = Geometry(shape, out_axes=tuple(range(len(shape))))
    last = re.split(r"[./]", name.partition("[")[0])[-1]
    role = _NAMES.get(last, "other")
    users = traced.graph.users(name)
    in_norm = any(n.kind == "norm" for n in users)
    if in_norm:
        # Equinox and PyTorch call a norm's scale "weight"; a bias there is an offset.
        return Declared(
            vector,
            "offset"
            if role in ("bias", "offset")
            else "scale"
            if last in ("weight", "scale", "gamma", "g")
            else "other",
        )
    if role == "scale" and any(n.kind == "contraction" for n in users):
        return Declared(vector, "scale")  # the lengths of a weight norm
    return Declared(vector if role != "other" else Geometry(shape), role)
