"""Who wrote each parameter and buffer of a model: the data that an audit collects and its checks read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Path = Literal["direct", "meta"]
FEWEST = 16
"""Smaller parameters may be equal by chance."""
PATHS: tuple[Path, ...] = ("direct", "meta")


@dataclass(frozen=True, slots=True)
class Form:
    """What a call asks of a matrix, beyond mean and standard deviation of all elements.

    Attributes:
        gain: length of its rows, or columns where they are fewer, which are orthogonal to each other; None if it asks
            for none.
        zeros: share of elements that are zero; None if it asks for none.
        std: of the other elements.
    """

    gain: float | None = None
    zeros: float | None = None
    std: float = 0.0


@dataclass(frozen=True, slots=True)
class FormMeasured:
    """What a matrix that was asked for a form shows.

    Attributes:
        gram: largest deviation of G / gain^2 from the identity, with G the inner products of its rows, or columns where
            they are fewer; NaN where no gain is asked for.
        zeros: share of elements that are zero.
        mean, std: of the other elements.
    """

    gram: float = math.nan
    zeros: float = 0.0
    mean: float = 0.0
    std: float = 0.0


@dataclass(frozen=True, slots=True)
class Write:
    """One call that wrote to a tensor.

    Attributes:
        writer: the function that decided, e.g. "BertPreTrainedModel._init_weights" or "Linear.reset_parameters".
        site: file and line, e.g. "transformers/modeling_utils.py:2319".
        asked: the call with its numbers, e.g. "normal_(std=0.02)".
        mean, std: the moments that the call asks for; None where it asks for none.
        form: what the call asks for beyond that; None for nothing.
        share: of the tensor's elements.
        reads: it changes what was there (scales it, adds to it) and replaces nothing.
        made: it made the tensor (`torch.zeros`), rather than writing to one that was there.
        builtin: PyTorch's own default of one of its layers.
        overwritten_by: index of a later write that replaced all of this one and asked for something else.
        was_mean, was_std: moments of the values when that happened.
    """

    writer: str
    site: str
    asked: str
    mean: float | None = None
    std: float | None = None
    share: float = 1.0
    reads: bool = False
    made: bool = False
    builtin: bool = False
    overwritten_by: int | None = None
    was_mean: float = math.nan
    was_std: float = math.nan
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What happened to one tensor on one path from nothing to an initialized model.

    Attributes:
        writes: in order.
        unwritten: share of elements that still hold what they held before; 0 for types that have no sign for it and
            were written at all.
        nonfinite: share of elements that were written and are NaN or infinite.
        mean, std: of the written finite elements.
        twin: an earlier tensor with the same values, drawn and not tied to this one.
        form: what the tensor shows where its last call asked for a form; None elsewhere.
        missed: writes that hit a tensor computed from this one, and never came back to it.
    """

    writes: tuple[Write, ...] = ()
    unwritten: float = 0.0
    nonfinite: float = 0.0
    mean: float = 0.0
    std: float = 0.0
    twin: str | None = None
    missed: tuple[Write, ...] = ()
    form: FormMeasured | None = None

    @property
    def last(self) -> Write | None:
        """The call that decided the values: the last one that replaced all of them, else the last one."""
        whole = [w for w in self.writes if w.share >= 1.0 and not w.reads]
        return whole[-1] if whole else self.writes[-1] if self.writes else None


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """One parameter or buffer. Tied ones are one record, under their first name.

    Attributes:
        name, shape, dtype: as the model has it.
        kind: "parameter" or "buffer".
        persistent: it is part of the model's saved state.
        ties: its other names.
        direct: built directly, on the CPU; None where that was not tried or failed.
        meta: built on the meta device, given memory, then initialized; None as above.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: Literal["parameter", "buffer"] = "parameter"
    persistent: bool = True
    ties: tuple[str, ...] = ()
    direct: History | None = None
    meta: History | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def shown(self) -> History:
        """The history that tables show: that of the direct path, where there is one."""
        return self.direct or self.meta or History()


@dataclass(frozen=True)
class Audited:
    """Everything that an audit found out.

    Attributes:
        model: name of the model's class.
        paths: those that were gone.
        tensors: by name.
        own: what was run on the meta path, e.g. ("Linear.reset_parameters", "Net.init_weights"); () where the model has
            no initialization of its own.
        loads_through_meta: the library that the model belongs to builds it on the meta device whenever it loads it.
        library: name and version of the library that builds it, "" for none.
        notes: sentences about what could not be looked at and why.
        hints: code of a finding -> how it is mended in the model's framework, where that is not PyTorch.
    """

    model: str
    paths: tuple[Path, ...]
    tensors: Mapping[str, TensorRecord] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    loads_through_meta: bool = False
    library: str = ""
    notes: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)


def history_of(values: npt.NDArray[Any]) -> History:
    """What the values of a parameter show: how many are not finite, and the moments of the others."""
    finite = values[np.isfinite(values)].astype(np.float64)
    share = 1.0 - finite.size / values.size if values.size else 0.0
    if not finite.size:
        return History(nonfinite=share)
    return History(nonfinite=share, mean=float(finite.mean()), std=float(finite.std()))


def with_twins(
    found: Iterable[tuple[TensorRecord, npt.NDArray[Any]]], *, fixed: Set[str] = frozenset()
) -> dict[str, TensorRecord]:
    """Records by name, each with the earlier one that holds the same values.

    Args:
        found: records of the direct path, with their values.
        fixed: names of those whose values no random number decides; they have no twins, and constants have none.
    """
    made: dict[str, TensorRecord] = {}
    seen: dict[tuple[object, ...], str] = {}
    for record, values in found:
        history = record.shown
        if values.size >= FEWEST and history.std > 0.0 and record.name not in fixed:
            first = seen.setdefault((record.shape, values.tobytes()), record.name)
            history = history if first == record.name else replace(history, twin=first)
        made[record.name] = replace(record, direct=history)
    return made
