"""A page of the browser, all that it says and asks for, and what is wrong with it for people who cannot see it."""

from __future__ import annotations

from pathlib import Path

import pytest


class Watched:
    """A page, and all that it said and asked for."""

    def __init__(self, page):
        self.page = page
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: Path, fragment: str = "") -> None:
        self.page.goto(path.as_uri() + fragment)


def serious(page) -> list[str]:
    """What axe-core finds of serious or critical violations."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: pip install --group test")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0].get('failureSummary', '')}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
