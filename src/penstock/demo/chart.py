"""Two loss curves side by side, as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

HEIGHT = 5
BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = " ..::++##"


def binned(values: Sequence[float], bins: int) -> list[float]:
    """Means of at most `bins` neighbouring groups of values.

    Examples:
        >>> binned([4.0, 2.0, 1.0, 1.0], 2)
        [3.0, 1.0]
    """
    bins = min(bins, len(values))
    edges = [round(i * len(values) / bins) for i in range(bins + 1)]
    groups = [values[a:b] for a, b in pairwise(edges)]
    return [sum(group) / len(group) for group in groups]


def area(values: Sequence[float], *, top: float, width: int, height: int = HEIGHT, ascii: bool = False) -> list[str]:
    """Lines of a filled curve from 0 to `top`; what is above or not finite fills its column.

    Examples:
        >>> area([2.0, 1.0], top=2.0, width=2, height=2)
        ['█ ', '██']
    """
    blocks = PLAIN_BLOCKS if ascii else BLOCKS
    steps = len(blocks) - 1
    shares = [min(v / top, 1.0) if math.isfinite(v) else 1.0 for v in binned(values, width)]
    filled = [max(round(share * height * steps), 1) for share in shares]
    rows = range(height - 1, -1, -1)
    return ["".join(blocks[min(max(f - row * steps, 0), steps)] for f in filled).ljust(width) for row in rows]


def pair(
    before: Sequence[float], after: Sequence[float], *, width: int, ascii: bool = False
) -> list[tuple[str, str, str]]:
    """Two curves on one axis: lines of (axis label, curve before, curve after).

    Args:
        before: losses in nats, one a step, of the network as it came.
        after: those of the mended one.
        width: cells of each curve.
        ascii: draw with ASCII signs only.
    """
    finite = [v for v in (*binned(before, width), *binned(after, width)) if math.isfinite(v)]
    top = max(finite, default=1.0) or 1.0
    curves = [area(values, top=top, width=width, ascii=ascii) for values in (before, after)]
    labels = [f"{top:4.1f}", *["    "] * (HEIGHT - 2), f"{0:4.1f}"]
    return list(zip(labels, *curves, strict=True))
