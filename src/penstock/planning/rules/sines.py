"""Networks over coordinates: sines of large arguments, and frequencies that are drawn and not scaled."""

from __future__ import annotations

import math

import numpy as np

from penstock.graph import Node, ScalarFunction
from penstock.planning.site import Decision, Site
from penstock.recipes import Siren, Uniform

STEEP = 2.0
"""sin(omega x) with omega from here on is a SIREN's; sin(x) is an activation like others."""

_PROBE = np.linspace(-0.11, 0.13, 25)


def sines(site: Site) -> Decision | None:
    """SIREN's own law where a weight is read by sin(omega x); Fourier features keep their frequencies.

    Source: Sitzmann et al. 2020, section 3.2, https://arxiv.org/abs/2006.09661; Tancik et al. 2020,
    https://arxiv.org/abs/2006.10739
    """
    node = site.node
    if node is None or node.kind != "contraction" or site.stats.role not in ("weight", "bias"):
        return None
    readers = site.structure.readers(node)
    waves = [_omega(r.function) for r in readers if r.kind == "pointwise" and r.function is not None]
    if len(waves) == 2 == len(readers) and None not in waves:
        return Decision(None, "kept: frequencies of Fourier features, which set how fine a detail is seen")
    omega = waves[0] if len(waves) == 1 == len(readers) else None
    if omega is None or omega < STEEP or node.geometry is None or not node.geometry.is_weight:
        return None
    if site.stats.role == "bias":
        bound = node.geometry.fans.fan_in**-0.5
        return Decision(Uniform(bound), f"SIREN: biases U(+-{bound:.3g}), as in the authors' code")
    source = site.structure.feed(node)
    first = not _is_sine(source)
    why = "first layer, 1/fan_in" if first else f"sqrt(6/fan_in)/{omega:.3g}"
    return Decision(Siren(first=first, omega=omega), f"SIREN, sin({omega:.3g} x) behind it: {why}")


def _is_sine(node: Node | None) -> bool:
    return node is not None and node.function is not None and _omega(node.function) is not None


def _omega(function: ScalarFunction) -> float | None:
    """Omega of sin(omega x) or cos(omega x), None for another function."""
    step = 1e-5
    with np.errstate(all="ignore"):
        left, middle, right = (float(v) for v in function(np.array([-step, 0.0, step])))
        values = function(_PROBE)
    if abs(middle) < 1e-9:
        omega = (right - left) / (2.0 * step)
        near = np.sin(omega * _PROBE)
    elif abs(middle - 1.0) < 1e-9 and left + right < 2.0:
        omega = math.sqrt(max(2.0 - left - right, 0.0)) / step
        near = np.cos(omega * _PROBE)
    else:
        return None
    # Rounded: the model's own number, and not that of a difference quotient.
    return float(f"{abs(omega):.6g}") if omega and np.allclose(values, near, atol=1e-3) else None
