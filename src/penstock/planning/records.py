"""Records of the ledger from arrays, hashed and measured as they are stored."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.ledger.book import Ledger
from penstock.ledger.content import content_of
from penstock.ledger.elements import ELEMENTS
from penstock.ledger.rebuild import values_of
from penstock.ledger.record import Part, Record
from penstock.planning.plan import Entry, Plan
from penstock.randomness import key_for
from penstock.recipes.recipe import Moments

KEPT = 4096
"""A parameter that was not drawn is stored in the ledger up to so many elements; larger ones are only hashed."""

Values = Mapping[str, npt.NDArray[Any]]


def ledger_of(plan: Plan, values: Values, *, seed: int) -> Ledger:
    """What a model's parameters hold.

    A factor of calibration is recorded as the number that it is. Values that data alone gives (centred biases), and
    those that do not come out of their record bit for bit, are stored in it.

    Args:
        plan: what was drawn and corrected.
        values: of its parameters.
        seed: that they were drawn with.
    """
    factors: dict[str, tuple[float, ...]] = {}
    centred = set()
    for calibration in (e.calibration for e in plan.entries):
        if calibration is not None and calibration.factor is not None:
            factors[calibration.knob] = (*factors.get(calibration.knob, ()), calibration.factor)
            centred |= {calibration.bias} if calibration.centre is not None and calibration.bias is not None else set()
    records = []
    for entry in plan.entries:
        array = _stored(values[entry.name])
        drawn = entry.recipe is not None and entry.name not in centred
        record = _drawn(entry, array, seed, factors.get(entry.name, ())) if drawn else None
        if record is None or content_of(values_of(record), record.dtype).digest != record.digest:
            record = _plain(entry, array, keep=entry.recipe is not None)
        records.append(record)
    return Ledger(plan.model, seed, tuple(records), plan.notes)


def _drawn(entry: Entry, array: npt.NDArray[Any], seed: int, factors: tuple[float, ...]) -> Record | None:
    if entry.recipe is None or array.dtype.name not in ELEMENTS:
        return None
    content = content_of(_bits(array), array.dtype.name)
    asked, scale = entry.recipe.moments(entry.geometry), math.prod(factors)
    return Record(
        name=entry.name,
        shape=entry.shape,
        dtype=array.dtype.name,
        reason=entry.reason,
        recipe=entry.recipe,
        geometry=entry.geometry,
        key=key_for(seed, entry.key_name),
        requested=Moments(asked.mean * scale, asked.std * scale),
        measured=content.moments,
        parts=(Part(content.digest),),
        factors=factors,
        ties=entry.ties,
        drawn_as=entry.drawn_as,
    )


def _plain(entry: Entry, array: npt.NDArray[Any], *, keep: bool) -> Record:
    """A record of values that were not drawn; small ones are stored in it."""
    name = array.dtype.name
    if name not in ELEMENTS:
        return Record(name=entry.name, shape=entry.shape, dtype=name, reason=entry.reason, ties=entry.ties)
    content = content_of(_bits(array), name)
    stored = None
    if keep or array.size <= KEPT:
        stored = base64.b64encode(np.ascontiguousarray(_bits(array)).tobytes()).decode()
    return Record(
        name=entry.name,
        shape=entry.shape,
        dtype=name,
        reason=entry.reason,
        measured=content.moments,
        parts=(Part(content.digest),),
        stored=stored,
        ties=entry.ties,
    )


def _stored(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array).reshape(array.shape)


def _bits(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as the ledger stores its type: half types that NumPy does not have as their bits."""
    return array.view(ELEMENTS[array.dtype.name].stored)
