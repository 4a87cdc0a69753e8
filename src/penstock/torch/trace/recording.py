"""What the tracer writes down: one step an operation that makes a signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from penstock.geometry import Geometry
from penstock.graph import Kind

Program = Callable[[torch.Tensor], torch.Tensor]


@dataclass(slots=True)
class Step:
    """One recorded operation; number i makes signal i.

    Attributes:
        kind, op, inputs, path, parameters, geometry, unit_axis: as in `penstock.graph.Node`.
        program: for scalar functions, the function of signal `inputs[0]`.
        statistic_of: for reductions and functions of them, the signal that was reduced.
        peak: a reduction that takes the largest value, or a function of one: a softmax in the making, not a norm.
        total: a sum of exponentials, or a function of one: what a softmax divides by.
        absorbed: a later step does what this one did and more (a bias was added to it).
        shape: of the tensor.
    """

    kind: Kind
    op: str
    inputs: tuple[int, ...] = ()
    path: str = ""
    parameters: tuple[str, ...] = ()
    geometry: Geometry | None = None
    unit_axis: int | None = None
    program: Program | None = None
    statistic_of: int | None = None
    peak: bool = False
    total: bool = False
    absorbed: bool = False
    shape: tuple[int, ...] = ()


@dataclass
class Recording:
    """Everything that one forward pass left behind."""

    steps: list[Step] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)

    def origin(self, number: int) -> int:
        """The signal that a scalar function, or a norm that is being written by hand, started from."""
        step = self.steps[number]
        while step.inputs and (step.program is not None or (step.kind == "norm" and not step.parameters)):
            number = step.inputs[0]
            step = self.steps[number]
        return number
