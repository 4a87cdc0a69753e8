"""`penstock lesson`: the lesson in the browser, from a file, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.output import readable_errors
from penstock.cli.weights import check_file


def lesson(
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the page there instead.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Open the lesson in the browser: every claim is an experiment that you run."""
    with readable_errors(debug=debug):
        from penstock.lesson.page import lesson_page

        if export is not None:
            check_file(export, option="--export", suffix=".html", force=force)
            export.write_text(lesson_page(), encoding="utf-8")
            print(f"wrote {export}: one file, which needs no network")
            return
        path = _cached(lesson_page())
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            print(f"no browser was found; open {path} in one")


def _cached(text: str) -> Path:
    """The page as a file that stays as long as the temporary folder does: a browser reads it after we have ended."""
    import tempfile

    path = Path(tempfile.gettempdir()) / "penstock-lesson.html"
    path.write_text(text, encoding="utf-8")
    return path
