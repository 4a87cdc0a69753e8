"""Samples of a scalar function under a Gaussian, exact at kinks and jumps.

The line out to `REACH` standard deviations is cut into panels. On each a polynomial goes through the function's
values at Gauss-Lobatto-Legendre nodes; a panel on which the polynomial has not converged is halved, so that kinks and
jumps are closed in on, wherever they are. The same nodes give the integrals and, through the polynomial, the slope.

Plain Gauss-Hermite quadrature has no such panels: 64 nodes are off by 2.6e-3 for E[relu(z)].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, PenstockError, message

Array = npt.NDArray[np.float64]
Function = Callable[[Array], npt.NDArray[np.floating]]

REACH = 12.0  # standard deviations; the weight beyond is 4e-33, small against any power that float64 can hold
NODES = 17  # with panels half a standard deviation wide, tanh and erf converge to 1e-16 without any halving
PANEL_WIDTH = 0.5  # standard deviations
LANDMARKS = (1.0, 4.0, 16.0, 64.0, 256.0)  # x at which panels also end: activations change near zero, at any variance
NARROWEST = 1e-13  # of a standard deviation: what is left of a kink has no weight
MOST_PANELS = 2048  # open at a time; a kink keeps one or two open, only noise or a dense comb keeps more
TOLERANCES = (1e-13, 1e-10, 1e-6)  # of the integrals; the later ones for functions that are noisy, as float32 code is
ROUNDING = 32  # units in the last place that any function's value may be wrong by


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A function at quadrature nodes.

    Attributes:
        x: the nodes. Shape (n,).
        probability: quadrature weight times Gaussian density; adds up to 1. Shape (n,).
        values: the function. Shape (n,).
        slopes: its derivative, almost everywhere: zero on panels that closed in on a kink or a jump. Shape (n,).
        slope_diverges: the square of the slope has no finite integral (a vertical tangent, as of sqrt(|x|) at zero).
    """

    x: Array
    probability: Array
    values: Array
    slopes: Array
    slope_diverges: bool


def sample_gaussian(function: Function, *, mean: float, std: float) -> Samples:
    """Sample an elementwise function so that Gaussian averages of it and of its slope are exact to about 1e-12.

    Limits: a feature that lies between two nodes is not seen. Nodes are at most 0.05 standard deviations apart.

    Args:
        function: from a float64 array of shape (n,) to an array of the same shape, elementwise.
        mean: of the Gaussian.
        std: of the Gaussian, > 0.

    Returns:
        The samples, in no particular order.

    Raises:
        ArgumentError: if the function is not finite, not elementwise, not deterministic or too rough.

    Examples:
        >>> relu = sample_gaussian(lambda x: np.maximum(x, 0.0), mean=0.0, std=1.0)
        >>> round(float(relu.probability @ relu.values), 12)
        0.398942280401
    """
    for tolerance in TOLERANCES:
        samples = _refine(function, mean, std, tolerance)
        if samples is not None:
            return samples
    raise ArgumentError(
        message(
            f"moments: function must be piecewise smooth; {MOST_PANELS} intervals were not enough to resolve it.",
            because="its values are noisy (float16 or bfloat16 inside?), or it has too many kinks to tell apart",
        )
    )


@cache
def _rule() -> tuple[Array, Array, Array, Array]:
    """Gauss-Lobatto-Legendre nodes and weights on [-1, 1], and the matrices values -> coefficients, -> slopes."""
    legendre = np.polynomial.legendre
    highest = np.eye(NODES)[-1]
    inner = legendre.legroots(legendre.legder(highest))
    for _ in range(3):  # Newton steps: the eigenvalues that legroots takes are good to 1e-14 only
        inner = inner - legendre.legval(inner, legendre.legder(highest)) / legendre.legval(
            inner, legendre.legder(highest, 2)
        )
    nodes = np.concatenate([[-1.0], np.sort((inner - inner[::-1]) / 2), [1.0]])
    at_nodes = legendre.legval(nodes, highest)
    weights = 2.0 / (NODES * (NODES - 1) * at_nodes**2)
    degrees = np.arange(NODES)
    norms = np.append(2.0 / (2 * degrees[:-1] + 1), 2.0 / (NODES - 1))  # of P_k in this rule; the last is not exact
    coefficients = (legendre.legvander(nodes, NODES - 1) * weights[:, None]).T / norms[:, None]
    gaps = nodes[:, None] - nodes[None, :] + np.eye(NODES)
    slopes = at_nodes[:, None] / (at_nodes[None, :] * gaps)
    np.fill_diagonal(slopes, 0.0)
    np.fill_diagonal(slopes, -slopes.sum(axis=1))  # so that a constant has slope zero to the last bit or so
    return nodes, weights, coefficients, slopes


def _edges(mean: float, std: float) -> Array:
    """Where the first panels end."""
    low, high = mean - REACH * std, mean + REACH * std
    regular = np.linspace(low, high, round(2 * REACH / PANEL_WIDTH) + 1)
    marks = np.array([0.0, *LANDMARKS, *(-m for m in LANDMARKS)])
    return np.unique(np.concatenate([regular, marks[(marks > low) & (marks < high)]]))


