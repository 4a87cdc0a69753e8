"""The fans of a JAX model's parameters, by what the model computes with them: `penstock.fans`."""

from __future__ import annotations

from typing import Any, cast

import jax

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.fan_table import Declared, FansRow, FansTable, Role
from penstock.jax.inputs import example, guess
from penstock.jax.measure.batch import arguments
from penstock.jax.models import target_of
from penstock.jax.roles import roles_of
from penstock.jax.trace.tracer import Traced, trace
from penstock.tracing.weights import role_of


def fans(model: Any, batch: Any = None) -> FansTable:
    """See `penstock.fans`. No number is computed: the model is traced.

    Args:
        model: as for `penstock.check`.
        batch: that it runs on; None where the first layer of an nnx or an Equinox module says what it takes.

    Raises:
        ArgumentError: if there is no batch and none can be guessed.
        ModelError: if the model does not run on it.
        UnsupportedError: if this is an array, or a module without its parameters.
    """
    if isinstance(model, jax.Array):
        raise UnsupportedError(
            message(
                "fans: the axes of a JAX array must be named; got an array alone.",
                because="they show only in what a model computes with it",
                hint="penstock.fans(w, in_axes=0, out_axes=1), or penstock.fans(apply_fn, params, batch)",
            )
        )
    target = target_of(model, "fans")
    if batch is None:
        spec = guess(model)
        if spec is None:
            raise ArgumentError(
                message(
                    f"fans: batch must be given; what {target.name} takes cannot be told from its first layer.",
                    because="the axes of a JAX parameter show in what the model computes with it",
                    hint="penstock.fans(model, batch) or penstock.fans(apply_fn, params, batch)",
                )
            )
        batch = example(spec)
    traced = trace(target, arguments(batch))
    rows = [(name, _row(traced, name, declared)) for name, declared in roles_of(traced, target).items()]
    return FansTable(tuple(rows))


def _row(traced: Traced, name: str, declared: Declared) -> FansRow:
    uses = traced.graph.users(name)
    shown = next((n.geometry for n in uses if n.kind == "contraction" and n.parameters[0] == name), None)
    geometry = shown or declared.geometry
    role = cast("Role", role_of(name, traced.graph, declared.role, is_scalar=geometry.shape == ()))
    return FansRow(geometry, geometry.fans if geometry.is_weight else None, role)
