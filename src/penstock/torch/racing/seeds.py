"""Random states for code that draws from the global ones: seeded inside, as they were outside."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from penstock.randomness import key_for

_ALONE = threading.RLock()
"""PyTorch's random state and its number of threads are those of the whole process: one race task at a time has them."""


@contextmanager
def alone() -> Iterator[None]:
    """One task at a time in this process, on one thread: sums then run in the same order wherever a task is run."""
    with _ALONE:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def seeded(seed: int, *words: str) -> Iterator[None]:
    """Within this block Python's, NumPy's and PyTorch's global states follow from the seed and what it is for."""
    others = random.getstate(), np.random.get_state()  # noqa: NPY002  a user's factory may draw from the global state
    key = key_for(seed, "race", *words)
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(key)
        np.random.seed(key % 2**32)  # noqa: NPY002  as above
        torch.manual_seed(key % 2**63)
        try:
            yield
        finally:
            random.setstate(others[0])
            np.random.set_state(others[1])  # noqa: NPY002  as above
