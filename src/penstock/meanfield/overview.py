"""What mean field says about one activation: the usual starts, the edge of chaos, and the shapes for a deep stack."""

from __future__ import annotations

import math
from dataclasses import dataclass

from penstock.errors import ArgumentError
from penstock.meanfield.depth import TrainableDepth, trainable_depth
from penstock.meanfield.edge import EdgePoint, edge_of_chaos
from penstock.meanfield.functions import Activation, Curve, curve_of
from penstock.meanfield.networks import plain_stack
from penstock.meanfield.shaping import LeakyShape, Shape, kernel_shape
from penstock.meanfield.tailored import Tailored, tailored_leaky, tailored_shape

STARTS = {"exact": "exact gain", "he": "He", "torch": "PyTorch's default"}
BIASES = (0.0, 0.1, 0.3)

_RELU_KIN = ("relu", "leaky_relu_")


@dataclass(frozen=True, slots=True)
class Overview:
    """The mean field of an activation. It prints.

    Attributes:
        name: of the activation.
        depths: by start, "exact", "he" and "torch".
        edges: points of the edge of chaos, where there is one, for sigma_b 0, 0.1 and 0.3.
        depth: functions in a row for which the shapes are.
        zeta, tau, eta: what kernel shaping and tailoring aim at.
        shaped: by deep kernel shaping; None where no part of the curve has the slope.
        tailored: by TAT; of relu's family the negative slope; None where it does not apply.
    """

    name: str
    depths: dict[str, TrainableDepth]
    edges: tuple[EdgePoint, ...]
    depth: int
    zeta: float
    tau: float
    eta: float
    shaped: Shape | None
    tailored: Tailored | LeakyShape | None

    def __str__(self) -> str:
        head = f"{'deep plain network':<22}{'sigma_w':>9}{'sigma_b':>9}{'q*':>9}{'c*':>8}{'chi_1':>8}  trainable depth"
        lines = [head]
        for start, found in self.depths.items():
            lines.append(_row(STARTS[start], found.field.weight_std, found.field.bias_std, found))
        for edge in self.edges:
            lines.append(_edge_row(edge))
        lines += [_aim("kernel-shaped", self.depth, f"zeta {self.zeta:g}", _shaped(self.shaped))]
        aim = f"eta {self.eta:g}" if isinstance(self.tailored, LeakyShape) else f"tau {self.tau:g}"
        lines += [_aim("tailored", self.depth, aim, _tailored(self.tailored))] if self.tailored else []
        return "\n".join(lines)


def overview(
    activation: Activation | Curve,
    *,
    variance: float = 1.0,
    depth: int = 40,
    zeta: float = 1.5,
    tau: float = 0.3,
    eta: float = 0.9,
) -> Overview:
    """Everything at once, for people to read: what `penstock gain` shows.

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        variance: of the first pre-activations.
        depth: functions in a row, for the shapes.
        zeta: see `kernel_shape`.
        tau: see `tailored_shape`.
        eta: see `tailored_leaky`.

    Returns:
        The overview.

    Raises:
        ArgumentError: if an argument is out of range, or the function has no moments.

    Examples:
        >>> print(str(overview("relu")).splitlines()[1])
          exact gain            1.4142        0        1       1       1  any depth
    """
    curve = curve_of(activation, caller="overview")
    depths = {start: trainable_depth(curve, start=start, variance=variance) for start in STARTS}
    edges = tuple(edge for b in BIASES if (edge := edge_of_chaos(curve, bias_std=b)) is not None)
    stack = plain_stack(depth)
    try:
        shaped = kernel_shape(curve, stack, zeta=zeta)
    except ArgumentError:
        shaped = None
    try:
        leaky = curve.name.startswith(_RELU_KIN) and curve.name != "relu6"
        tailored = tailored_leaky(stack, eta=eta) if leaky else tailored_shape(curve, stack, tau=tau)
    except ArgumentError:
        tailored = None
    return Overview(curve.name, depths, edges, depth, zeta, tau, eta, shaped, tailored)


def layers(found: TrainableDepth) -> str:
    """A trainable depth in a word or two.

    Examples:
        >>> layers(trainable_depth("relu", start="torch"))
        '3'
    """
    if found.limit == "none":
        return "any depth"
    return f"{max(1, round(found.layers))}"


def _why(found: TrainableDepth) -> str:
    if found.limit == "none":
        return ""
    field = found.field
    if not 0.0 < field.variance < math.inf and found.limit == "gradient":
        return "  signal dies out" if field.variance == 0.0 else "  signal explodes"
    if found.limit == "variance":
        return "  size drifts"
    if found.limit == "gradient" and field.chi_1 > 1.0:
        return "  gradient explodes"
    return "  inputs become unrelated" if field.correlation < 1.0 else "  inputs become alike"


def _row(label: str, weight_std: float, bias_std: float, found: TrainableDepth) -> str:
    field = found.field
    ends = f"{field.variance:>9.4g}{_short(field.correlation):>8}{_short(field.chi_1):>8}"
    return f"  {label:<20}{weight_std:>9.5g}{bias_std:>9.3g}{ends}  {layers(found)}{_why(found)}"


def _edge_row(edge: EdgePoint) -> str:
    label = "edge of chaos"
    if 0.0 < edge.variance < math.inf:
        steady = abs(edge.variance_slope) <= 1.0 + 1e-6
        end = "any depth" if steady else f"{max(1, round(6 / math.log(abs(edge.variance_slope))))}  size drifts"
        return f"  {label:<20}{edge.weight_std:>9.5g}{edge.bias_std:>9.3g}{edge.variance:>9.4g}{'1':>8}{'1':>8}  {end}"
    where = "any" if math.isnan(edge.variance) else "-> 0"
    return f"  {label:<20}{edge.weight_std:>9.5g}{edge.bias_std:>9.3g}{where:>9}{'1':>8}{'1':>8}  any depth"


def _aim(label: str, depth: int, aim: str, text: str) -> str:
    return f"  {f'{label}, {depth} layers, {aim}':<40}{text}"


def _shaped(found: Shape | None) -> str:
    if found is None:
        return "no part of the curve has that slope"
    end = "" if found.balanced else "  (variance not balanced)"
    return f"alpha {found.alpha:.4g}  beta {found.beta:.4g}  gamma {found.gamma:.5g}  delta {found.delta:.4g}{end}"


def _tailored(found: Tailored | LeakyShape | None) -> str:
    if isinstance(found, LeakyShape):
        return f"negative slope {found.negative_slope:.4g}  gamma {found.gamma:.5g}"
    if found is None:
        return ""
    return f"alpha {found.alpha:.4g}  beta {found.beta:.4g}  gamma {found.gamma:.5g}  delta {found.delta:.4g}"


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}" if 0.01 <= abs(value) < 1e4 or value == 0.0 else f"{value:.1e}"
