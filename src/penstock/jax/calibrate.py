"""Correct weights on real data: one compiled forward pass, each layer measured and mended as it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from penstock.jax.trace.program import run
from penstock.jax.trace.tracer import Traced
from penstock.planning.correcting import corrections_of, holding, mended, planned, rescaled, units_of
from penstock.planning.drawing import Corrections
from penstock.planning.plan import Plan


def calibrate(traced: Traced, plan: Plan, values: Mapping[int, Any]) -> Corrections:
    """Find by what each planned weight is scaled so that its layer's output has the planned RMS.

    The pass goes on with the corrected signal, so that every layer is measured behind corrected ones.

    Args:
        traced: the model; its graph does not depend on its weights.
        plan: says which layers, and what they shall have.
        values: of the program's inputs, with the plan's draws.
    """
    program, held = traced.program, traced.trace.values
    todo = planned(traced.graph, traced.numbers, plan, lambda number: math.prod(program.avals[number].shape))
    if not todo:
        return Corrections()
    units = {e.name: e.geometry.out_axes for e in plan.entries}
    places = holding(held)

    def function(values: dict[int, Any]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}

        def made(number: int, value: Any, known: dict[int, Any]) -> Any:
            node, wanted = todo[number]
            bias = known.get(traced.value_of(wanted.bias, known)) if wanted.bias is not None else None
            name = node.parameters[0]
            each = units_of(traced.trace.shapes[name], units[name], node)
            result, corrected = mended(jnp, node, wanted, value, bias, each=each)
            found[name] = result
            for other in places.get(wanted.knob, ()):
                if other in known:  # a weight that is used again is used corrected
                    known[other] = rescaled(held[other], name, units[name], known[other], result)
            for other in places.get(wanted.bias or "", ()) if "bias" in result else ():
                if other in known:
                    known[other] = result["bias"].reshape(known[other].shape).astype(known[other].dtype)
            return corrected

        run(program, values, made=made, looked_at=frozenset(todo))
        return found

    return corrections_of(todo, jax.device_get(jax.jit(function)(dict(values))))
