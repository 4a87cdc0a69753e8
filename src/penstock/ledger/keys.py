"""Whether a ledger's keys are those of its seed: a forged or damaged one is told before anything is drawn."""

from __future__ import annotations

from penstock.errors import ArgumentError, message
from penstock.ledger.book import Ledger
from penstock.randomness import key_for


def check_keys(function: str, ledger: Ledger) -> None:
    """The key of each drawn parameter must be that of the seed and of the name that it was drawn under.

    Args:
        function: that was called, for the message.
        ledger: whose records are looked at; those without a key are passed over.

    Raises:
        ArgumentError: if a key is another one; the parameter is named.

    Examples:
        >>> check_keys("rebuild", Ledger("Net", 0, ()))
    """
    for record in ledger.records:
        drawn = record.recipe is not None and record.key is not None
        if drawn and record.key != key_for(ledger.seed, record.drawn_as or record.name):
            raise ArgumentError(
                message(
                    f"{function}: the ledger contradicts itself: the key of {record.name!r} is not that of seed "
                    f"{ledger.seed}.",
                    because="weights are drawn from keys, and each key from the seed: one of the two was changed",
                    hint="use the ledger as it was saved beside the weights",
                )
            )
