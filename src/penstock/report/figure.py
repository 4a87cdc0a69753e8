"""The report as a figure for papers and notebooks: Matplotlib, which saves it as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, message
from penstock.report.report import Report
from penstock.report.rows import Row, rows_of
from penstock.report.table import DRAWN, fold_middle
from penstock.report.text import verdict_words
from penstock.signals import QUANTILE_LEVELS, SignalStats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGNAL, GRADIENT, DIM = "#0068a8", "#b34a00", "#55626e"
"""Blue is the signal and orange the gradient, as in the HTML page; they differ for colour-blind readers too."""

BANDS = ((0.005, 0.995), (0.05, 0.95), (0.2, 0.8))
"""Shares of the values that each band of a distribution holds: 99, 90 and 60 %."""

MAX_LABELS = 24


def report_figure(report: Report, *, size: tuple[float, float] = (11.0, 7.5)) -> Figure:
    """Six panels over the layers in execution order.

    RMS of the signal and of its gradient; the distribution of both; the share of zeros and of saturated elements; the
    ratio of each weight's gradient to the weight.

    Args:
        report: what to draw.
        size: width and height in inches.

    Raises:
        ArgumentError: if the size is not two positive numbers.
        ImportError: if Matplotlib is not installed.
    """
    if len(size) != 2 or not all(0.0 < side < 1000.0 for side in size):
        raise ArgumentError(
            message(
                f"figure: size must be width and height in inches; got {size!r}.", hint="report.figure(size=(8, 6))"
            )
        )
    figure = _figure()(figsize=size, layout="constrained")
    rows = rows_of(report)
    panels = figure.subplots(3, 2, sharex=True)
    _rms(panels[0, 0], rows, "forward", SIGNAL, "RMS of the signal")
    _rms(panels[0, 1], rows, "backward", GRADIENT, "RMS of the gradient")
    _distribution(panels[1, 0], report, rows, lambda s: s.quantiles, SIGNAL, "signal: median, 60, 90, 99 %")
    _distribution(panels[1, 1], report, rows, lambda s: s.grad_quantiles, GRADIENT, "gradient: median, 60, 90, 99 %")
    _shares(panels[2, 0], rows)
    _ratios(panels[2, 1], rows)
    for panel in panels[2]:
        _name_layers(panel, rows)
    figure.suptitle(f"{DRAWN.clean(report.measured.model)}: {verdict_words(report)}")
    return figure


def _figure() -> type[Figure]:
    """A figure of its own, without pyplot: no global state, no window, no backend is chosen."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError("report.figure needs Matplotlib.\nHint: pip install 'penstock[plot]'") from error
    return Figure


def _style(panel: Axes, title: str) -> None:
    panel.set_title(title, fontsize="medium", loc="left")
    panel.grid(axis="y", alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _rms(panel: Axes, rows: list[Row], side: str, color: str, title: str) -> None:
    _style(panel, title)
    found = [(i, value[0]) for i, row in enumerate(rows) if (value := getattr(row, side)) is not None]
    finite = [(i, v) for i, v in found if np.isfinite(v) and v > 0.0]
    if finite:
        panel.plot(*zip(*finite, strict=True), color=color, marker=".", markersize=4, linewidth=1.2)
        panel.set_yscale("log")
    for i, _ in set(found) - set(finite):
        panel.axvline(i, color=color, linestyle=":", linewidth=1)  # zero, infinite or NaN: no place on a log axis
    panel.axhline(1.0, color=DIM, linestyle="--", linewidth=0.8)


def _distribution(
    panel: Axes,
    report: Report,
    rows: list[Row],
    pick: Callable[[SignalStats], tuple[float, ...]],
    color: str,
    title: str,
) -> None:
    _style(panel, title)
    places, values = [], []
    for i, row in enumerate(rows):
        signal = report.measured.signals[row.node]
        if signal is not None and pick(signal):
            places.append(i)
            values.append(pick(signal))
    if not values:
        return
    table = dict(zip(QUANTILE_LEVELS, np.array(values).T, strict=True))
    for low, high in BANDS:
        panel.fill_between(places, table[low], table[high], color=color, alpha=0.18, linewidth=0)
    panel.plot(places, table[0.5], color=color, linewidth=1.2)
    # Distributions of layers differ by powers of ten; near zero the axis is straight.
    spread = np.abs(table[0.95] - table[0.05])
    panel.set_yscale("symlog", linthresh=max(float(np.median(spread)), 1e-30))


def _shares(panel: Axes, rows: list[Row]) -> None:
    _style(panel, "share of zeros (bars) and saturated (dots)")
    zeros: list[Any] = [row.zero_share or 0.0 for row in rows]
    flat = [(i, row.flat_share) for i, row in enumerate(rows) if row.flat_share is not None]
    panel.bar(range(len(rows)), zeros, color=SIGNAL, alpha=0.6, width=0.9)
    if flat:
        panel.plot(*zip(*flat, strict=True), color=GRADIENT, marker="o", markersize=4, linestyle="")
    panel.set_ylim(0.0, 1.0)


def _ratios(panel: Axes, rows: list[Row]) -> None:
    _style(panel, "gradient to weight, RMS over RMS")
    found = [(i, row.grad_to_weight) for i, row in enumerate(rows) if row.grad_to_weight]
    finite = [(i, v) for i, v in found if v is not None and np.isfinite(v) and v > 0.0]
    if finite:
        panel.plot(*zip(*finite, strict=True), color=GRADIENT, marker="o", markersize=4, linestyle="")
        panel.set_yscale("log")


def _name_layers(panel: Axes, rows: list[Row]) -> None:
    step = max(1, -(-len(rows) // MAX_LABELS))
    shown = range(0, len(rows), step)
    names = [fold_middle(DRAWN.clean(f"{rows[i].name} {rows[i].op}".strip()), 22) for i in shown]
    panel.set_xticks(list(shown), names, rotation=90, fontsize="x-small")
