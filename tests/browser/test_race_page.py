from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from browser.watching import serious
from torch import nn

import penstock

HOSTILE = '<img src=x onerror="title=1">'


def factory() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))


def zeros(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    random = np.random.default_rng(0)
    inputs = random.standard_normal((120, 6), np.float32)
    labels = (inputs @ random.standard_normal((6, 3), np.float32)).argmax(1)
    starts: dict[str, str | Callable[[nn.Module], None]] = {"he": "he", HOSTILE: zeros}
    result = penstock.race(
        factory, starts, (inputs, labels), steps=40, learning_rates=(3e-3, 3e-2), seeds=3, target=0.6, progress=False
    )
    path = tmp_path_factory.mktemp("race") / "race.html"
    result.to_html(path)
    return path


def test_three_pictures_and_the_starts_by_name(watched, page):
    one = watched()
    one.open(page)
    assert one.page.locator("#race figure").count() == 3
    headings = one.page.locator("#race h2").all_inner_texts()
    assert [text.split()[0] for text in headings] == ["Loss", "Learning-rate", "Steps"]
    loss, bars = one.page.locator("#race figure").nth(0), one.page.locator("#race figure").nth(2)
    assert "he" in loss.inner_text()
    # Zeros, which never learn, reach nothing in the page either; the other one does.
    shown = bars.inner_text()
    assert "not reached in 3 of 3" in shown
    assert "steps" in shown


def test_names_are_text(watched, page):
    one = watched()
    one.open(page)
    assert HOSTILE in one.page.inner_text("#race")
    assert one.page.locator("img").count() == 0
    assert one.page.title() != "1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_obstacle_for_anyone(watched, page, scheme):
    one = watched(color_scheme=scheme)
    one.open(page)
    assert serious(one.page) == []


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_it_fits_and_needs_no_network(watched, page, width):
    one = watched(width)
    one.open(page)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    one.page.set_viewport_size({"width": width + 200, "height": 900})
    assert one.page.locator("#race figure").count() == 3
    assert one.said == []
    assert all(request.startswith("file:") for request in one.requests)
