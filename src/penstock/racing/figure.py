"""The three pictures of a race, drawn with Matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import MissingFrameworkError, message
from penstock.racing.curves import race_data
from penstock.racing.result import RaceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito 2008: told apart also by colour-blind readers."""


def draw(result: RaceResult) -> Figure:
    """Loss curves, learning-rate sensitivity and steps to the target, side by side."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingFrameworkError(
            message("RaceResult.figure: Matplotlib is not installed.", hint="pip install 'penstock[plot]'")
        ) from error
    data = race_data(result)
    # A Figure of its own, not pyplot's: nothing global is opened, and no window.
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1.1, 0.9))
    colours = {s["start"]: COLOURS[i % len(COLOURS)] for i, s in enumerate(data["standings"])}
    _curves(left, data, colours)
    _sensitivity(middle, data, colours)
    _bars(right, data, colours)
    figure.suptitle(data["verdict"], fontsize=10, wrap=True)
    return figure


def _curves(axes: Axes, data: dict[str, Any], colours: dict[str, str]) -> None:
    settings = data["settings"]
    for start, curve in data["curves"].items():
        rate = next(s["rate"] for s in data["standings"] if s["start"] == start)
        axes.plot(curve["steps"], curve["middle"], color=colours[start], label=f"{start} ({rate:g})")
        axes.fill_between(curve["steps"], curve["low"], curve["high"], color=colours[start], alpha=0.2, linewidth=0)
    if settings["target"] is not None:
        axes.axhline(settings["target"], color="grey", linestyle=":", linewidth=1)
    values = [v for curve in data["curves"].values() for v in curve["low"] if v is not None]
    if values and min(values) > 0.0:
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="training loss", title="each start at its best rate: median and quartiles")
    if data["curves"]:
        axes.legend(fontsize=8, frameon=False)


def _sensitivity(axes: Axes, data: dict[str, Any], colours: dict[str, str]) -> None:
    for start, curve in data["sensitivity"].items():
        if curve["rates"]:
            axes.plot(curve["rates"], curve["middle"], color=colours[start], marker="o", markersize=4)
            axes.fill_between(
                curve["rates"], curve["low"], curve["high"], color=colours[start], alpha=0.15, linewidth=0
            )
    axes.set_xscale("log")
    axes.set(xlabel=f"learning rate of {data['settings']['optimizer']}", ylabel="area under the loss")
    axes.set_title("a good start is low and wide")


def _bars(axes: Axes, data: dict[str, Any], colours: dict[str, str]) -> None:
    settings = data["settings"]
    for place, standing in enumerate(data["standings"]):
        start = standing["start"]
        steps = data["steps_to_target"].get(start, {}).get("steps", [])
        middle = (standing["steps_to_target"] or {}).get("value")
        if steps and middle is not None:
            axes.barh(place, middle, color=colours[start], alpha=0.5)
        elif steps:
            axes.text(0.02 * settings["steps"], place, "not reached", va="center", fontsize=8)
        reached = [s for s in steps if s is not None]
        axes.plot(reached, [place] * len(reached), "o", color=colours[start], markersize=4)
    axes.set_yticks(range(len(data["standings"])), [s["start"] for s in data["standings"]])
    axes.invert_yaxis()
    target = settings["target"]
    axes.set(xlabel="steps", title="no target" if target is None else f"steps to a loss of {target:g}, each seed")
    axes.set_xlim(0, settings["steps"])
