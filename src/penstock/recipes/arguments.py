"""Checks of arguments that several recipes share, and their errors in the words of the doors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import ParamSpec, TypeVar

from penstock.errors import ArgumentError, UnsupportedError, closest, message

P = ParamSpec("P")
R = TypeVar("R")


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


def built(
    function: str, names: Mapping[str, str], hint: str, make: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """What `make` gives; its errors are told in the words of the function that the user called.

    Args:
        function: as it was called.
        names: its argument for each of the recipe's fields, where they are named differently.
        hint: a call that works, for errors that do not name the nearest choice themselves.
        make: a recipe's constructor, or a rule that gives a recipe.
        *args: for `make`.
        **kwargs: for `make`.

    Raises:
        ArgumentError: as `make` does.

    Examples:
        >>> built("half", {"value": "x"}, "half(x=2)", count, "Recipe", "value", 0)
        Traceback (most recent call last):
        penstock.errors.ArgumentError: half: x must be an integer >= 1; got 0.
        Hint: half(x=2)
    """
    try:
        return make(*args, **kwargs)
    except ArgumentError as error:
        fact, _, more = str(error).partition("\n")
        fact = fact.partition(": ")[2]
        for field, argument in names.items():
            fact = re.sub(rf"\b{field}\b", argument, fact)
        own = more.partition("Hint: ")[2]
        raise ArgumentError(message(f"{function}: {fact}", hint=own if "Known: " in own else hint)) from None


def no_more(function: str, unknown: Mapping[str, object], known: Iterable[str]) -> None:
    """Nothing, if there are no arguments that the function does not have.

    Raises:
        UnsupportedError: a TypeError, as Python's own, with the nearest argument.
    """
    if unknown:
        name = next(iter(unknown))
        raise UnsupportedError(message(f"{function}: unknown argument {name!r}.", hint=closest(name, known)))
