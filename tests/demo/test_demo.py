"""The demonstration tells three true stories and leaves no trace."""

from __future__ import annotations

import copy
import importlib.util
import io
import math
import random

import numpy as np
import pytest
import torch
from rich.console import Console

from penstock.demo import run as demo
from penstock.demo.chart import area, binned, pair
from penstock.demo.digits import load
from penstock.demo.stories import STORIES
from penstock.demo.training import quiet_torch, train
from penstock.errors import ArgumentError, MissingFrameworkError

WIDTH = 80


def plain_console(*, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return Console(file=file, width=WIDTH, highlight=False, _environ={})


def text_of(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.TextIOWrapper)
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(file.encoding)


@pytest.fixture(scope="module")
def shown() -> tuple[demo.DemoResult, str]:
    console = plain_console()
    return demo.run(steps=5, console=console), text_of(console)


def test_the_three_stories_are_told(shown):
    result, text = shown
    assert [r.story.name for r in result.stories] == ["gelu", "convnet", "zeros"]
    for place, story in enumerate(STORIES, start=1):
        assert f"{place}. {story.title}" in text
    assert text.count("what penstock.initialize did") == 3
    assert text.count("check again: ok") == 3
    assert "penstock check path/file.py:Model --input 32,3,224,224" in text


@pytest.mark.parametrize(("name", "code"), [("gelu", "F103"), ("convnet", "F101"), ("zeros", "S101")])
def test_the_error_is_found_before_and_gone_after(shown, name, code):
    result, text = shown
    start = result[name].start
    assert [f.code for f in start.before.errors] == [code]
    assert start.after.ok
    assert f"ERROR {code} {start.before.errors[0].title}" in text


def test_the_numbers_shown_are_those_of_the_run(shown):
    result, text = shown
    for told in result.stories:
        assert len(told.before.losses) == len(told.after.losses) == 5
        for training in (told.before, told.after):
            assert all(math.isfinite(loss) for loss in training.losses)
            assert f"{training.train_accuracy:.1%}" in text
            assert f"{training.test_accuracy:.1%}" in text


def test_it_fits_80_columns_without_colour(shown):
    _, text = shown
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_it_can_be_shown_in_ascii():
    console = plain_console(encoding="ascii")
    demo.run(steps=2, names=["zeros"], console=console)
    assert text_of(console).isascii()


def test_progress_bars_are_drawn_on_a_terminal():
    file = io.StringIO()
    console = Console(file=file, width=WIDTH, force_terminal=True, highlight=False, _environ={"TERM": "xterm"})
    demo.run(steps=2, names=["zeros"], console=console)
    assert "training as it came" in file.getvalue()
    assert "2/2" in file.getvalue()


def test_nothing_global_changes():
    torch.manual_seed(5)
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate(), torch.get_num_threads())  # noqa: NPY002
    demo.run(steps=1, names=["zeros", "convnet"], console=plain_console())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
    assert torch.get_num_threads() == before[3]
    assert torch.is_grad_enabled()


def test_the_random_state_is_used_inside():
    """Control of the test above: without the fork, building a network does change the state."""
    before = torch.get_rng_state()
    with torch.random.fork_rng(devices=[]):
        STORIES[0].build()
        assert not torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_says_the_same_twice():
    texts = []
    for _ in range(2):
        console = plain_console()
        demo.run(steps=3, names=["zeros"], console=console)
        texts.append(text_of(console))
    assert texts[0] == texts[1]


def test_zeros_do_not_learn_and_mended_zeros_do():
    told = demo.run(steps=60, names=["zeros"], console=plain_console())["zeros"]
    # The commonest of ten digits is a little more than a tenth of the 359 test digits; 5 standard errors
    # of a guess, sqrt(0.1 * 0.9 / 359) = 0.016, above a tenth is 0.18.
    assert told.before.test_accuracy < 0.18
    assert told.before.losses[-1] > 2.25
    assert told.after.test_accuracy > 0.7
    assert told.after.losses[-1] < 1.0


def test_a_model_trained_as_it_came_is_not_the_mended_one():
    """Control: the two runs of a story differ by the start alone; the same start gives the same losses."""
    with quiet_torch(0):
        digits = load()
        model = STORIES[0].build()
        twice = [train(copy.deepcopy(model), digits, steps=3) for _ in range(2)]
    assert twice[0] == twice[1]
    told = demo.run(steps=3, names=["gelu"], console=plain_console())["gelu"]
    assert told.before == twice[0]
    assert told.after.losses != told.before.losses


def test_the_split_keeps_test_digits_apart():
    digits = load()
    assert len(digits.labels) + len(digits.test_labels) == 1797
    train_rows = {row.numpy().tobytes() for row in digits.images}
    assert not any(row.numpy().tobytes() in train_rows for row in digits.test_images)
    assert float(digits.images.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(digits.images.std()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("missing", "name"), [("torch", "PyTorch"), ("sklearn", "scikit-learn")])
def test_what_is_missing_is_named(monkeypatch, missing, name):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda m, *rest: None if m == missing else find_spec(m, *rest))
    with pytest.raises(MissingFrameworkError, match=rf'demo: needs {name}.*\n.*pip install "penstock\[demo\]"'):
        demo.main(steps=1)


def test_bad_arguments_are_named():
    with pytest.raises(ArgumentError, match=r"demo: steps must be 1 or more; got 0"):
        demo.run(steps=0)
    with pytest.raises(ArgumentError, match=r"got 'gelo'. Did you mean 'gelu'\?"):
        demo.run(names=["gelo"])


def test_charts_hold_their_axis():
    assert binned([1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0]
    assert area([2.0, 0.0], top=2.0, width=3, height=2) == ["█  ", "█▁ "]
    assert area([math.nan, 9.0], top=2.0, width=2, height=1) == ["██"]
    lines = pair([2.0, 2.0], [2.0, 1.0], width=4, ascii=True)
    assert lines[0] == (" 2.0", "##  ", "#   ")
    assert lines[-1] == (" 0.0", "##  ", "##  ")
