"""The errors that penstock raises.

    PenstockError
    ├── ArgumentError (ValueError)             an argument has a wrong value
    │   └── ShapeError                         a shape, an axis or a window does not fit
    ├── UnsupportedError (TypeError)           something that penstock cannot work on, with the way out
    ├── ModelError (RuntimeError)              the model, its batch or its loss failed while it ran
    └── MissingFrameworkError (ImportError)    an extra is not installed

Every message has the same parts; the last three only where there is something to say:

    {function}: {argument} must be {requirement}; got {value}.
      at: {parameter or signal path, shape}
      because: {the rule that makes this necessary}
    Hint: {the literal call to write}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PenstockError(Exception):
    """Base of every error that penstock raises on purpose."""


class ArgumentError(PenstockError, ValueError):
    """An argument has a value that the function cannot use."""


class ShapeError(ArgumentError):
    """A shape, an axis or a window does not fit."""


class UnsupportedError(PenstockError, TypeError):
    """An object of a kind that penstock cannot work on."""


class ModelError(PenstockError, RuntimeError):
    """The user's model, batch or loss failed while penstock ran it."""


class MissingFrameworkError(PenstockError, ImportError):
    """A framework or an extra is not installed."""


def message(fact: str, *, at: str | None = None, because: str | None = None, hint: str | None = None) -> str:
    """Put the four parts of an error message together.

    Examples:
        >>> print(message("gain: std must be positive; got -1.", hint="penstock.gain('relu')"))
        gain: std must be positive; got -1.
        Hint: penstock.gain('relu')
    """
    lines = [fact]
    if at:
        lines.append(f"  at: {at}")
    if because:
        lines.append(f"  because: {because}")
    if hint:
        lines.append(f"Hint: {hint}")
    return "\n".join(lines)


def closest(name: str, choices: Iterable[str]) -> str:
    """A sentence that lists the valid choices and names the nearest one to a misspelt name.

    Examples:
        >>> closest("reul", ["relu", "tanh"])
        "Did you mean 'relu'? Known: relu, tanh."
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return f"{meant}Known: {', '.join(known)}."
