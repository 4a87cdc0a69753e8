"""The promise of `penstock.initialize`: no errors on any healthy model, and no size that runs away with depth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch_models import normal, seeded

import penstock
from zoo.hf import HF
from zoo.plain import PLAIN, STRUCTURES, mlp
from zoo.row import Row
from zoo.spread import spread

FACTOR = 3.0
OUTSIDE = {
    # Each norm passes the gradient on for the size that it meets; and the gradient reaches a token through queries and
    # keys as well as through values, so that the first attention alone makes it 1.8 times as large.
    "hf_wav2vec2": 4.5,
}
"""Where the backward pass spreads more, why, and how much at most."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower on several threads; and the number is set back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("row", [*PLAIN, *STRUCTURES, *HF], ids=lambda row: row.name)
def test_initialize_leaves_no_errors_and_even_sizes(row: Row):
    done = penstock.initialize(row.build(0), row.batch(0), loss=row.loss)
    found = spread(done)
    assert not done.after.errors, str(done.after)
    assert found.forward <= FACTOR
    assert found.backward <= OUTSIDE.get(row.name, FACTOR)


def test_the_spread_sees_a_start_that_runs_away():
    """Control: the same measure on weights that shrink the signal by a third a layer."""

    def third(weight: torch.Tensor) -> torch.Tensor:
        return nn.init.normal_(weight, std=0.33 * 1.41 / 8)

    model = seeded(lambda: mlp(6, nn.ReLU, weight=third))
    done = penstock.initialize(model, normal(64, 64), keep=["*"])
    assert spread(done).forward > 30 * FACTOR
    assert spread(done).backward > 30 * FACTOR
