"""Random states for code that draws from Python's and NumPy's global ones: seeded inside, as they were outside."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np

from penstock.randomness import key_for

ALONE = threading.RLock()
"""Global random states are those of the whole process: one race task at a time has them."""

GUARDS: list[Callable[[], AbstractContextManager[None]]] = []
"""What adapters have entered around seeded code: their frameworks' own global states, new inside and back outside."""


def key_of(seed: int, *words: str) -> int:
    """64 bits for random numbers of a race: what of, by its seed."""
    return key_for(seed, "race", *words)


@contextmanager
def seeded(seed: int, *words: str) -> Iterator[None]:
    """Within this block Python's and NumPy's global states follow from the seed and what it is for."""
    key = key_of(seed, *words)
    others = random.getstate(), np.random.get_state()  # noqa: NPY002  a user's factory may draw from the global state
    random.seed(key)
    np.random.seed(key % 2**32)  # noqa: NPY002  as above
    try:
        with ExitStack() as stack:
            for guard in GUARDS:
                stack.enter_context(guard())
            yield
    finally:
        random.setstate(others[0])
        np.random.set_state(others[1])  # noqa: NPY002  as above
