from __future__ import annotations

import json

import pytest
import torch
from browser.watching import serious
from torch import nn

import penstock

HOSTILE = '<img src=x onerror="title=1">'


def broken(depth: int = 12) -> nn.Module:
    model = nn.Sequential(*[layer for _ in range(depth) for layer in (nn.Linear(32, 32), nn.ReLU())])
    with torch.no_grad():
        for i, layer in enumerate(model[::2]):
            layer.weight.copy_(torch.randn(32, 32, generator=torch.Generator().manual_seed(i)) * 0.01)
            layer.bias.zero_()
    return model


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.act, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(self.act(self.up(self.norm(x))))


def batch(width: int) -> torch.Tensor:
    return torch.randn(16, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    model = broken()
    penstock.check(model, batch(32)).to_html(folder / "broken.html")
    penstock.initialize(model, batch(32)).to_html(folder / "mended.html")
    penstock.check(nn.Sequential(*[Block() for _ in range(200)]), batch(8)).to_html(folder / "deep.html")
    named = nn.Sequential()
    named.add_module(HOSTILE, nn.Linear(32, 32))
    named.add_module("act", nn.ReLU())
    named.add_module("head", nn.Linear(32, 10))
    torch.nn.init.zeros_(named[0].weight)
    penstock.check(named, batch(32)).to_html(folder / "hostile.html")
    return folder


def test_the_verdict_and_the_findings_stand_in_the_page(watched, pages):
    one = watched()
    one.open(pages / "broken.html")
    assert "error" in one.page.inner_text(".verdict")
    assert "F101" in one.page.inner_text(".finding")
    assert "Signal RMS" in one.page.inner_text("#depth figcaption")
    assert one.page.locator("#depth svg").count() == 3


def test_before_and_after_stand_side_by_side_with_the_plan(watched, pages):
    one = watched()
    one.open(pages / "mended.html")
    verdicts = one.page.locator(".verdict").all_inner_texts()
    assert [text.split()[0] for text in verdicts] == ["before", "after"]
    assert "✓ ok" in verdicts[1]
    written = one.page.locator(".wide table tbody tr")
    assert written.count() >= 2
    assert "0.weight" in one.page.inner_text(".wide table")
    assert one.page.locator("#depth svg").count() == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["broken", "mended"])
def test_no_serious_obstacle_for_anyone(watched, pages, name, scheme):
    one = watched(color_scheme=scheme)
    one.open(pages / f"{name}.html")
    one.page.click("[data-row]")
    assert serious(one.page) == []


def test_axe_would_find_an_obstacle(watched, pages):
    one = watched()
    one.open(pages / "broken.html")
    one.page.evaluate("document.querySelector('.verdict').style.color = '#ddd'")
    one.page.evaluate("document.querySelector('#find').parentElement.replaceWith(document.createElement('input'))")
    assert serious(one.page)


def test_a_thousand_rows_are_drawn_only_where_one_looks(watched, pages):
    one = watched()
    one.open(pages / "deep.html")
    assert "1001 rows" in one.page.inner_text("#layers")
    assert one.page.locator(".rows tbody tr").count() < 60
    one.page.click('[data-sort="backward"]')
    one.page.evaluate("document.querySelector('.rows').scrollTop = 14000")
    one.page.wait_for_function("document.querySelector('.rows tbody tr[data-index]') !== null")
    assert one.page.locator(".rows tbody tr").count() < 60
    shown = one.page.locator(".rows tbody td:nth-child(5)").all_inner_texts()
    values = [float(text.replace("−", "-")) for text in shown if text]
    assert values == sorted(values, reverse=True)


def test_blocks_fold_and_open_and_rows_show_their_distribution(watched, pages):
    one = watched()
    one.open(pages / "deep.html")
    assert one.page.locator("[data-row]").count() == 0
    one.page.click('[data-block="2"]')
    assert one.page.locator("[data-row]").count() == 5
    one.page.focus('[data-row="12"]')
    one.page.keyboard.press("Enter")
    assert "up linear" in one.page.inner_text("#layer")
    assert one.page.locator("#layer svg").count() == 2
    assert "signal RMS" in one.page.inner_text("#status")
    one.page.fill("#find", "gelu")
    names = one.page.locator("[data-row]").all_inner_texts()
    assert names
    assert all("gelu" in name for name in names)


def test_a_hint_is_copied(watched, pages):
    one = watched()
    one.open(pages / "broken.html")
    one.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.page.click(".copy >> nth=0")
    one.page.wait_for_function("document.querySelector('.copy').textContent !== 'Copy'")
    assert one.page.inner_text("#status") in ("Copied", "Selected")


def test_names_with_html_in_them_are_text_everywhere(watched, pages):
    one = watched()
    one.open(pages / "hostile.html")
    one.page.click("[data-row]  >> nth=1")
    assert HOSTILE in one.page.inner_text("#layer")
    assert HOSTILE in one.page.inner_text(".finding")
    assert one.page.locator("img").count() == 0
    assert one.page.title() == "Sequential · penstock"
    # The control: put in as HTML, the same name would have made an element.
    one.page.evaluate("name => { document.getElementById('layer').innerHTML = name.replace('src=x', '') }", HOSTILE)
    assert one.page.locator("img").count() == 1


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_runs_off_the_side(watched, pages, width):
    one = watched(width)
    for name in ("broken", "mended", "deep"):
        one.open(pages / f"{name}.html")
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_is_small_and_strict(pages):
    # 12 layers of 2 rows; 50 layers stay far below 150 kB.
    text = (pages / "broken.html").read_text()
    assert len(text) < 60_000
    assert len((pages / "deep.html").read_text()) < 150_000 * 5
    data = text.split('id="data">', 1)[1].split("</script>", 1)[0]
    rows = json.loads(data, parse_constant=pytest.fail)["reports"][0]["rows"]
    assert len(rows) == 25
    assert "http" not in text.replace("http-equiv", "")
