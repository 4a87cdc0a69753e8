"""How deep a plain network of an activation can be with a given start."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from penstock.errors import ArgumentError, closest, message
from penstock.meanfield.field import MeanField, exact_weight_std, mean_field
from penstock.meanfield.functions import Activation, Curve, curve_of, number

Limit = Literal["correlation", "gradient", "variance", "none"]

E_FOLDS = 6.0
"""Depth scales that a signal can cross. Schoenholz et al. 2017, section 4.2, found that networks train up to 6 xi_c."""

_FOLLOWED = 100  # layers that are followed one by one; what is left is taken at the last one's rate
_FAR = 1e4  # layers: beyond, it makes no difference whether there is a limit

_WORDS = {
    "correlation": "then inputs can no longer be told apart by their correlation",
    "gradient": "the gradient {} too much over more",
    "variance": "the variance drifts away from q* = {:.4g}, where it is not stable",
    "none": "at the edge of chaos nothing is lost exponentially",
}


@dataclass(frozen=True, slots=True)
class TrainableDepth:
    """How many layers a plain network can have; `float(...)` is the number.

    Attributes:
        layers: 6 times the shortest depth scale that limits it; infinite on the edge of chaos.
        limit: which scale that is.
        field: the fixed points and the depth scales.
    """

    layers: float
    limit: Limit
    field: MeanField

    def __float__(self) -> float:
        return self.layers

    def __str__(self) -> str:
        field = self.field
        words = _WORDS[self.limit].format(
            field.variance if self.limit == "variance" else "grows" if field.chi_1 > 1.0 else "shrinks"
        )
        size = "any depth" if self.layers > _FAR else f"about {layers_text(self.layers)}"
        return (
            f"{field.name}, sigma_w {field.weight_std:.6g}, sigma_b {field.bias_std:.6g}: {size}; {words} "
            f"(chi_1 {field.chi_1:.6g}, xi_c {field.xi_c:.4g}, xi_q {field.xi_q:.4g})"
        )


def layers_text(layers: float) -> str:
    """A number of layers, at least one.

    Examples:
        >>> layers_text(0.3), layers_text(44.6)
        ('1 layer', '45 layers')
    """
    count = max(1, round(layers))
    return f"{count} layer{'s' if count > 1 else ''}"


def trainable_depth(
    activation: Activation | Curve,
    *,
    weight_std: float | None = None,
    bias_std: float | None = None,
    start: str = "exact",
    fan_in: int = 256,
    variance: float = 1.0,
) -> TrainableDepth:
    r"""The depth up to which a wide plain network still carries what tells two inputs apart, and its gradient.

    .. math::
        L = 6 \min(\xi_c, \xi_\nabla, \xi_q^{unstable}), \quad
        \xi_c = -1 / \log \chi_c, \quad \xi_\nabla = 1 / |\log \chi_1|, \quad \xi_q = 1 / |\log V'(q^*)|

    xi_c: over so many layers the deviation of two inputs' correlation from its fixed point c* falls by e. xi_grad: over
    so many the squared gradient falls or grows by e. xi_q counts only where q* is an unstable fixed point (gelu and
    silu with their exact gains): then any deviation of the variance grows by e. On the edge of chaos all are infinite.

    Where the signal dies out or grows without bound (q* = 0 or infinite) the rates change on the way. Then they are
    added up layer by layer from `variance` on: L is where the sum of log chi_1(q_l) leaves -6 to 6 (gradient), or that
    of log(chi_1(q_l) q_l / q_{l+1}), by which the distance of two similar inputs shrinks, falls below -6 (correlation).

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        weight_std: sigma_w, standard deviation of the weights times sqrt(fan_in): what is called the gain. Default:
            that of `start`.
        bias_std: sigma_b. Default: that of `start`; 0 where `weight_std` is given.
        start: "exact" (the gain that holds `variance`), "he" (sqrt(2)), "xavier" (1, for square layers) or "torch"
            (PyTorch's default for linear layers: sigma_w 1/sqrt(3), sigma_b 1/sqrt(3 fan_in)).
        fan_in: for the biases of "torch".
        variance: of the first pre-activations.

    Returns:
        The number of layers, what limits it, and the mean field.

    Raises:
        ArgumentError: if an argument is out of range or the start is not known.

    Limits:
        Infinite width, independent Gaussian weights, no norms, no skips; finite width adds noise of order
        depth / width. "Any depth" on the edge of chaos does not mean that depth is free: with relu two inputs still
        become alike, as 1 / depth^2 instead of exponentially. Kernel shaping, `penstock.meanfield.kernel_shape`,
        removes that too.

    Examples:
        >>> print(trainable_depth("tanh", weight_std=1.5**0.5, bias_std=0.05**0.5))
        tanh, sigma_w 1.22474, sigma_b 0.223607: about 95 layers; then inputs can no longer be told apart by their
        correlation (chi_1 0.938636, xi_c 15.79, xi_q 1.683)
        >>> float(trainable_depth("relu", start="he")), round(float(trainable_depth("relu", start="torch")), 1)
        (inf, 3.3)

    Source:
        Schoenholz et al. 2017, section 4 and eq. 10, https://arxiv.org/abs/1611.01232
    """
    curve = curve_of(activation, caller="trainable_depth")
    if weight_std is None:
        weight_std, usual = start_stds(curve, start, fan_in=fan_in, variance=variance)
        bias_std = usual if bias_std is None else bias_std
    field = mean_field(curve, weight_std=weight_std, bias_std=bias_std or 0.0, variance=variance)
    if math.isnan(field.correlation):
        reach: dict[Limit, float] = _on_the_way(curve, field, variance)
    else:
        # Correlation first, so that it gets the word where both are equal: in the ordered phase.
        reach = {"correlation": E_FOLDS * field.xi_c, "gradient": E_FOLDS * field.xi_gradient}
        if not field.stable:
            reach["variance"] = E_FOLDS * field.xi_q
    limit = min(reach, key=lambda each: reach[each])
    layers = reach[limit]
    return TrainableDepth(layers, limit if layers <= _FAR else "none", field)


def _on_the_way(curve: Curve, field: MeanField, variance: float) -> dict[Limit, float]:
    """Layers until the gradient, and the distance of two similar inputs, have changed by E_FOLDS."""
    reach: dict[Limit, float] = {}
    sums: dict[Limit, float] = {"correlation": 0.0, "gradient": 0.0}
    layer, chi_1 = 0, 0.0
    for layer in range(_FOLLOWED):
        try:
            point = curve.at(variance)
        except ArgumentError:  # so small that all is rounding, or so large that it overflows: nothing comes back
            break
        chi_1 = field.weight_std**2 * point.slope_second
        after = field.weight_std**2 * point.second + field.bias_std**2
        stretch = chi_1 * variance / after if after > 0.0 else 0.0
        # A distance that grows does no harm by itself: what is similar only becomes easier to tell apart.
        steps: dict[Limit, float] = {"correlation": _log(stretch), "gradient": _log(chi_1)}
        for limit, step in steps.items():
            before, sums[limit] = sums[limit], sums[limit] + step
            if limit not in reach and (-sums[limit] if limit == "correlation" else abs(sums[limit])) >= E_FOLDS:
                reach[limit] = layer + (E_FOLDS - abs(before)) / abs(step)
        variance = after
        if reach or not 0.0 < variance < math.inf:
            break
    else:
        rate = abs(_log(chi_1))
        reach["gradient"] = _FOLLOWED + (E_FOLDS - abs(sums["gradient"])) / rate if rate > 0.0 else math.inf
    return reach or {"gradient": float(layer)}


def _log(factor: float) -> float:
    return math.log(max(factor, 1e-300))


def start_stds(curve: Curve, start: str, *, fan_in: int, variance: float) -> tuple[float, float]:
    """sigma_w and sigma_b of a usual start.

    Raises:
        ArgumentError: if the start is not known or fan_in is not positive.

    Examples:
        >>> start_stds(curve_of("relu", caller="trainable_depth"), "torch", fan_in=300, variance=1.0)[1]
        0.03333333333333333
    """
    fan_in_number = number(fan_in, caller="trainable_depth", name="fan_in", above=0.0)
    starts: dict[str, Callable[[], tuple[float, float]]] = {
        "exact": lambda: (exact_weight_std(curve, variance=variance, bias_std=0.0), 0.0),
        "he": lambda: (math.sqrt(2.0), 0.0),
        "xavier": lambda: (1.0, 0.0),
        "torch": lambda: (math.sqrt(1.0 / 3.0), math.sqrt(1.0 / (3.0 * fan_in_number))),
    }
    if start not in starts:
        raise ArgumentError(
            message(f"trainable_depth: start must be a known start; got {start!r}.", hint=closest(str(start), starts))
        )
    return starts[start]()
