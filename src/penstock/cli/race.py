"""`penstock race`: train a model from several starts, and say which converges faster."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.models import is_model, resolve
from penstock.cli.output import note, quiet_stdout, readable_errors, show
from penstock.cli.targets import call, load, parse_target
from penstock.errors import ArgumentError
from penstock.racing import door

if TYPE_CHECKING:
    from penstock.racing.result import RaceResult


_Starts = Annotated[
    str,
    typer.Option(
        "--starts",
        metavar="NAMES",
        help="Between commas: default, penstock, he, xavier, orthogonal, lsuv, krahenbuhl, mean_variance, any recipe's "
        "name, or path/to/file.py:function of a model.",
    ),
]
_Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME",
        help="digits, wine, breast_cancer, diabetes, olivetti; or path/to/file.py:name of arrays, a data set, a "
        "loader, or a function that makes batches.",
    ),
]
_Loss = Annotated[
    str | None,
    typer.Option("--loss", metavar="MODULE:FUNCTION", help="From (output, targets) to a scalar.", show_default=False),
]
_Rates = Annotated[str, typer.Option("--learning-rates", metavar="RATES", help="sweep, or rates between commas.")]
_Goal = Annotated[
    float | None,
    typer.Option("--goal", metavar="LOSS", help="Training loss whose reaching is timed.", show_default=False),
]
_BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="N", help="Rows of a batch.", show_default="64")
]
_Warmup = Annotated[int, typer.Option("--warmup", metavar="N", min=0, help="Steps of rising learning rate.")]
_Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Processes that train.", show_default="one a core")
]
_Budget = Annotated[
    float | None,
    typer.Option("--budget", metavar="SHARE", help="Of the full race's steps, up to 1.", show_default=False),
]
_Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="For up to twenty arms.", show_default=False)
]
_Journal = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="Keeps arms as they end, and resumes.", show_default=False),
]
_Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result.", show_default=False)]
_Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page.", show_default=False)]
_Png = Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw the curves.", show_default=False)]


def race(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="The model: a class or a factory, as for penstock check.", show_default=False
        ),
    ],
    starts: _Starts = "default,he,lsuv,penstock",
    data: _Data = "digits",
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Length of each arm.")] = 300,
    optimizer: Annotated[str, typer.Option("--optimizer", metavar="NAME", help="adam, adamw or sgd.")] = "adam",
    learning_rates: _Rates = "sweep",
    seeds: Annotated[str, typer.Option("--seeds", metavar="N", help="How many, or which between commas.")] = "5",
    loss: _Loss = None,
    goal: _Goal = None,
    batch_size: _BatchSize = None,
    warmup: _Warmup = 0,
    workers: _Workers = None,
    budget: _Budget = None,
    timeout: _Timeout = None,
    journal: _Journal = None,
    json_file: _Json = None,
    png: _Png = None,
    html: _Html = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a model from several starts: which converges faster, and how sure is that?

    Every start gets the same seeds, data, learning rates and steps. A race that is broken off goes on from its journal.
    """
    with readable_errors(debug=debug):
        check_files([json_file, png, html])
        parse_target(target)
        given = read_data(data)
        function = None if loss is None else read_loader(loss, "--loss")
        rates, chosen, named = read_rates(learning_rates), read_seeds(seeds), read_starts(starts)
        with quiet_stdout():
            result = door.race(
                TargetFactory(target),
                named,
                given,
                steps=steps,
                optimizer=optimizer,
                learning_rates=rates,
                seeds=chosen,
                loss=function,
                target=goal,
                batch_size=batch_size,
                warmup=warmup,
                workers=workers,
                budget=budget,
                timeout=timeout,
                journal=journal,
                progress=True,
            )
        show(result)
        write(result, json_file=json_file, png=png, html=html)


@dataclass(frozen=True, slots=True)
class TargetFactory:
    """Makes the model of a TARGET at each call; a text, so that it can be sent to other processes.

    Attributes:
        text: the target.
    """

    text: str

    def __call__(self) -> Any:
        """A new model; its own random numbers follow from the state that Python's are in, which the race has seeded."""
        seed = random.getrandbits(32)
        target = parse_target(self.text)
        if target.kind != "hf" and is_model(value := load(target)):
            return copy.deepcopy(value)
        return resolve(self.text, seed=seed)


def read_rates(text: str) -> str | list[float]:
    """What `--learning-rates` says: "sweep", or numbers between commas.

    Raises:
        ArgumentError: if it is neither.
    """
    if text.strip() == "sweep":
        return "sweep"
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ArgumentError(f'--learning-rates must be "sweep" or numbers between commas; got {text!r}.') from None


def read_seeds(text: str) -> int | list[int]:
    """What `--seeds` says: how many, or which between commas.

    Raises:
        ArgumentError: if it is neither.
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ArgumentError(f"--seeds must be a number, or seeds between commas; got {text!r}.") from None
    return numbers[0] if "," not in text and numbers else numbers


def read_loader(text: str, option: str) -> Any:
    """A function, or a value, that an option names as module:name or file.py:name."""
    target = parse_target(text, owner=option)
    value = load(target)
    return call(target, value) if target.arguments else value


def read_data(text: str) -> Any:
    """What `--data` says: a set's name, or a place in the user's code that holds data or a function of batches."""
    return read_loader(text, "--data") if ":" in text else text


def read_starts(text: str) -> dict[str, Any]:
    """What `--starts` says: names between commas; module:function and file.py:function for functions of a model."""
    made: dict[str, Any] = {}
    for part in (p.strip() for p in text.split(",")):
        if part:
            made[part.rpartition(":")[2]] = read_loader(part, "--starts") if ":" in part else part
    return made


def write(result: RaceResult, *, json_file: Path | None, png: Path | None, html: Path | None) -> None:
    """Write the result's files."""
    if json_file is not None:
        json_file.write_text(result.to_json() + "\n", encoding="utf-8")
        note(f"wrote {json_file}; penstock.RaceResult.from_json reads it")
    if png is not None:
        result.save_figure(png)
        note(f"wrote {png}")
    if html is not None:
        result.to_html(html)
        note(f"wrote {html}")


def check_files(paths: Sequence[Path | None]) -> None:
    """See that the files of results can be written, before hours are spent on them.

    Raises:
        ArgumentError: if a folder is missing, or a path is a folder.
    """
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            what = "is a folder" if path.is_dir() else f"has no folder {str(path.parent)!r}"
            raise ArgumentError(f"the file {str(path)!r} cannot be written: it {what}.")
