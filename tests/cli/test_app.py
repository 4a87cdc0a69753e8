"""The commands from outside: what they print where, and with which code they end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import penstock as package

EXPLAINED = "F101"


def test_a_healthy_model_is_clean(penstock):
    done = penstock("check", "models.py:Net", "--input", "32,64")
    assert done.code == 0, done.out + done.err
    assert "Net" in done.out
    assert done.err == ""


def test_zeros_are_findings(penstock):
    done = penstock("check", "models.py:Zeros", "--input", "32,64")
    assert done.code == 1
    assert "S101" in done.out


def test_the_report_fits_80_columns_without_control_characters(penstock):
    done = penstock("check", "models.py:Zeros", "--input", "32,64")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out


def test_json_is_all_of_stdout(penstock):
    done = penstock("check", "models.py:Chatty", "--input", "32,64", "--format", "json")
    report = json.loads(done.out)
    assert "version" in report
    assert "being made" in done.err
    assert "running" in done.err


def test_github_annotates(penstock):
    done = penstock("check", "models.py:Zeros", "--input", "32,64", "--format", "github")
    assert done.code == 1
    assert done.out.startswith("::error title=")


def test_ignored_findings_do_not_count(penstock):
    codes = {f["code"] for f in json.loads(penstock("check", "models.py:Zeros", "--format", "json").out)["findings"]}
    assert codes
    done = penstock("check", "models.py:Zeros", "--ignore", ",".join(sorted(codes)), "--fail-on", "note")
    assert done.code == 0
    assert not any(code in done.out for code in codes)


def test_selected_findings_alone_count(penstock):
    done = penstock("check", "models.py:Zeros", "--format", "json", "--select", "S")
    assert {f["code"][0] for f in json.loads(done.out)["findings"]} == {"S"}
    assert done.code == 1
    assert penstock("check", "models.py:Zeros", "--select", "U102").code == 0


def test_fail_on_sets_the_bar(penstock):
    """Without its errors the zeros still give warnings or notes, which count from their level on."""
    found = json.loads(penstock("check", "models.py:Zeros", "--format", "json").out)["findings"]
    errors = ",".join(sorted({f["code"] for f in found if f["severity"] == "error"}))
    below = {f["severity"] for f in found if f["code"] not in errors}
    done = penstock("check", "models.py:Zeros", "--ignore", errors)
    assert done.code == 0
    done = penstock("check", "models.py:Zeros", "--ignore", errors, "--fail-on", "note")
    assert done.code == (1 if below else 0)


def test_the_input_is_guessed_and_said(penstock):
    done = penstock("check", "models.py:Net")
    assert done.code == 0
    assert re.search(r"penstock: input guessed from the first layer: --input 'f32\[\d+,64\]'", done.err)


@pytest.mark.parametrize(
    "batch", ["models.py:batch", "models:batch", "models.py:batch_of(size=8)", "models.py:fixed_batch"]
)
def test_a_batch_of_the_users_own(penstock, batch):
    assert penstock("check", "models.py:Net", "--batch", batch).code == 0


def test_inputs_by_name(penstock):
    done = penstock("check", "models.py:Words", "--input", "ids=i64[8,12]<50", "--format", "json")
    assert done.code in {0, 1}, done.err
    assert json.loads(done.out)


@pytest.mark.parametrize("loss", ["models.py:loss", "models.py:power_loss(power=4)"])
def test_a_loss_of_the_users_own(penstock, loss):
    assert penstock("check", "models.py:Net", "--input", "32,64", "--loss", loss).code in {0, 1}


COULD_NOT_RUN = [
    (
        ["check", "models.py:Nett"],
        "penstock: TARGET: models.py has no 'Nett'. The closest: Net.\nHint: models.py:Net\n",
    ),
    (["check", "models.py:Net", "--input", "64,x"], "penstock: input: '64,x' must have positive whole numbers"),
    (["check", "models.py:Net", "--input", "8,63"], "penstock: check: "),
    (["check", "models.py:Raises", "--input", "8,64"], "the forward pass is broken"),
    (["check", "models.py:Net", "--input", "8,64", "--batch", "models.py:batch"], "must not be given together"),
    (["check", "models.py:Net", "--batch", "models.py:Nett"], "penstock: --batch: models.py has no 'Nett'"),
    (["check", "models.py:Net", "--loss", "models.py:nolos"], "penstock: --loss: models.py has no 'nolos'"),
    (["check", "models.py:Net", "--loss", "models.py"], "penstock: --loss must be package.module:Name"),
    (["check", "models.py:Net", "--batch", "models.py:batch_of(n=x)"], "penstock: --batch: n must be a literal"),
    (["plan", "models.py:Net", "--keep", "hiden.*"], "'hiden.*' fits none"),
    (["check", "models.py:Net", "--batch", "models.py:batch_of"], "--batch: the arguments must fit batch_of(size"),
    (["check", "models.py:Net", "--batch", "models.py:ready"], "--batch must be a tensor, a tuple or a dict"),
    (["check", "models.py:Net", "--batch", "hf:bert"], "--batch must be module:function or file.py:function"),
    (["check", "models.py:Net", "--loss", "models.py:number"], "--loss must name a function from the model's output"),
    (["check", "models.py:Net", "--select", "Q9"], "--select must name codes, or beginnings of codes; got 'Q9'."),
    (["check", "models.py:Net", "--ignore", "F999"], "--ignore must name codes, or beginnings of codes; got 'F999'."),
    (["init", "models.py:Net", "-o", "weights.pt"], "--output must end in .safetensors; got 'weights.pt'."),
    (["init", "models.py:Net", "-o", "no/w.safetensors"], "there is no folder 'no'.\nHint: mkdir -p no"),
    (["gain", "geluu"], "'gelu'"),
    (["explain", "F999"], "penstock: explain: "),
]


@pytest.mark.parametrize(("arguments", "wanted"), COULD_NOT_RUN)
def test_what_cannot_run_says_so_in_one_message(penstock, arguments, wanted):
    done = penstock(*arguments)
    assert done.code == 2
    assert wanted in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_debug_shows_the_traceback(penstock):
    done = penstock("check", "models.py:Raises", "--input", "8,64", "--debug")
    assert done.code == 2
    assert "Traceback (most recent call last)" in done.err
    assert 'raise RuntimeError("the forward pass is broken")' in done.err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["check"], "Missing argument"),
        (["chekc", "models.py:Net"], "No such command"),
        (["check", "models.py:Net", "--format", "xml"], "xml"),
        (["init", "models.py:Net"], "Missing option"),
    ],
)
def test_wrong_usage_ends_with_2(penstock, arguments, wanted):
    done = penstock(*arguments)
    assert done.code == 2
    assert wanted in done.err


def test_help_and_version(penstock):
    for arguments in ([], ["--help"], ["-h"]):
        done = penstock(*arguments)
        assert done.code == 0
        for command in ("check", "init", "plan", "gain", "fans", "explain", "demo"):
            assert command in done.out
    assert "TARGET" in penstock("check", "--help").out


def test_gain_prints_the_numbers(penstock):
    done = penstock("gain", "relu")
    assert done.code == 0
    assert "1.414" in done.out
    assert penstock("gain", "gelu", "--variance", "4").out != penstock("gain", "gelu").out


def test_fans_prints_each_layer(penstock):
    done = penstock("fans", "models.py:Net(depth=1, width=16)")
    assert done.code == 0
    assert "hidden.0" in done.out
    assert re.search(r"head\S*\s.*16\s+4", done.out)


def test_plan_prints_and_changes_nothing(penstock):
    done = penstock("plan", "models.py:Net", "--input", "32,64")
    assert done.code == 0
    assert "hidden.0.weight" in done.out
    assert "head.weight" in json.loads(penstock("plan", "models.py:Net", "--format", "json").out).__repr__()


def test_plan_by_name(penstock):
    done = penstock("plan", "models.py:Net", "--input", "32,64", "--recipe", "gpt2")
    assert done.code == 0
    assert "normal(std=0.02)" in done.out
    wrong = penstock("plan", "models.py:Net", "--input", "32,64", "--recipe", "gpt3")
    assert wrong.code == 2
    assert "unknown recipe 'gpt3'" in wrong.err
    assert "gpt2" in wrong.err


def test_kept_parameters_are_written_as_they_were_built(penstock, folder):
    from safetensors.torch import load_file

    arguments = ["init", "models.py:Zeros", "--input", "32,64", "--keep", "head.*", "--fail-on", "error"]
    done = penstock(*arguments, "-o", "w.safetensors")
    assert done.code in {0, 1}, done.err
    weights = load_file(folder / "w.safetensors")
    assert not weights["head.weight"].any()
    assert weights["hidden.0.weight"].any()


def test_explain_prints_the_page(penstock):
    done = penstock("explain", EXPLAINED.lower())
    assert done.code == 0
    assert done.out.startswith(EXPLAINED)


def test_init_writes_weights_that_load(penstock, folder):
    from safetensors.torch import load_model

    done = penstock("init", "models.py:Zeros", "-o", "w.safetensors", "--input", "32,64")
    assert done.code == 0, done.out + done.err
    sys.path.insert(0, str(folder))
    import models

    model = models.Zeros()
    load_model(model, "w.safetensors")
    assert model.head.weight.std() > 0
    assert "wrote w.safetensors" in done.err
    assert [p.name for p in folder.iterdir() if p.suffix == ".part"] == []


def test_init_with_one_seed_writes_one_file(penstock, folder):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert penstock("init", "models.py:Net", "-o", f"{name}.safetensors", "--seed", seed).code == 0
    a, b, c = ((folder / f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_init_does_not_write_over_a_file(penstock, folder):
    (folder / "w.safetensors").write_text("precious")
    done = penstock("init", "models.py:Net", "-o", "w.safetensors")
    assert done.code == 2
    assert "--output: w.safetensors exists.\nHint: --force writes over it" in done.err
    assert (folder / "w.safetensors").read_text() == "precious"
    assert penstock("init", "models.py:Net", "-o", "w.safetensors", "--force").code == 0
    assert (folder / "w.safetensors").stat().st_size > 1000


def test_the_command_works_in_a_pipe(folder):
    """As a process of its own, with stdout no terminal: plain text, and the exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock.cli.app", "check", "models.py:Zeros", "--input", "8,64"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
    )
    assert done.returncode == 1, done.stderr
    assert b"\x1b" not in done.stdout
    assert b"S101" in done.stdout
