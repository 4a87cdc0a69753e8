"""Every claim of the lesson, run as the reader runs it; and that the page works for everyone."""

from __future__ import annotations

import pytest
from browser.watching import serious

from penstock.lesson.page import lesson_page


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(lesson_page(), encoding="utf-8")
    return path


@pytest.fixture
def page(watched, path):
    one = watched()
    one.open(path)
    one.page.wait_for_function("() => penstock.due.size === 0")  # figures that nobody sees yet are drawn while idle
    return one.page


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


def signal(page, start: str, act: str, depth: int = 20) -> float:
    """RMS behind the last layer."""
    told = page.evaluate(
        "([start, act, depth]) => {"
        " const told = penstock.measured({depth, width: 64, start, seed: 0, act: penstock.activationOf(act)});"
        " return [told.signal.at(-1) / told.signal[0], told.gradient[0] / told.gradient.at(-1)]; }",
        [start, act, depth],
    )
    return told


def set_range(page, control: str, value: float) -> None:
    page.evaluate(
        "([id, v]) => { const i = document.getElementById(id); i.value = v; i.dispatchEvent(new Event('input')); }",
        [control, value],
    )


def predict(page, question: str, option: int) -> str:
    place = page.locator(f'[data-question="{question}"]')
    place.locator("input").nth(option).check()
    place.locator("button").click()
    return place.locator(".answer").inner_text()


def test_the_presets_dry_up_flow_and_burst(page):
    verdicts = {}
    for preset in ("× 0.01", "Xavier", "He", "twice He"):
        page.click(f'[data-preset="{preset}"]')
        verdicts[preset] = page.inner_text("#pipe-verdict b")
    assert verdicts == {
        "× 0.01": "It dries up.",
        "Xavier": "Still alive, but the width is wrong.",
        "He": "It flows.",
        "twice He": "It bursts.",
    }


def test_depth_multiplies_and_a_guess_is_scored(page):
    assert page.locator("#depth-stage text", has_text="gradient").count() == 0
    set_range(page, "depth-guess", -2)
    page.click("#depth-reveal")
    text = page.inner_text("#depth-verdict")
    assert "Your guess was right" in text
    assert page.locator("#depth-stage text", has_text="gradient").count() == 1
    set_range(page, "depth-guess", 3)
    assert "off by a factor" in page.inner_text("#depth-verdict")
    set_range(page, "depth-gain", 1.2)
    assert number(page.inner_text("#depth-verdict b")) > 10.0


@pytest.mark.parametrize(("start", "counts"), [("zeros", ["1 of 8", "1 of 8"]), ("half", ["1 of 8", "1 of 8"])])
def test_equal_neurons_stay_equal_and_noise_parts_them(page, start, counts):
    page.select_option("#zeros-start", start)
    for _ in range(2):
        page.click("#zeros-train")
    assert page.locator("#zeros-verdict b").all_inner_texts()[:2] == counts
    set_range(page, "zeros-noise", -1)
    page.click("#zeros-train")
    assert page.locator("#zeros-verdict b").all_inner_texts()[:2] == ["8 of 8", "8 of 8"]


def test_random_neurons_differ_and_learn_more_than_zeros(page):
    losses = {}
    for start in ("zeros", "xavier"):
        page.select_option("#zeros-start", start)
        page.click("#zeros-train")
        losses[start] = number(page.locator("#zeros-verdict b").all_inner_texts()[2])
    assert losses["xavier"] < 0.5 * losses["zeros"]


def test_small_random_numbers_do_for_two_layers_and_fail_at_six(page):
    assert signal(page, "small", "tanh", 2)[0] > 1e-3
    assert signal(page, "small", "tanh", 6)[0] < 1e-6
    assert signal(page, "xavier", "tanh", 6)[0] > 0.1  # the control
    # The figure stands under the question of where the signal is gone: it shows three layers until somebody drags it.
    assert "After 3 layers" in page.inner_text("#small-verdict")
    set_range(page, "small-depth", 10)
    assert "Behind layer 6" in page.inner_text("#small-verdict")