def _refine(function: Function, mean: float, std: float, tolerance: float) -> Samples | None:
    """Halve panels until all have converged to `tolerance`; None where too many stay open."""
    nodes, weights, to_coefficients, to_slopes = _rule()
    edges = _edges(mean, std)
    left, right = edges[:-1], edges[1:]
    rms = None
    parts: list[tuple[Array, Array, Array, Array, Array]] = []
    while left.size:
        if left.size > MOST_PANELS:
            return None
        half = (right - left) / 2
        x = ((left + right) / 2)[:, None] + half[:, None] * nodes
        x[:, 0], x[:, -1] = left, right
        values, precision = evaluate(function, x)
        probability = half[:, None] * weights * _density(x, mean, std)
        if rms is None:
            check_elementwise(function, x, values)
            rms = float(np.sqrt(np.sum(probability * values**2)))
        largest = np.abs(values).max(axis=1)
        tail = np.abs(values @ to_coefficients[-4:].T).max(axis=1)
        # An error of `tail` in the values is one of up to NODES^2 tail / half in the slope, over a width of 2 half.
        nearest = np.clip(mean, left, right)
        weight = 2 * NODES**2 * std * _density(nearest, mean, std) * np.maximum(largest, rms)
        smooth = (tail * weight <= tolerance * rms**2) | (tail <= ROUNDING * precision * largest)
        narrow = 2 * half <= np.maximum(NARROWEST * std, 64 * np.finfo(np.float64).eps * np.abs(left))
        done = smooth | narrow
        # Values that are equal up to rounding have slope zero: divided by a narrow panel, rounding would look steep.
        sloped = (smooth & (np.ptp(values, axis=1) > 4 * precision * largest))[done][:, None]
        slopes = np.where(sloped, values[done] @ to_slopes.T / half[done][:, None], 0.0)
        parts.append((left[done], x[done], probability[done], values[done], slopes))
        middle = ((left + right) / 2)[~done]
        left, right = np.concatenate([left[~done], middle]), np.concatenate([middle, right[~done]])
    start, x, probability, values, slopes = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.argsort(start)
    diverges = _slope_diverges(probability[order], slopes[order] * std, rms or 0.0)
    return Samples(x.ravel(), probability.ravel(), values.ravel(), slopes.ravel(), diverges)


def _density(x: Array, mean: float, std: float) -> Array:
    """Gaussian density."""
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


def _slope_diverges(probability: Array, slopes: Array, rms: float) -> bool:
    """Whether the panels next to a kink, however narrow, still hold a part of the integral of the squared slope.

    Near |x|^a each halving holds 2^(1 - 2a) of the one before: without end for a <= 1/2.
    """
    shares = np.sum(probability * slopes**2, axis=1)
    closed = ~np.any(slopes, axis=1)
    beside = np.zeros(len(closed), dtype=bool)
    beside[1:] |= closed[:-1]
    beside[:-1] |= closed[1:]
    tiny = probability.sum(axis=1) < 1e-10
    return bool(np.any(shares[beside & tiny] > max(1e-3 * shares.sum(), 1e-6 * rms**2)))


def evaluate(function: Function, x: Array) -> tuple[Array, float]:
    """Call a function on a flat copy of x; its values in float64 and the rounding unit of what it returned."""
    try:
        with np.errstate(all="ignore"):
            raw = np.asarray(function(x.ravel()))
    except PenstockError:
        raise
    except Exception as error:
        raise ArgumentError(
            message(
                f"moments: function must take a float64 array of shape ({x.size},); "
                f"it raised {type(error).__name__}: {error}",
                hint="numpy.vectorize(function), for a function of one Python float",
            )
        ) from error
    if raw.shape != (x.size,) or raw.dtype.kind not in "fiub":
        raise ArgumentError(
            message(
                f"moments: function must return real numbers of the shape that it was given, ({x.size},); "
                f"got {raw.dtype} of shape {raw.shape}."
            )
        )
    values = raw.astype(np.float64).reshape(x.shape)
    finite = np.isfinite(values)
    if not finite.all():
        raise ArgumentError(
            message(
                f"moments: function must be finite within {REACH:g} standard deviations of the mean; "
                f"got {values[~finite][0]} at x = {x[~finite][0]:.6g}."
            )
        )
    precision = float(np.finfo(raw.dtype).eps) if raw.dtype.kind == "f" else float(np.finfo(np.float64).eps)
    return values, precision


def check_elementwise(function: Function, x: Array, values: Array) -> None:
    """Raise where the value at one point depends on the other points, or changes from call to call."""
    few = slice(x.size // 3, None, 3)
    size = np.abs(values).ravel()
    allowed = 1e-5 * size + 1e-6 * size.max()  # float32 code gives other last bits in arrays of another length
    again, _ = evaluate(function, x.ravel()[few][::-1].copy())
    if np.all(np.abs(again[::-1] - values.ravel()[few]) <= allowed[few]):
        return
    repeated, _ = evaluate(function, x)
    if np.any(np.abs(repeated - values).ravel() > allowed):
        raise ArgumentError(
            message(
                "moments: function must be deterministic; two calls on the same array differ.",
                hint="leave out dropout and noise, or put the module in evaluation mode: module.eval()",
            )
        )
    raise ArgumentError(
        message(
            "moments: function must be elementwise; its value at one point depends on the other points.",
            because="a softmax, a norm or a pooling has no scalar gain",
        )
    )
