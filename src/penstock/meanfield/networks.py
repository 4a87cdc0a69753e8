r"""How a network puts its layers together, as far as kernel shaping cares: one function of what a layer does.

A layer with a weight and a function does r to a number: to a correlation (r = C), to the slope of a correlation map
(r(x) = chi x), or to its second derivative (r(x) = x + tau). Layers in a row compose r; a normalised sum of branches
with weights w^2 that add up to 1 averages. So a network is a function (x, r) -> M(x), where M is the largest value that
any part of the network, from anywhere to anywhere, gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from penstock.errors import ArgumentError, message
from penstock.meanfield.functions import number
from penstock.meanfield.roots import crossing

Layer = Callable[[float], float]
Network = Callable[[float, Layer], float]
"""(x, r) -> the largest value over the network's parts: `M_{f,r}(x)` of Zhang et al. 2022, appendix A."""


def plain_stack(depth: int) -> Network:
    """A stack of layers without skips.

    Args:
        depth: functions in a row. >= 1.

    Examples:
        >>> plain_stack(3)(1.0, lambda x: 2.0 * x)
        8.0
    """
    depth = _count("plain_stack", "depth", depth)

    def network(x: float, layer: Layer) -> float:
        for _ in range(depth):
            x = layer(x)
        return x

    return network


def residual_stack(
    blocks: Sequence[int],
    *,
    branch: int = 2,
    shortcut_weight: float = math.sqrt(0.5),
    shortcut_layers: int = 0,
    last: int = 0,
) -> Network:
    r"""Groups of residual blocks whose sums are normalised: x <- w^2 shortcut(x) + (1 - w^2) branch(x).

    Args:
        blocks: blocks in each group, as (3, 4, 23, 3) for ResNet-101.
        branch: functions in a row on a branch.
        shortcut_weight: w, by which the shortcut is multiplied; the branch is by sqrt(1 - w^2). From 0 to 1.
        shortcut_layers: functions on the shortcut of a group's first block.
        last: functions after the last sum.

    Returns:
        The network.

    Raises:
        ArgumentError: if a count or the weight is out of range.

    Examples:
        >>> resnet = residual_stack((3, 4, 23, 3), branch=3, shortcut_weight=0.6, shortcut_layers=1, last=1)
        >>> round(local_slope(resnet, 1.2), 6)
        1.002771

    Source:
        Martens et al. 2021, section 5.4 (normalised sums), https://arxiv.org/abs/2110.01765; Zhang et al. 2022,
        appendix A (the maximum over subnetworks), https://arxiv.org/abs/2203.08120
    """
    groups = [_count("residual_stack", "blocks", each) for each in blocks]
    branch = _count("residual_stack", "branch", branch)
    shortcut_layers = _count("residual_stack", "shortcut_layers", shortcut_layers, least=0)
    last = _count("residual_stack", "last", last, least=0)
    share = number(shortcut_weight, caller="residual_stack", name="shortcut_weight", least=0.0) ** 2
    if share > 1.0:
        raise ArgumentError(message(f"residual_stack: shortcut_weight must be at most 1; got {shortcut_weight!r}."))

    def row(x: float, layer: Layer, count: int) -> float:
        for _ in range(count):
            x = layer(x)
        return x

    def network(x: float, layer: Layer) -> float:
        inside = row(x, layer, branch)
        for group in groups:
            for block in range(group):
                shortcut = row(x, layer, shortcut_layers) if block == 0 else x
                x = share * shortcut + (1.0 - share) * row(x, layer, branch)
        return max(row(x, layer, last), inside)

    return network


def local_slope(network: Network, zeta: float) -> float:
    """The slope C'(1) of each layer's correlation map that gives the network the largest slope zeta.

    Args:
        network: see `Network`.
        zeta: of the whole network. > 1.

    Raises:
        ArgumentError: if zeta is not above 1 or the network cannot have it.

    Examples:
        >>> round(local_slope(plain_stack(40), 1.5), 9) == round(1.5 ** (1 / 40), 9)
        True

    Source:
        Martens et al. 2021, section 4.3, https://arxiv.org/abs/2110.01765
    """
    zeta = number(zeta, caller="local_slope", name="zeta", above=1.0)
    return 1.0 + _solve("local_slope", lambda excess: network(1.0, lambda x: (1.0 + excess) * x), zeta, zeta)


def local_curvature(network: Network, tau: float) -> float:
    """The second derivative C''(1) of each layer, with C'(1) = 1, that gives the network the largest one tau.

    Args:
        network: see `Network`.
        tau: of the whole network. > 0.

    Raises:
        ArgumentError: if tau is not positive or the network cannot have it.

    Examples:
        >>> round(local_curvature(plain_stack(30), 0.3), 9)
        0.01

    Source:
        Zhang et al. 2022, section 3.3 and appendix A, https://arxiv.org/abs/2203.08120
    """
    tau = number(tau, caller="local_curvature", name="tau", above=0.0)
    return _solve("local_curvature", lambda each: network(0.0, lambda x: x + each), tau, tau)


def _solve(caller: str, function: Callable[[float], float], wanted: float, high: float) -> float:
    """Where a rising function has a value: no layer alone needs to give more than the whole network does."""
    if function(high) < wanted:
        raise ArgumentError(
            message(
                f"{caller}: network must reach {wanted:g}; with all of it in every layer it gives {function(high):g}."
            )
        )
    low = high
    while function(low) > wanted and low > 1e-15:
        low /= 4.0
    # In the logarithm: the share of one layer of thousands is as exact as that of one of ten.
    return math.exp(crossing(lambda x: function(math.exp(x)) - wanted, math.log(low), math.log(high)))


def _count(caller: str, name: str, value: int, *, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(message(f"{caller}: {name} must be a whole number of at least {least}; got {value!r}."))
    return value
