"""The arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.output import Format, Level

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The model: package.module:Name or path/to/file.py:Name of a class, a factory function or a model, "
        "with literal keyword arguments if you like ('nets.py:build(depth=20)'); or hf:bert, hf:path/to/config.json. "
        "Of PyTorch, JAX or Keras; a function may also return (model, batch), (apply_fn, params) or both.",
        show_default=False,
    ),
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        "--batch", metavar="MODULE:FUNCTION", help="A function that returns a real batch.", show_default=False
    ),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="An input drawn at random: 32,3,224,224 or 'i64[8,128]<50257' or 'ids=i64[8,128]<50257'. Repeatable. "
        "Without --input and --batch it is guessed from the first layer.",
        show_default=False,
    ),
]
LossOption = Annotated[
    str | None,
    typer.Option("--loss", metavar="MODULE:FUNCTION", help="From the output to a scalar.", show_default=False),
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="NAME",
        help="A parameter, or a pattern as encoder.*, that stays as it is.",
        show_default=False,
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="auto, or a published plan: torch, keras, flax, he, gpt2, fixup, mup, lsuv ... (docs/named_plans.md).",
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the report is written.")]
FailOnOption = Annotated[Level, typer.Option("--fail-on", help="The least severity that gives exit code 1.")]
SelectOption = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="CODES", help="Only these findings: F101 or F,B.", show_default=False),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="CODES", help="All but these findings.", show_default=False)
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all that is drawn.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
