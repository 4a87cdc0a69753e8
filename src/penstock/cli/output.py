"""What the commands print, and with which exit code they end.

0 clean · 1 findings at or above `--fail-on` · 2 could not run. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

import typer

from penstock.errors import ArgumentError, PenstockError, closest
from penstock.report.verdict import Verdict

CLEAN, FOUND, COULD_NOT_RUN = 0, 1, 2
PIPE_CLOSED = 141  # 128 + SIGPIPE, what a shell reports for it


class Format(StrEnum):
    """How a report is written."""

    text = "text"
    json = "json"
    github = "github"
    html = "html"


class PlanFormat(StrEnum):
    """How a plan is written."""

    text = "text"
    json = "json"


class Level(StrEnum):
    """The least severity that makes a command fail."""

    error = "error"
    warning = "warning"
    note = "note"


@contextlib.contextmanager
def readable_errors(*, debug: bool) -> Iterator[None]:
    """End with exit code 2 and one message on stderr when something fails; with the traceback under `--debug`."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        # Whoever read has seen enough (`| head`). Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(PIPE_CLOSED) from None
    except Exception as error:
        if debug:
            # A message that stands for the user's own error hides it (`from None`): here that error is what is wanted.
            hidden = error.__context__ if error.__suppress_context__ and error.__cause__ is None else None
            traceback.print_exception(hidden or error, file=sys.stderr)
        print(f"penstock: {_message(error)}", file=sys.stderr)
        raise typer.Exit(COULD_NOT_RUN) from None


def _message(error: Exception) -> str:
    if isinstance(error, PenstockError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "torch":
        return "this command needs PyTorch, which is not installed.\nHint: pip install 'penstock[torch]'"
    if isinstance(error, MemoryError):
        return "out of memory.\nHint: give a smaller batch with --input or --batch"
    return f"{type(error).__name__}: {error}\nHint: --debug shows the traceback"


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Keep what a model prints out of the results: it goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def note(text: str) -> None:
    """A sentence about how the result came about, on stderr."""
    print(f"penstock: {text}", file=sys.stderr)


def show(value: Any) -> None:
    """Print a result: in colour on a terminal, else its plain text of at most 80 columns."""
    if sys.stdout.isatty() and hasattr(value, "__rich_console__"):
        from rich.console import Console

        Console().print(value)
    else:
        print(value)


def show_report(report: Verdict, form: Format) -> None:
    """Print a report in one of the formats."""
    if form is Format.json:
        print(report.to_json())
    elif form is Format.html:
        print(report.to_html())
    elif form is Format.github:
        from penstock.report.github import report_to_github

        print(report_to_github(report))
    else:
        show(report)


def exit_code(report: Verdict, fail_on: Level) -> int:
    """1 if there is a finding of this severity or a worse one, else 0."""
    return FOUND if report.at_least(fail_on.value) else CLEAN


def parse_codes(texts: Sequence[str], *, option: str) -> tuple[str, ...]:
    """The codes of `--select` or `--ignore`: whole ones or their beginnings, between commas or repeated.

    Raises:
        ArgumentError: if one begins no known code.
    """
    from penstock.checks.registry import CHECKS

    known = [check.code for check in CHECKS]
    codes = tuple(code.upper() for text in texts for code in re.split(r"[,\s]+", text) if code)
    for code in codes:
        if not any(k.startswith(code) for k in known):
            raise ArgumentError(
                f"{option} must name codes, or beginnings of codes; got {code!r}. {closest(code, known)}"
            )
    return codes


AnyReport = TypeVar("AnyReport", bound=Verdict)


def filtered(report: AnyReport, *, select: Sequence[str], ignore: Sequence[str]) -> AnyReport:
    """The report with only the selected findings, and without the ignored ones."""

    def wanted(code: str) -> bool:
        return (not select or code.startswith(tuple(select))) and not code.startswith(tuple(ignore))

    # All reports are dataclasses, which their common base cannot say.
    found = tuple(f for f in report.findings if wanted(f.code))
    return dataclasses.replace(cast("Any", report), findings=found)
