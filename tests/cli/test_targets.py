"""TARGET: what it may name, and what is said when it cannot be found, called or used."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from penstock.cli.models import resolve
from penstock.cli.targets import parse_target
from penstock.errors import ArgumentError, ModelError, UnsupportedError

pytestmark = pytest.mark.usefixtures("folder")

GOOD_TEXTS = [
    ("models:Net", "module", "models", "Net", {}),
    ("package.module:Net", "module", "package.module", "Net", {}),
    ("models.py:Net", "file", "models.py", "Net", {}),
    ("some/where/models.py:Outer.build", "file", "some/where/models.py", "Outer.build", {}),
    ("C:\\nets\\models.py:Net", "file", "C:\\nets\\models.py", "Net", {}),
    ("models:build(depth=2)", "module", "models", "build", {"depth": 2}),
    ("models:build()", "module", "models", "build", {}),
    ("m:f(a='x:y(z)', b=(1, 2), c=None, d=-1.5, e={'k': [True]})", "module", "m", "f",
     {"a": "x:y(z)", "b": (1, 2), "c": None, "d": -1.5, "e": {"k": [True]}}),
    ("hf:bert", "hf", "bert", "", {}),
    ("hf:configs/tiny.json", "hf", "configs/tiny.json", "", {}),
    ("hf:bert(num_hidden_layers=2)", "hf", "bert", "", {"num_hidden_layers": 2}),
]  # fmt: skip

BAD_TEXTS = [
    ("models", "TARGET must be package.module:Name, path/to/file.py:Name"),
    ("models:", "TARGET must be package.module:Name"),
    (":Net", "TARGET must be package.module:Name"),
    ("models:3", "TARGET must be package.module:Name"),
    ("", "TARGET must be package.module:Name"),
    ("./models:Net", "'./models' is neither a module's name nor a .py file"),
    ("..models:Net", "'..models' is neither a module's name nor a .py file"),
    ("models:build(20)", "arguments must have names; got 'models:build(20)'.\nHint: nets.py:build(depth=20)"),
    ("models:build(**{})", "arguments must have names"),
    ("models:build(depth=)", "the arguments must be Python; got '(depth=)'"),
    ("models:build(depth=two)", "depth must be a literal (a number, a string, True, a tuple ...); got two."),
    ("models:build(depth=__import__('os'))", "depth must be a literal"),
]


@pytest.mark.parametrize(("text", "kind", "where", "name", "arguments"), GOOD_TEXTS)
def test_texts_are_taken_apart(text, kind, where, name, arguments):
    target = parse_target(text)
    assert (target.kind, target.where, target.name, dict(target.arguments)) == (kind, where, name, arguments)


@pytest.mark.parametrize(("text", "wanted"), BAD_TEXTS)
def test_bad_texts_say_what_is_wrong(text, wanted):
    with pytest.raises(ArgumentError, match=re.escape(wanted)):
        parse_target(text)


def test_a_file_without_a_name_shows_one():
    with pytest.raises(ArgumentError, match=r"got 'models.py'\.\nHint: models.py:Net$"):
        parse_target("models.py")


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("models:Net", 3),
        ("models.py:Net", 3),
        ("./models.py:Net", 3),
        ("models.py:Net(depth=5)", 5),
        ("models.py:build(depth=2, width=8)", 2),
        ("models.py:ready", 3),
        ("models.py:Outer.build", 1),
    ],
)
def test_targets_become_models(text, depth):
    model = resolve(text)
    assert isinstance(model, torch.nn.Module)
    assert len(model.hidden) == depth


BAD_TARGETS = [
    ("nowhere:Net", ArgumentError, "there is no module 'nowhere'; looked in"),
    ("models.sub:Net", ArgumentError, "there is no module 'models.sub'"),
    ("nowhere.py:Net", ArgumentError, "there is no file 'nowhere.py'."),
    ("modles.py:Net", ArgumentError, "there is no file 'modles.py'.\nHint: models.py:Net"),
    ("models.py:Nett", ArgumentError, "models.py has no 'Nett'. The closest: Net.\nHint: models.py:Net"),
    ("models.py:biuld", ArgumentError, "models.py has no 'biuld'. The closest: build"),
    ("models.py:Outer.biuld", ArgumentError, "has no 'biuld'. The closest: build.\nHint: models.py:Outer.build"),
    ("models.py:qqq", ArgumentError, "models.py has no 'qqq'. It has: Chatty, Net, Outer, Raises, Words, Zeros, batch"),
    ("models.py:build", ArgumentError, "missing a required argument: 'depth'.\nHint: 'models.py:build(depth=...)'"),
    ("models.py:build(deep=2)", ArgumentError, "the arguments must fit build(depth"),
    ("models.py:ready(depth=2)", ArgumentError, "ready is a model already and takes no arguments"),
    ("models.py:number", UnsupportedError, "or a class or function that makes one; got a value of type int."),
    ("models.py:build_nothing", UnsupportedError, "got a value of type NoneType."),
    ("models.py:build_pair", UnsupportedError, "got a tuple of 2 (Net, int)."),
    ("models.py:torch", UnsupportedError, "got the module torch."),
    (
        "models.py:build_broken",
        ModelError,
        "calling models.py:build_broken raised ValueError: no such data set\n  at: ",
    ),
    ("models.py:build_exit", ModelError, "raised SystemExit: I call exit"),
]


@pytest.mark.parametrize(("text", "kind", "wanted"), BAD_TARGETS)
def test_bad_targets_say_what_is_wrong(text, kind, wanted):
    with pytest.raises(kind, match=re.escape(wanted)):
        resolve(text)


def test_the_place_of_an_error_is_the_users_own_line(folder):
    with pytest.raises(ModelError, match="no such data set") as caught:
        resolve("models.py:build_broken")
    line = (folder / "models.py").read_text().splitlines().index('    raise ValueError("no such data set")') + 1
    assert f"  at: {folder / 'models.py'}:{line}\n" in str(caught.value)


def test_a_file_that_fails_to_import_is_named_with_its_line(folder):
    (folder / "broken.py").write_text("x = 1\ny = 1 / 0\n")
    with pytest.raises(
        ModelError, match=r"importing broken\.py raised ZeroDivisionError: division by zero\n  at: .*broken\.py:2"
    ):
        resolve("broken.py:Net")
    assert "broken" not in sys.modules


def test_a_package_that_the_users_file_lacks_is_that_files_error(folder):
    (folder / "needs.py").write_text("import a_package_nobody_has\n")
    with pytest.raises(ModelError, match="raised ModuleNotFoundError: No module named 'a_package_nobody_has'"):
        resolve("needs:Net")


def test_a_syntax_error_is_readable(folder):
    (folder / "typo.py").write_text("def build(:\n")
    with pytest.raises(ModelError, match=r"importing typo\.py raised SyntaxError"):
        resolve("typo.py:build")


def test_a_module_next_to_the_folder_is_hinted_as_file(folder, monkeypatch):
    (folder / "inner").mkdir()
    (folder / "inner" / "nets.py").write_text("from beside import build\n")
    (folder / "inner" / "beside.py").write_text("import models\nbuild = models.Net\n")
    assert len(resolve("inner/nets.py:build").hidden) == 3


@pytest.mark.parametrize("text", ["models.py:Net", "models:build(depth=1)"])
def test_one_seed_makes_one_model(text):
    first, again, other = resolve(text, seed=1), resolve(text, seed=1), resolve(text, seed=2)
    torch.testing.assert_close(first.head.weight, again.head.weight, rtol=0, atol=0)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_what_user_code_prints_stays_out_of_the_results(capsys):
    resolve("models.py:Chatty")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "being made" in captured.err
