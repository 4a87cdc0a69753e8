"""PyTorch's random state and threads for the tasks of a race: seeded inside, as they were outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from penstock.racing import seeds


@contextmanager
def alone() -> Iterator[None]:
    """One task at a time in this process, on one thread: sums then run in the same order wherever a task is run."""
    with seeds.ALONE:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def seeded(seed: int, *words: str) -> Iterator[None]:
    """Within this block Python's, NumPy's and PyTorch's global states follow from the seed and what it is for."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with seeds.seeded(seed, *words), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seeds.key_of(seed, *words) % 2**63)
        yield
