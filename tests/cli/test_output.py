"""What is said when something fails, which findings count, and that a file is written whole or not at all."""

from __future__ import annotations

import re

import pytest
import typer

from penstock.checks.finding import Finding
from penstock.cli.output import Level, exit_code, filtered, note, parse_codes, readable_errors
from penstock.cli.weights import check_output, save
from penstock.errors import ArgumentError
from penstock.graph import Graph
from penstock.report.report import Report
from penstock.signals import LossStats, Measured


def report_of(*findings: tuple[str, str]) -> Report:
    measured = Measured("Net", Graph((), ()), (), {}, LossStats(0.0, given=False))
    return Report(
        measured,
        tuple(Finding(code, severity, "", "fc", (2,), "", "", "", 0.0, 0.0) for code, severity in findings),  # type: ignore[arg-type]
    )


MIXED = report_of(("S101", "error"), ("F101", "warning"), ("F103", "note"))


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "needs PyTorch, which is not installed.\nHint: pip",
        ),
        (ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), "needs PyTorch"),
        (
            ModuleNotFoundError("No module named 'abc1'", name="abc1"),
            "ModuleNotFoundError: No module named 'abc1'\nHint: --debug",
        ),
        (MemoryError(), "out of memory.\nHint: give a smaller batch"),
        (ArgumentError("gain: too much."), "penstock: gain: too much.\n"),
        (
            ZeroDivisionError("division by zero"),
            "ZeroDivisionError: division by zero\nHint: --debug shows the traceback",
        ),
    ],
)
def test_every_error_is_one_message_and_code_2(capsys, error, wanted):
    with pytest.raises(typer.Exit) as caught, readable_errors(debug=False):
        raise error
    assert caught.value.exit_code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("penstock: ")
    assert wanted in captured.err
    assert "Traceback" not in captured.err


def test_an_exit_code_passes_through(capsys):
    with pytest.raises(typer.Exit) as caught, readable_errors(debug=False):
        raise typer.Exit(1)
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == ""


def test_notes_go_to_stderr(capsys):
    note("guessed")
    assert capsys.readouterr() == ("", "penstock: guessed\n")


@pytest.mark.parametrize(
    ("report", "level", "code"),
    [
        (MIXED, Level.error, 1),
        (report_of(("F101", "warning"), ("F103", "note")), Level.error, 0),
        (report_of(("F101", "warning"), ("F103", "note")), Level.warning, 1),
        (report_of(("F103", "note")), Level.warning, 0),
        (report_of(("F103", "note")), Level.note, 1),
        (report_of(), Level.note, 0),
    ],
)
def test_exit_codes(report, level, code):
    assert exit_code(report, level) == code


@pytest.mark.parametrize(
    ("select", "ignore", "left"),
    [
        ((), (), ["S101", "F101", "F103"]),
        (("F",), (), ["F101", "F103"]),
        (("F103", "S"), (), ["S101", "F103"]),
        ((), ("F1",), ["S101"]),
        (("F",), ("F103",), ["F101"]),
        (("U",), (), []),
    ],
)
def test_filters(select, ignore, left):
    assert [f.code for f in filtered(MIXED, select=select, ignore=ignore).findings] == left
    assert len(MIXED.findings) == 3


def test_codes_are_read_between_commas_or_repeated():
    assert parse_codes(["f101,S", "B1 A"], option="--select") == ("F101", "S", "B1", "A")
    assert parse_codes([], option="--select") == ()


def test_unknown_codes_name_the_closest():
    with pytest.raises(
        ArgumentError, match=re.escape("--ignore must name codes, or beginnings of codes; got 'F1O1'. Did you")
    ):
        parse_codes(["F1O1"], option="--ignore")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    torch = pytest.importorskip("torch")

    class Unsaveable(torch.nn.Linear):
        """Fails when its state is read."""

        def state_dict(self, *args, **kwargs):
            raise RuntimeError("no memory left")

    path = tmp_path / "w.safetensors"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="no memory left"):
        save(Unsaveable(2, 2), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_tied_weights_are_written_once_and_load_again(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_model

    def tied():
        model = torch.nn.ModuleDict(
            {"a": torch.nn.Linear(64, 64, bias=False), "b": torch.nn.Linear(64, 64, bias=False)}
        )
        model["b"].weight = model["a"].weight
        return model

    model, other = tied(), tied()
    size = save(model, tmp_path / "w.safetensors")
    assert 4 * 64 * 64 < size < 2 * 4 * 64 * 64
    load_model(other, tmp_path / "w.safetensors")
    torch.testing.assert_close(other["b"].weight, model["a"].weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("w.pt", "--output must end in .safetensors; got "),
        ("there.safetensors", "there.safetensors exists.\nHint: --force"),
        ("no/w.safetensors", "there is no folder "),
    ],
)
def test_outputs_that_cannot_be_written(tmp_path, name, wanted):
    (tmp_path / "there.safetensors").write_text("")
    with pytest.raises(ArgumentError, match=re.escape(wanted)):
        check_output(tmp_path / name, force=False)
    check_output(tmp_path / "there.safetensors", force=True)