def test_xavier_gives_both_directions_their_share(page):
    set_range(page, "xavier-nIn", 9)
    set_range(page, "xavier-nOut", 5)
    labels = page.locator("#xavier-stage text").all_text_contents()
    values = [number(text) for text in labels[1::2]]
    assert values[0] == pytest.approx(1.0, rel=0.2)
    assert values[1] == pytest.approx(1 / 16, rel=0.2)
    assert values[2] == pytest.approx(16.0, rel=0.2)
    assert values[3] == pytest.approx(1.0, rel=0.2)
    assert values[4] == pytest.approx(2 * 512 / 544, rel=0.2)
    assert values[5] == pytest.approx(2 * 32 / 544, rel=0.2)


def test_xaviers_gradient_shrinks_through_sigmoids_but_not_through_tanh(page):
    assert signal(page, "xavier", "sigmoid")[1] < 1e-6
    assert signal(page, "xavier", "tanh")[1] > 0.05


def test_he_keeps_what_relu_cuts_and_xavier_loses_it(page):
    assert 0.2 < signal(page, "he", "relu")[0] < 5.0
    assert signal(page, "xavier", "relu")[0] < 5e-3
    page.wait_for_function("() => penstock.due.size === 0")
    assert "E[f²] = 0.5" in page.text_content("#he-stage")


def test_a_typed_activation_gets_its_gain_and_a_wrong_one_leaves_the_figure(page):
    page.fill("#he-formula", "max(0, x)^2")
    assert number(page.inner_text("#he-verdict b")) == pytest.approx(1.5**-0.5, abs=1e-4)
    page.fill("#he-formula", "max(0, x")
    assert "expected )" in page.inner_text("#he-formula-error")
    assert number(page.inner_text("#he-verdict b")) == pytest.approx(1.5**-0.5, abs=1e-4)
    page.fill("#he-formula", "")
    assert page.inner_text("#he-formula-error") == ""
    assert number(page.inner_text("#he-verdict b")) == pytest.approx(2**0.5, abs=1e-4)


def test_no_framework_default_serves_a_deep_relu_network(page):
    for start in ("pytorch", "keras", "flax"):
        assert signal(page, start, "relu", 30)[1] < 0.02
    assert signal(page, "he", "relu", 30)[1] > 0.1
    assert page.locator("#frameworks-stage tbody tr").count() == 5


@pytest.mark.parametrize(
    ("kind", "gain", "low", "high"),
    [
        ("plain", 0.5, 0.0, 1e-4),
        ("residual", 0.5, 1.0, 20.0),
        ("residual", 1.0, 3.0, 50.0),
        ("scaled", 1.0, 0.8, 3.0),
        ("norm", 0.5, 0.9, 1.1),
        ("norm", 3.0, 0.9, 1.1),
        ("shaped", 1.0, 0.02, 1.0),
    ],
)
def test_sums_norms_and_shaping_forgive(page, kind, gain, low, high):
    told = page.evaluate(
        "([kind, gain]) => penstock.blocksMeasured({kind, gain, depth: 40}).signal.at(-1)", [kind, gain]
    )
    assert low <= told <= high


def test_the_race_is_won_by_he_at_eight_layers_and_by_all_at_one(page):
    run = (
        "depth => { const r = penstock.race; Object.assign(r, {arms: null, steps: 0});"
        " const state = {act: 'relu', depth, rate: -1}; r.arms = penstock.racers(state);"
        " for (let i = 0; i < 150; i += 1) penstock.raceStep(state);"
        " return Object.fromEntries(r.arms.map((a) => [a.start, a.accuracy])); }"
    )
    deep, shallow = page.evaluate(run, 8), page.evaluate(run, 1)
    assert deep["he"] > 0.5
    assert deep["small"] < 0.25
    assert deep["he"] > max(deep["xavier"], deep["pytorch"], deep["small"]) + 0.1
    assert min(shallow.values()) > 0.7


