"""Real training, short and the same for every start: same data, same order, same optimiser, same learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

    from penstock.demo.digits import Digits

LEARNING_RATE = 1e-3
"""Of Adam: its own default, and one at which all three mended networks train."""

BATCH = 128


@dataclass(frozen=True, slots=True)
class Training:
    """What one training run gave.

    Attributes:
        losses: cross-entropy in nats of each step's batch, before that step.
        train_accuracy, test_accuracy: share of digits named rightly at the end, from 0 to 1.
    """

    losses: tuple[float, ...]
    train_accuracy: float
    test_accuracy: float


def train(model: nn.Module, digits: Digits, *, steps: int, told: Callable[[int], None] = lambda step: None) -> Training:
    """Train a model in place with Adam.

    Args:
        model: from (n, 64) images to (n, 10) logits.
        digits: the data.
        steps: how many batches.
        told: is called with each step's number, from 1.
    """
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    losses: list[float] = []
    for step, rows in enumerate(_batches(len(digits.labels), steps), start=1):
        loss = torch.nn.functional.cross_entropy(model(digits.images[rows]), digits.labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        told(step)
    return Training(
        tuple(losses),
        _accuracy(model, digits.images, digits.labels),
        _accuracy(model, digits.test_images, digits.test_labels),
    )


def _batches(size: int, steps: int) -> Iterator[torch.Tensor]:
    """Rows of each batch: every epoch in a new order, the same orders for every run."""
    import torch

    random = np.random.default_rng(1)
    order = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        if len(order) < BATCH:
            order = np.concatenate([order, random.permutation(size)])
        yield torch.from_numpy(order[:BATCH])
        order = order[BATCH:]


def _accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    import torch

    with torch.no_grad():
        return (model(images).argmax(dim=1) == labels).float().mean().item()


@contextmanager
def quiet_torch(seed: int) -> Iterator[None]:
    """One thread and a seeded global random state; both as they were afterwards.

    The networks are so small that a second thread costs more than it gives, most of all on a busy machine.
    """
    import torch

    threads = torch.get_num_threads()
    # No devices: nothing here runs on a GPU, and forking its generator would start CUDA.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
