"""`penstock ledger`: verify, diff and rebuild weights by what was recorded when they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.output import CLEAN, FOUND, note, readable_errors, show
from penstock.cli.weights import check_output
from penstock.ledger.book import Ledger
from penstock.ledger.rebuild import rebuild as rebuild_weights
from penstock.ledger.verify import difference, ledger_path
from penstock.ledger.verify import verify as verify_weights

ledger_app = typer.Typer(
    name="ledger",
    help="Verify, compare and rebuild weights by their ledger.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@ledger_app.command()
def verify(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A .safetensors file.", show_default=False)],
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Its ledger, if it does not lie beside it.")
    ] = None,
    debug: _Debug = False,
) -> None:
    """Compare every tensor of a file with the hash in its ledger. Exit code 1 if one differs."""
    with readable_errors(debug=debug):
        result = verify_weights(Ledger.load(ledger or ledger_path(weights)), weights)
        show(result)
        raise typer.Exit(CLEAN if result.ok else FOUND)


@ledger_app.command()
def diff(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="A .ledger.json file.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another.", show_default=False)],
    debug: _Debug = False,
) -> None:
    """Show what two ledgers differ in. Exit code 1 if they do."""
    with readable_errors(debug=debug):
        result = difference(Ledger.load(first), Ledger.load(second))
        show(result)
        raise typer.Exit(CLEAN if result.ok else FOUND)


@ledger_app.command()
def rebuild(
    ledger: Annotated[Path, typer.Argument(metavar="LEDGER", help="A .ledger.json file.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to: a .safetensors file.", show_default=False)
    ],
    kept: Annotated[
        Path | None,
        typer.Option("--kept", metavar="FILE", help="Weights that hold the parameters which were not drawn."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    debug: _Debug = False,
) -> None:
    """Write the weights that a ledger records again, bit for bit."""
    with readable_errors(debug=debug):
        check_output(output, force=force)
        recorded = Ledger.load(ledger)
        rebuild_weights(recorded, output, kept=kept)
        note(f"wrote {output} ({output.stat().st_size:,} bytes): {len(recorded)} tensors, every hash as recorded")
