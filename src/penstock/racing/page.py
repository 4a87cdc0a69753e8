"""A race as one HTML file: the verdict, the table, loss curves, learning-rate sensitivity, steps to the target."""

from __future__ import annotations

from html import escape

from penstock.racing.curves import race_data
from penstock.racing.result import RaceResult
from penstock.racing.show import race_text
from penstock.report.table import DRAWN
from penstock.web.page import asset, page


def race_page(result: RaceResult) -> str:
    """The whole document; it loads nothing."""
    settings = result.settings
    title = f"Race of {', '.join(settings.starts)}"
    # The text is there for readers without scripts, and to copy: it holds every number of the pictures.
    body = [
        f"<header><h1>{_text(title)}</h1><p class='verdict'><b>{_text(result.verdict)}</b></p>",
        f"<p class='dim'>{_text(_about(result))}</p></header>",
        '<main><section id="race" aria-label="Pictures"></section>',
        f"<section><h2>All numbers</h2><pre tabindex='0'>{_text_lines(race_text(result))}</pre></section></main>",
    ]
    return page(
        f"{title} · penstock",
        body="\n".join(body),
        styles=[asset("penstock.web", "style.css"), asset("penstock.report", "page.css")],
        scripts=[asset("penstock.web", "chart.js"), asset("penstock.racing", "page.js")],
        data=race_data(result),
    )


def _about(result: RaceResult) -> str:
    settings = result.settings
    return (
        f"{settings.model} ({settings.parameters:,} parameters) on {settings.data}, {settings.steps} steps of "
        f"{settings.optimizer}, {len(settings.seeds)} seeds, {len(settings.rates)} learning rates for every start"
    )


def _text(text: str) -> str:
    return escape(DRAWN.clean(text), quote=True)


def _text_lines(text: str) -> str:
    return escape(DRAWN.clean_lines(text), quote=True)
