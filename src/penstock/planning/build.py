"""Measured graph -> plan: the rules are asked for each parameter, the first that answers decides."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.errors import ArgumentError, closest, message
from penstock.geometry import Geometry
from penstock.planning.named.choose import RecipeChoice, Rules, rules_of
from penstock.planning.plan import Calibration, Entry, Plan
from penstock.planning.site import Decision, Site
from penstock.planning.structure import Structure
from penstock.planning.target import Shaped
from penstock.signals import Measured, ParameterStats


def build_plan(
    measured: Measured,
    *,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
) -> Plan:
    """Choose a recipe for every parameter.

    Args:
        measured: what a check measured of the model as it is: the plan reads its graph and the scale of its data.
        keep: names, or patterns such as "encoder.*", of parameters to leave alone: those loaded from a checkpoint.
        recipe: "auto", the name of a published plan, a recipe for all weights, a scheme, or a function of a site; see
            `penstock.plan`.
        names: parameter -> the name that it is drawn under, where that is not its own.

    Raises:
        ArgumentError: if a name in `keep` or `names` fits no parameter, or there is no such recipe.
    """
    _check_keep(measured, keep)
    _check_names(measured, names or {})
    target = recipe if isinstance(recipe, Shaped) else Shaped()
    structure = Structure(measured, target.slope, target.depth)
    rules, notes = rules_of(recipe, structure)
    entries = _with_centred_biases([_entry(stats, structure, keep, rules) for stats in measured.parameters.values()])
    if names:
        entries = tuple(replace(e, drawn_as=names.get(e.name, "")) for e in entries)
    return Plan(measured.model, entries, notes + structure.shaping_notes() + _notes(measured, entries))


def _entry(stats: ParameterStats, structure: Structure, keep: Sequence[str], rules: Rules) -> Entry:
    named = any(fnmatch.fnmatchcase(n, pattern) for pattern in keep for n in (stats.name, *stats.ties))
    site = Site(stats, structure.graph.users(stats.name), structure, keep=named)
    rule, decision = next((r, d) for r, ask in rules if (d := ask(site)) is not None)
    geometry = Geometry(stats.shape) if decision.recipe is None else decision.geometry or site.geometry
    return Entry(
        stats.name,
        stats.shape,
        decision.recipe,
        decision.reason,
        rule,
        geometry,
        _calibration(site, decision),
        stats.ties,
        decision.lr_sgd,
        decision.lr_adam,
        decision.weight_decay,
        decision.epsilon,
    )


def _with_centred_biases(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Say of each bias that calibration will set what it will be set for."""
    centres = {c.bias: c.centre for e in entries if (c := e.calibration) is not None and c.centre is not None}
    return tuple(
        replace(e, reason=f"bias: drawn zero, then calibration centres each unit at {centres[e.name]:.3g}")
        if e.name in centres and e.recipe is not None
        else e
        for e in entries
    )


def _calibration(site: Site, decision: Decision) -> Calibration | None:
    node = site.node
    if decision.target is None or decision.recipe is None or node is None:
        return None
    parameters = site.structure.measured.parameters
    others = [p for p in node.parameters[1:] if p in parameters]
    length = next((p for p in others if parameters[p].role == "scale"), None)
    if length is None and any(parameters[p].role not in ("bias", "other") for p in others):
        return None
    units = math.prod(site.geometry.shape[a] for a in site.geometry.out_axes) * (
        site.geometry.groups if site.geometry.split == "out" else 1
    )
    # A bias of more numbers holds others too, for another weight (the two biases of a GRU, one below the other).
    bias = next(
        (
            p
            for p in others
            if parameters[p].role == "bias" and parameters[p].trainable and math.prod(parameters[p].shape) <= units
        ),
        None,
    )
    centre = decision.centre if bias else None
    each = decision.per_unit and length is None
    return Calibration(decision.target, length or site.name, centre, bias, per_unit=each)


def _check_keep(measured: Measured, keep: Sequence[str]) -> None:
    names = [n for p in measured.parameters.values() for n in (p.name, *p.ties)]
    for pattern in [keep] if isinstance(keep, str) else keep:
        if isinstance(keep, str) or not any(fnmatch.fnmatchcase(n, pattern) for n in names):
            raise ArgumentError(
                message(
                    f"plan: keep must be a list of names or patterns of the model's parameters; {pattern!r} fits none."
                    if not isinstance(keep, str)
                    else f"plan: keep must be a list of names or patterns; got the string {keep!r}.",
                    hint=f"penstock.plan(model, batch, keep=[{(names or ['encoder.*'])[0]!r}])"
                    if len(names) > 20
                    else closest(pattern, names),
                )
            )


def _check_names(measured: Measured, names: Mapping[str, str]) -> None:
    for name in names:
        if name not in measured.parameters:
            raise ArgumentError(
                message(
                    f"plan: names must map the model's parameters to the names they are drawn under; {name!r} is none.",
                    hint=closest(name, list(measured.parameters)),
                )
            )


def _notes(measured: Measured, entries: Sequence[Entry]) -> tuple[str, ...]:
    notes = list(measured.notes)
    left = [e.name for e in entries if e.rule == "left over"]
    if left:
        notes.append(
            f"{len(left)} parameters keep their values because no rule placed them: {', '.join(left[:5])}"
            + (", ..." if len(left) > 5 else ".")
        )
    if measured.graph.unknown_ops:
        notes.append(f"Operations that were passed through unread: {', '.join(measured.graph.unknown_ops)}.")
    return tuple(notes)
