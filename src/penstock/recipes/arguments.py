"""Checks of arguments that several recipes share."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

from penstock.errors import ArgumentError, closest, message


def one_of(function: str, argument: str, value: object, choices: Iterable[str]) -> None:
    """Nothing, if the value is one of the choices.

    Raises:
        ArgumentError: if not, with the nearest choice.
    """
    known = list(choices)
    if value not in known:
        fact = f"{function}: {argument} must be one of the known ones; got {value!r}."
        raise ArgumentError(message(fact, hint=closest(str(value), known)))


def count(function: str, argument: str, value: object, *, at_least: int = 1) -> int:
    """The value as a Python integer.

    Raises:
        ArgumentError: if it is no integer or too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < at_least:
        raise ArgumentError(message(f"{function}: {argument} must be an integer >= {at_least}; got {value!r}."))
    return int(value)
