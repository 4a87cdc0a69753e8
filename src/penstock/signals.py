"""The numbers that one forward and one backward attach to a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.geometry import Geometry
from penstock.graph import Graph

QUANTILE_LEVELS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0)
"""Where a signal's distribution is told: enough to draw it, little enough to keep for every signal."""


@dataclass(frozen=True, slots=True)
class SignalStats:
    """What was measured of one signal. Accumulated in float32 or wider, whatever its dtype.

    Attributes:
        shape, dtype: as the model made it.
        rms: root of the mean square.
        mean: mean over all elements.
        zero_share: share of elements that are exactly 0.
        nonfinite_share: share of elements that are NaN or infinite.
        subnormal_share: share of nonzero elements below the dtype's smallest normal number.
        correlation: mean cosine between the batch's inputs, two by two; None with fewer than two inputs.
        saturated_share: for functions bounded on both sides, the share of elements on a flat end; else None.
        dead_units, units: units that are 0 for the whole batch, of how many; None where no axis of units is known.
        grad_rms: RMS of the loss's gradient with respect to this signal; None where no gradient came.
        grad_nonfinite_share, grad_subnormal_share: as above, of that gradient.
        quantiles, grad_quantiles: of the finite ones among about a thousand evenly taken elements, at
            `QUANTILE_LEVELS`, to four digits; empty where there are none.
    """

    shape: tuple[int, ...]
    dtype: str
    rms: float
    mean: float = 0.0
    zero_share: float = 0.0
    nonfinite_share: float = 0.0
    subnormal_share: float = 0.0
    correlation: float | None = None
    saturated_share: float | None = None
    dead_units: int | None = None
    units: int | None = None
    grad_rms: float | None = None
    grad_nonfinite_share: float = 0.0
    grad_subnormal_share: float = 0.0
    quantiles: tuple[float, ...] = ()
    grad_quantiles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterStats:
    """What was measured of one parameter. Tied parameters are one entry, under their first name.

    Attributes:
        role: "weight", "embedding", "bias", "scale" (of a norm), "offset" (of a norm), "gate" (multiplies a signal:
            layer scale), "position" (is added to a signal) or "other".
        rms, mean, max_abs: over the finite elements.
        zero_share, nonfinite_share: shares of all elements.
        garbage_share: share of elements whose magnitude no initializer makes (subnormal, or above 1e10).
        outlier: largest magnitude over the RMS of the other nonzero elements.
        units, distinct_units: rows (along the output axes) and how many of them differ.
        repeats: how many identical blocks the parameter is made of along one axis; 1 if it is not.
        twin: another parameter with the same values, not tied to it.
        block_rms: RMS of each fused block, in order.
        grad_rms: RMS of the loss's gradient; None where no gradient came.
        uses: how many operations used it in the forward pass.
        trainable: requires a gradient.
        ties: other names of the same parameter.
        cell: kind and part of the recurrent cell that its layer declares: "lstm.input"; "" for every other layer.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    geometry: Geometry | None
    rms: float
    mean: float = 0.0
    max_abs: float = 0.0
    zero_share: float = 0.0
    nonfinite_share: float = 0.0
    garbage_share: float = 0.0
    outlier: float = 0.0
    units: int | None = None
    distinct_units: int | None = None
    repeats: int = 1
    twin: str | None = None
    block_rms: tuple[float, ...] = ()
    grad_rms: float | None = None
    uses: int = 0
    trainable: bool = True
    ties: tuple[str, ...] = ()
    cell: str = ""

    @property
    def grad_to_weight(self) -> float | None:
        """RMS of the gradient over RMS of the weight; None without a gradient or for zeros."""
        if self.grad_rms is None or self.rms == 0.0:
            return None
        return self.grad_rms / self.rms


@dataclass(frozen=True, slots=True)
class LossStats:
    """What was measured of the loss at step zero.

    Attributes:
        value: the loss.
        given: whether the user gave it; else it is penstock's random inner product, whose value says nothing.
        constant: the loss of the best output that ignores the input; None where it cannot be known.
    """

    value: float
    given: bool
    constant: float | None = None


CALL = "model, batch"
"""The arguments of most calls; the checks write their hints with these."""


@dataclass(frozen=True)
class Measured:
    """A graph and everything measured on it: what the checks read.

    Attributes:
        model: name of the model's class.
        graph: what it computes.
        signals: one entry a node, in order; None for signals that are no floating-point tensor.
        parameters: by name.
        loss: the loss at step zero.
        batch_size: number of inputs in the batch; None where it cannot be told.
        notes: sentences about what could not be measured and why.
        call: what the user handed over, as the arguments of a call show it, for hints.
    """

    model: str
    graph: Graph
    signals: tuple[SignalStats | None, ...]
    parameters: Mapping[str, ParameterStats]
    loss: LossStats
    batch_size: int | None = None
    notes: tuple[str, ...] = ()
    call: str = CALL
