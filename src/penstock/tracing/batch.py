"""What every adapter says of a batch that cannot be measured."""

from __future__ import annotations

from penstock.errors import ArgumentError, message


def not_finite(bad: int, size: int, name: str, *, hint: str) -> ArgumentError:
    """The error of an input with numbers that are none.

    Args:
        bad: how many of its elements are NaN or infinite.
        size: how many it has.
        name: of the input.
        hint: a call that works.
    """
    return ArgumentError(
        message(
            f"check: batch must be finite; {bad} of {size} elements of input {name!r} are NaN or infinite.",
            because="every signal behind them would be NaN, and nothing could be said about the model",
            hint=hint,
        )
    )
