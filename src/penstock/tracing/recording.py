"""What a tracer writes down: one step an operation that makes a signal."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.geometry import Geometry
from penstock.graph import Kind, ScalarFunction


@dataclass(slots=True)
class Step:
    """One recorded operation; number i makes signal i.

    Attributes:
        kind, op, inputs, path, parameters, geometry: as in `penstock.graph.Node`.
        unit_axes: axes of the made signal that index units; several for heads and their channels.
        program: for scalar functions, the function of signal `inputs[0]`, float64 in and out.
        statistic_of: for reductions and functions of them, the signal that was reduced.
        peak: a reduction that takes the largest value, or a function of one: a softmax in the making, not a norm.
        total: a sum of exponentials, or a function of one: what a softmax divides by.
        count: for sums, how many elements each of them adds.
        reduced: for statistics, the axes that were reduced.
        multiple_of: for a signal times one number, that signal and the number.
        absorbed: a later step does what this one did and more (a bias was added to it).
        shape: of the signal.
    """

    kind: Kind
    op: str
    inputs: tuple[int, ...] = ()
    path: str = ""
    parameters: tuple[str, ...] = ()
    geometry: Geometry | None = None
    unit_axes: tuple[int, ...] = ()
    program: ScalarFunction | None = None
    statistic_of: int | None = None
    peak: bool = False
    total: bool = False
    count: int = 0
    reduced: tuple[int, ...] = ()
    multiple_of: tuple[int, float] | None = None
    absorbed: bool = False
    shape: tuple[int, ...] = ()

    @property
    def unit_axis(self) -> int | None:
        """The axis of units where there is one only."""
        return self.unit_axes[0] if len(self.unit_axes) == 1 else None


@dataclass
class Recording:
    """Everything that one trace left behind."""

    steps: list[Step] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)

    def add(self, step: Step, shape: tuple[int, ...], path: str | None = None) -> int:
        """Write a step down that stands at a path of the model, where that is known; returns its number."""
        step.shape = shape
        step.path = step.path or (self._path(step) if path is None else path)
        self.steps.append(step)
        return len(self.steps) - 1

    def origin(self, number: int) -> int:
        """The signal that a scalar function, or a norm that is being written by hand, started from."""
        step = self.steps[number]
        while step.inputs and (step.program is not None or (step.kind == "norm" and not step.parameters)):
            number = step.inputs[0]
            step = self.steps[number]
        return number

    def _path(self, step: Step) -> str:
        """Where in the model a step stands: where its parameter lies, or else around the layer that it follows."""
        if step.parameters and step.kind != "sum":
            return owner(step.parameters[0])
        before = next((self.steps[i] for i in reversed(step.inputs)), None)
        if before is None:
            return ""
        return _around(before.path) if before.parameters else before.path


def owner(name: str) -> str:
    """The layer that a parameter belongs to, by its name.

    Examples:
        >>> owner("blocks.0.mlp.kernel"), owner("layers.kernel[3]"), owner("encoder/dense/kernel"), owner("w")
        ('blocks.0.mlp', 'layers[3]', 'encoder/dense', '')
    """
    whole, bracket, index = name.partition("[")
    path = _around(whole)
    return f"{path}{bracket}{index}" if path else ""


def _around(path: str) -> str:
    """The path without its last part; Keras parts names by slashes."""
    sign = "/" if "/" in path else "."
    outer, _, last = path.rpartition(sign)
    # A list of layers is no place of its own, nor is Flax's collection of parameters.
    outer = outer.rpartition(sign)[0] if last.isdecimal() else outer
    return "" if outer == "params" else outer
