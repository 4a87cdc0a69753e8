"""`penstock audit`: who wrote each parameter and buffer of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from penstock import doors
from penstock.building import takes_key
from penstock.cli.huggingface import configured, described, maker
from penstock.cli.inputs import load_batch
from penstock.cli.models import found_in
from penstock.cli.options import BatchOption, InputOption
from penstock.cli.output import (
    Format,
    Level,
    exit_code,
    filtered,
    note,
    parse_codes,
    quiet_stdout,
    readable_errors,
    show_report,
)
from penstock.cli.targets import Target, call, describe, load, parse_target
from penstock.cli.tiny import small_factory
from penstock.cli.usercode import user_code
from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.inputs import draw, parse_inputs


def audit(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The model, as for check: package.module:Name, path/to/file.py:Name, hf:bert. A class or a factory "
            "says more than a model that is there: it is built again and watched.",
            show_default=False,
        ),
    ],
    form: Annotated[Format, typer.Option("--format", help="How the report is written.")] = Format.text,
    fail_on: Annotated[
        Level, typer.Option("--fail-on", help="The least severity that gives exit code 1.")
    ] = Level.error,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="CODES", help="Only these findings: U101 or U.", show_default=False),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODES", help="All but these findings.", show_default=False)
    ] = None,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Build hf: models as large as their configuration says.")
    ] = False,
    batch: BatchOption = None,
    inputs: InputOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Audit a model's initialization: who wrote each parameter, and what nobody wrote.

    The model is built twice: directly, and over the meta device, as libraries do that load checkpoints. Models of
    hf: are made small, since who writes what does not depend on the size. A model of JAX is initialized under two keys,
    one of Keras compared with its initializers; both may need --input or --batch to be built.
    """
    with readable_errors(debug=debug):
        selected = parse_codes(select or (), option="--select")
        ignored = parse_codes(ignore or (), option="--ignore")
        thing = _thing(parse_target(target), full_size=full_size)
        given = _batch(batch, inputs or ())
        with quiet_stdout():
            report = doors.audit(thing, given)
        report = filtered(report, select=selected, ignore=ignored)
        show_report(report, form)
        raise typer.Exit(exit_code(report, fail_on))


def _thing(target: Target, *, full_size: bool) -> Any:
    """What a TARGET names: a model, or a function without arguments that builds one."""
    if target.kind == "hf":
        return _of_transformers(target, full_size=full_size)
    value = load(target)
    if (found := found_in(value)) is not None:
        if target.arguments:
            raise ArgumentError(
                f"TARGET: {target.name} is a model already and takes no arguments; got {target.text!r}."
            )
        return found.model
    if not callable(value):
        raise UnsupportedError(
            message(
                f"TARGET: {target.text} must be a model, or a class or function that makes one; got {describe(value)}.",
                hint="def build(): return Net()",
            )
        )
    if takes_key(value) and not target.arguments:
        return value

    def build() -> Any:
        made = call(target, value)
        found = found_in(made)
        return made if found is None else found.model

    return build


def _batch(batch: str | None, inputs: Sequence[str]) -> Any:
    """What models that make their parameters from a batch are run on: arrays of NumPy, which JAX and Keras take."""
    if batch is not None and inputs:
        raise ArgumentError("--batch and --input must not be given together: one of them is the batch.")
    if batch is not None:
        return load_batch(batch)
    drawn = {spec.name or i: draw(spec, index=i) for i, spec in enumerate(parse_inputs(inputs))}
    if any(isinstance(name, str) for name in drawn):
        return drawn
    return (next(iter(drawn.values())) if len(drawn) == 1 else tuple(drawn.values())) if drawn else None


def _of_transformers(target: Target, *, full_size: bool) -> Callable[[], Any]:
    if full_size:
        settings = described(target)
        with user_code(f"TARGET: making {target.text}"):
            make = maker(settings)
        return lambda: make(configured(settings))
    factory, size = small_factory(target)
    note(f"{target.text} was made small: {size:,} parameters; --full-size builds it as it is")
    return factory
