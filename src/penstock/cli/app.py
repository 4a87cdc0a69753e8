"""The commands of `penstock`. Each one only reads its arguments, calls a public function and prints what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock import distributed, doors
from penstock.cli.audits import audit
from penstock.cli.inputs import given_batch, load_loss, make_batch
from penstock.cli.ledgers import ledger_app
from penstock.cli.lesson import lesson
from penstock.cli.models import find
from penstock.cli.options import (
    BatchOption,
    DebugOption,
    FailOnOption,
    FormatOption,
    IgnoreOption,
    InputOption,
    KeepOption,
    LossOption,
    RecipeOption,
    SeedOption,
    SelectOption,
    TargetArgument,
)
from penstock.cli.output import (
    CLEAN,
    Format,
    Level,
    PlanFormat,
    exit_code,
    filtered,
    note,
    parse_codes,
    quiet_stdout,
    readable_errors,
    show,
    show_report,
)
from penstock.cli.race import race
from penstock.cli.weights import check_output, is_weights, reader_of, save
from penstock.ledger.verify import ledger_path
from penstock.report.verdict import Verdict

app = typer.Typer(
    name="penstock",
    help="Sets and checks the starting weights of neural networks.",
    epilog="Exit code: 0 clean, 1 findings at or above --fail-on, 2 could not run.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(ledger_app)
app.command()(audit)
app.command()(lesson)


def _model_and_batch(target: str, batch: str | None, inputs: Sequence[str] | None, seed: int) -> tuple[Any, Any]:
    found = find(target, seed=seed)
    made, told = make_batch(found, batch=batch, inputs=inputs or (), seed=seed)
    if told:
        note(told)
    with quiet_stdout():
        return found.adapter.with_parameters(found.model, made, seed=seed), made


@app.command()
def check(
    target: TargetArgument,
    batch: BatchOption = None,
    inputs: InputOption = None,
    loss: LossOption = None,
    form: FormatOption = Format.text,
    fail_on: FailOnOption = Level.error,
    select: SelectOption = None,
    ignore: IgnoreOption = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Of weights: read pickles too, which can run code.")
    ] = False,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Check a model's start: one forward, one backward, what is wrong. Or a file or folder of weights alone."""
    with readable_errors(debug=debug):
        selected = parse_codes(select or (), option="--select")
        ignored = parse_codes(ignore or (), option="--ignore")
        report: Verdict
        if is_weights(target):
            report = distributed.check_weights(target, allow_pickle=allow_pickle)
        else:
            model, made = _model_and_batch(target, batch, inputs, seed)
            with quiet_stdout():
                report = doors.check(model, made, loss=load_loss(loss))
        report = filtered(report, select=selected, ignore=ignored)
        show_report(report, form)
        raise typer.Exit(exit_code(report, fail_on))


@app.command()
def init(
    target: TargetArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to: a .safetensors file.", show_default=False)
    ],
    batch: BatchOption = None,
    inputs: InputOption = None,
    loss: LossOption = None,
    keep: KeepOption = None,
    recipe: RecipeOption = "auto",
    learning_rate: Annotated[
        bool, typer.Option("--learning-rate", help="Find a learning rate to start with; wants --loss.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    fail_on: FailOnOption = Level.error,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Initialize a model and write its weights, and their ledger beside them.

    The exit code is that of a check of the initialized model; the weights are written whatever it finds.
    """
    with readable_errors(debug=debug):
        check_output(output, force=force)
        model, made = _model_and_batch(target, batch, inputs, seed)
        with quiet_stdout():
            done = doors.initialize(
                model,
                made,
                learning_rate=learning_rate,
                loss=load_loss(loss),
                seed=seed,
                keep=keep or (),
                recipe=recipe,
            )
        size = save(done.model, output)
        done.ledger.save(ledger_path(output))
        show(done)
        note(f"wrote {output} ({size:,} bytes); {reader_of(done.model, output)} reads it")
        note(f"wrote {ledger_path(output)}; penstock ledger verify {output} compares the two")
        raise typer.Exit(exit_code(done.after, fail_on))


@app.command()
def plan(
    target: TargetArgument,
    batch: BatchOption = None,
    inputs: InputOption = None,
    loss: LossOption = None,
    keep: KeepOption = None,
    recipe: RecipeOption = "auto",
    form: Annotated[PlanFormat, typer.Option("--format", help="How the plan is written.")] = PlanFormat.text,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Show which initialization each parameter would get, and why.

    The model is built and run once; nothing is changed or written.
    """
    with readable_errors(debug=debug):
        model, made = _model_and_batch(target, batch, inputs, seed)
        with quiet_stdout():
            made_plan = doors.plan(model, made, loss=load_loss(loss), keep=keep or (), recipe=recipe)
        if form is PlanFormat.json:
            print(made_plan.to_json())
        else:
            show(made_plan)


@app.command()
def gain(
    activation: Annotated[
        str, typer.Argument(metavar="NAME", help="An activation: gelu, tanh ...", show_default=False)
    ],
    variance: Annotated[float, typer.Option("--variance", help="Of the activation's input.")] = 1.0,
    debug: DebugOption = False,
) -> None:
    """Show an activation's gains and moments for Gaussian input, and how deep a plain network of it can be."""
    with readable_errors(debug=debug):
        from penstock.meanfield.overview import overview

        show(f"{doors.gain(activation, variance=variance)}\n\n{overview(activation, variance=variance)}")


@app.command()
def fans(
    target: TargetArgument,
    batch: BatchOption = None,
    inputs: InputOption = None,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Show fan_in and fan_out of each layer of a model.

    Only models of JAX need a batch, whose axes show in what is computed, and models of Keras that are not built.
    """
    with readable_errors(debug=debug):
        found = find(target, seed=seed)
        made, _ = given_batch(found, batch=batch, inputs=inputs or (), seed=seed)
        with quiet_stdout():
            model = found.adapter.with_parameters(found.model, made, seed=seed)
            table = doors.fans(model) if made is None else doors.fans(model, made)
        show(table)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A finding's code, as F101.", show_default=False)],
    debug: DebugOption = False,
) -> None:
    """Explain a finding: what it means, why it matters, how to mend it."""
    with readable_errors(debug=debug):
        from penstock.report.explain import explain_to_text

        show(explain_to_text(code.upper()))


app.command()(race)


@app.command()
def demo(debug: DebugOption = False) -> None:
    """Three networks that fail: checked, mended and trained."""
    with readable_errors(debug=debug):
        from penstock.demo.run import main as run_demo

        raise typer.Exit(run_demo() or CLEAN)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(version_of("penstock"))
        raise typer.Exit(CLEAN)
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(CLEAN)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; ends the process with its exit code."""
    app(args=None if arguments is None else list(arguments), prog_name="penstock")


if __name__ == "__main__":
    main()
