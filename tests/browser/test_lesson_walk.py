"""The lesson walked through as readers do: by keyboard alone, by its own links, on a phone."""

from __future__ import annotations

import pytest

from penstock.lesson.page import lesson_page


@pytest.fixture
def opened(watched, tmp_path):
    path = tmp_path / "lesson.html"
    path.write_text(lesson_page(), encoding="utf-8")

    def at(width: int):
        one = watched(width)
        one.open(path)
        one.page.wait_for_function("() => penstock.due.size === 0")
        return one.page

    return at


FOCUSED = """
() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  const box = e.getBoundingClientRect();
  const seen = box.width > 1 && box.bottom > 0 && box.top < innerHeight;
  return { id: e.id || e.name, outline: getComputedStyle(e).outlineStyle, seen };
}
"""


def test_tab_reaches_every_control_in_the_order_of_the_page_and_shows_where_it_is(opened):
    page = opened(1000)
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('main select, main input:not([type=radio]), main button[id]')]"
        ".map((e) => e.id)"
    )
    walked = []
    for _ in range(150):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        assert focused["seen"], focused
        assert focused["outline"] != "none", focused
        walked.append(focused["id"])
    assert [name for name in walked if name in wanted] == wanted
    for question in ("fails", "practice", "zeros", "relu", "xavier", "stop"):
        assert question in walked  # a group of choices is one stop


def test_a_link_to_a_section_leaves_the_figures_and_their_state_in_the_address(opened):
    page = opened(1000)
    page.select_option("#pipe-act", "tanh")
    page.click('nav a[href="#glorot"]')
    page.wait_for_function("() => location.hash === '#pipe.act=tanh'")
    assert page.input_value("#pipe-act") == "tanh"
    assert page.evaluate("() => scrollY") > 1000
    page.evaluate("() => { location.hash = 'pipe.act=gelu'; }")  # the control: a link with a state is read
    page.wait_for_function("() => document.getElementById('pipe-act').value === 'gelu'")


def test_what_was_typed_wrongly_is_marked_for_readers_who_do_not_see_it(opened):
    page = opened(1000)
    page.fill("#he-formula", "1/x")
    assert page.get_attribute("#he-formula", "aria-invalid") == "true"
    page.fill("#he-formula", "x^2")
    assert page.get_attribute("#he-formula", "aria-invalid") == "false"


def test_on_a_phone_names_of_lines_stand_below_the_picture(opened):
    places = {}
    for width in (360, 1000):
        page = opened(width)
        axis, name = page.locator("#he-stage text", has_text="layer"), page.locator("#he-stage text", has_text="Xavier")
        places[width] = [one.last.bounding_box()["y"] for one in (axis, name)]
    assert places[360][1] > places[360][0]
    assert places[1000][1] < places[1000][0]