def test_the_race_runs_pauses_and_starts_again(page):
    page.wait_for_function("() => penstock.due.size === 0")
    assert "After 60 steps" in page.inner_text("#race-verdict")
    set_range(page, "race-depth", 3)
    assert "Bet on a winner" in page.inner_text("#race-verdict")
    page.click("#race-run")
    page.wait_for_function("() => penstock.race.steps > 5")
    page.click("#race-run")
    steps = page.evaluate("() => penstock.race.steps")
    page.click("#race-step")
    assert f"After {steps + 1} steps" in page.inner_text("#race-verdict")
    page.click("#race-reset")
    assert "Bet on a winner" in page.inner_text("#race-verdict")


QUIZ = {"fails": 1, "practice": 1, "zeros": 1, "relu": 2, "xavier": 1, "stop": 1}


def test_the_quiz_is_answered_by_experiments_and_scored(page):
    page.wait_for_function("() => penstock.due.size === 0")
    for name, option in QUIZ.items():
        assert "As you predicted" in predict(page, name, option), name
        assert page.locator(f'[data-question="{name}"] svg').count() == 1
    assert page.inner_text("#score") == "6 of 6 predicted rightly, 0 to go"
    for name, option in QUIZ.items():
        assert "Not so" in predict(page, name, 0 if option else 1), name
    assert page.inner_text("#score") == "0 of 6 predicted rightly, 0 to go"


def test_the_answer_follows_the_experiment_when_the_start_is_swapped(page):
    # With He's rule in Xavier's place the page itself would have to answer otherwise.
    swapped = page.evaluate(
        "() => { const told = (start) => penstock.measured({depth: 20, width: 64, start, seed: 0,"
        " act: penstock.activationOf('relu')}).signal.at(-1); const far = (v) => Math.abs(Math.log10(v));"
        " return [far(told('he')) < far(told('xavier')), far(told('xavier')) < far(told('he'))]; }"
    )
    assert swapped == [True, False]


def test_a_link_reproduces_what_is_seen(watched, path):
    first, second = watched(), watched()
    first.open(path)
    first.page.select_option("#pipe-act", "tanh")
    set_range(first.page, "pipe-gain", 0.55)
    set_range(first.page, "pipe-seed", 4)
    first.page.wait_for_function("() => location.hash.includes('pipe.seed=4')")
    second.open(path, first.page.evaluate("() => location.hash"))
    assert second.page.inner_html("#pipe-stage") == first.page.inner_html("#pipe-stage")
    assert second.page.is_hidden("#damaged")


@pytest.mark.parametrize(
    ("fragment", "count"),
    [
        ("#pipe.gain=9", 1),
        ("#pipe.act=<b>&pipe.depth=x", 2),
        ("#nothing.here=1", 1),
        ("#he.formula=%ZZ", 1),
        ("#why", 0),
    ],
)
def test_a_damaged_link_shows_the_default_with_a_note(watched, path, fragment, count):
    one, plain = watched(), watched()
    one.open(path, fragment)
    plain.open(path)
    assert one.page.inner_html("#pipe-stage") == plain.page.inner_html("#pipe-stage")
    assert one.page.is_visible("#damaged") == (count > 0)
    assert not count or one.page.inner_text("#damaged").startswith(f"{count} setting")


def test_everything_is_reached_by_keyboard(page):
    page.focus("#pipe-gain")
    before = page.inner_text("#pipe-verdict")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#pipe-verdict") != before
    page.focus('[data-question="relu"] input >> nth=0')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "As you predicted" in page.inner_text('[data-question="relu"] .answer')


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_obstacle_for_anyone(watched, path, scheme):
    one = watched(color_scheme=scheme)
    one.open(path)
    one.page.wait_for_function("() => penstock.due.size === 0")
    predict(one.page, "relu", 0)
    assert serious(one.page) == []


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_runs_off_the_side(watched, path, width):
    one = watched(width)
    one.open(path)
    one.page.wait_for_function("() => penstock.due.size === 0")
    assert one.page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_formula_with_html_in_it_is_text(page):
    page.fill("#he-formula", "<img src=x>")
    assert "<" in page.inner_text("#he-formula-error")
    assert page.locator("img").count() == 0


def test_the_page_is_small_and_whole(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 250_000
    assert "http" not in text.replace("http-equiv", "")
    for words in (
        "debug unstable training",
        "design custom architectures",
        "converge faster",
        "learning rate",
        "batch size",
    ):
        assert words in text
