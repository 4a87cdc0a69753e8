"""A real headless Chromium. Without one these tests are skipped, but never in CI: there they would fail."""

from __future__ import annotations

import os
import shutil

import pytest
from browser.watching import Watched

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium():
    """The browser, once a test process."""
    executable = next((path for name in EXECUTABLES if (path := shutil.which(name))), None)
    if executable is None and not os.environ.get("CI"):
        pytest.skip("needs Chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install --group test")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def watched(chromium):
    """Opens pages of a given width and scheme; at the end none has said anything or asked for more than itself."""
    opened: list[Watched] = []

    def new(width: int = 1200, height: int = 900, **options) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        opened.append(Watched(context.new_page()))
        return opened[-1]

    yield new
    for one in opened:
        one.page.context.close()
        assert one.said == []
        assert all(url.startswith(("file:", "data:")) for url in one.requests)
