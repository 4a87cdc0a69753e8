"""What every form of a report shares: signs, numbers, bars on a log axis, names folded in the middle."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

# A bar's axis spans at least this many decades, so that a healthy model's small differences look small.
MIN_DECADES = 4
# Below this magnitude, and from 1000 on, numbers are written with an exponent.
SMALLEST_FIXED = 0.01


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters of a report: drawn ones, or plain ones where the encoding cannot show them.

    Attributes:
        ellipsis: stands for what is left out.
        times: between the sizes of a shape, and before a count.
        dot: between facts on one line.
        eighths: a bar's last cell, from an eighth to full.
        range: the part of a bar between the smallest and the largest of a group.
        ascii: whether names are escaped to ASCII too.
    """

    ellipsis: str
    times: str
    dot: str
    eighths: str
    range: str
    ascii: bool

    def clean(self, text: str) -> str:
        """A text from the outside without control characters, so that a name cannot move the cursor or add a line."""
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        return shown.encode("ascii", "backslashreplace").decode() if self.ascii else shown

    def clean_lines(self, text: str) -> str:
        """The same for a text that may have several lines."""
        return "\n".join(self.clean(line) for line in text.splitlines())

    def shape(self, shape: tuple[int, ...]) -> str:
        """A shape as short text: 32x64; a scalar has none."""
        return self.times.join(str(size) for size in shape)


DRAWN = Signs("…", "\N{MULTIPLICATION SIGN}", "·", "▏▎▍▌▋▊▉█", "░", ascii=False)
PLAIN = Signs("...", "x", "-", "#", "=", ascii=True)


def signs_for(encoding: str | None = None) -> Signs:
    """The drawn signs where this encoding has them, else the plain ones.

    Args:
        encoding: name of a text encoding; None for that of standard output.

    Examples:
        >>> signs_for("ascii").times
        'x'
    """
    name = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        (DRAWN.ellipsis + DRAWN.times + DRAWN.dot + DRAWN.eighths + DRAWN.range).encode(name)
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return DRAWN


def number(value: float | None, *, digits: int = 3) -> str:
    """A number with a few significant digits; "" for None.

    Examples:
        >>> [number(v) for v in (1.0, 0.04567, 0.0012, 12345.0, 0.0, float("nan"))]
        ['1.00', '0.0457', '1.20e-3', '1.23e4', '0', 'nan']
    """
    if value is None:
        return ""
    if not math.isfinite(value) or value == 0.0:
        return f"{value:g}" if value else "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if SMALLEST_FIXED <= abs(float(f"{mantissa}e{power}")) < 1000.0:
        return f"{float(f'{mantissa}e{power}'):.{max(digits - 1 - power, 0)}f}"
    return f"{mantissa}e{power}"


def span(first: float | None, last: float | None) -> str:
    """Two numbers as a range, short enough for a column: two digits, one where there is an exponent.

    Examples:
        >>> span(0.98, 1.02), span(2e-9, 3.1e-9), span(1.0, 1.0), span(0.0791, 0.0786)
        ('0.98..1.0', '2e-9..3e-9', '1.00', '0.079')
    """
    if first is None or last is None:
        return number(first if last is None else last)
    if number(first) == number(last):
        return number(first)
    ends = _short(first), _short(last)
    return ends[0] if ends[0] == ends[1] else "..".join(ends)


def _short(value: float) -> str:
    text = number(value, digits=2)
    return number(value, digits=1) if "e" in text else text


def share(value: float | None) -> str:
    """A share as a percentage; "" for None and for what rounds to nothing.

    Examples:
        >>> share(0.5), share(0.001), share(0.9999), share(1.0)
        ('50%', '', '>99%', '100%')
    """
    if value is None or value < 0.005:
        return ""
    if value != 1.0 and value > 0.99:
        return ">99%"
    return f"{value:.0%}"


def fold_middle(text: str, width: int, *, ellipsis: str = "…") -> str:
    """A text of at most `width` cells: the middle goes, since both ends of a path say where it is.

    Examples:
        >>> fold_middle("encoder.layers.3.self_attn.out_proj", 19)
        'encoder.l….out_proj'
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room <= 0:
        return "".join(chop_cells(text, 1)[:width]) if width > 0 else ""
    head, tail = list(text[: len(text) // 2]), list(text[len(text) // 2 :])
    while head and cell_len("".join(head)) > (room + 1) // 2:
        head.pop()
    while tail and cell_len("".join(tail)) > room - cell_len("".join(head)):
        tail.pop(0)
    return "".join(head) + ellipsis + "".join(tail)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """A text filled with spaces to `width` cells, at its end or (right) at its start."""
    gap = " " * max(width - cell_len(text), 0)
    return gap + text if right else text + gap


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces and where the text has a line's end; longer words are cut.

    Examples:
        >>> wrap("the signal vanishes", 10)
        ['the signal', 'vanishes']
    """
    return [line for part in text.split("\n") for line in _wrap_line(part, width)]


def _wrap_line(text: str, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = chop_cells(word, max(width, 1)) or [""]
        lines.extend(full)
    return [*lines, line] if line or not lines else lines


def log_axis(values: Iterable[float | None]) -> tuple[int, int]:
    """Whole decades (low, high) that hold all positive finite values, at least four of them.

    Examples:
        >>> log_axis([0.9, 1.1, None]), log_axis([1e-12, 1.0])
        ((-2, 2), (-12, 0))
    """
    logs = [math.log10(v) for v in values if v is not None and math.isfinite(v) and v > 0.0]
    low = math.floor(min(logs, default=0.0))
    high = max(math.ceil(max(logs, default=0.0)), low + 1)
    while high - low < MIN_DECADES:
        low, high = (low - 1, high) if (high + low) >= 0 else (low, high + 1)
    return low, high


def log_position(value: float, axis: tuple[int, int]) -> float:
    """Where a value lies on a log axis, from 0 to 1; zeros and NaN lie at 0."""
    if math.isnan(value) or value <= 0.0:
        return 0.0
    if math.isinf(value):
        return 1.0
    return min(max((math.log10(value) - axis[0]) / (axis[1] - axis[0]), 0.0), 1.0)


def log_bar(low: float | None, high: float | None, axis: tuple[int, int], width: int, *, signs: Signs = DRAWN) -> str:
    """A bar of `width` cells up to `low` on a log axis, then lighter up to `high`; "!" where a value is not finite.

    Examples:
        >>> log_bar(1.0, 1.0, (-2, 2), 8), log_bar(0.01, 1.0, (-4, 0), 8, signs=PLAIN)
        ('████    ', '####====')
    """
    if low is None or high is None or width == 0:
        return " " * width
    if not (math.isfinite(low) and math.isfinite(high)):
        return "!" * width
    steps = len(signs.eighths)
    filled = round(log_position(low, axis) * width * steps)
    # A positive value always shows something: an empty bar means zero.
    filled = max(filled, 1) if low > 0.0 else 0
    full, rest = divmod(filled, steps)
    bar = signs.eighths[-1] * full + (signs.eighths[rest - 1] if rest else "")
    reach = round(log_position(high, axis) * width)
    return pad(bar + signs.range * (reach - len(bar)), width)
