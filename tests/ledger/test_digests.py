"""Hashes made in vector lanes are those of hashlib, whatever lies beside them and however they are shared out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import penstock
from penstock.ledger import digests
from penstock.ledger.content import Content, content_of
from penstock.ledger.digests import digests_of, sums_of
from penstock.ledger.elements import as_real, rounded
from penstock.torch.materialize import records

pytest.importorskip("numba")

BLOCK = 128
SIZES = [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 5 * BLOCK + 3, 1000, 65536, 100_003]


def arrays(sizes) -> list[np.ndarray]:
    generator = np.random.default_rng(3)
    return [generator.integers(0, 256, size, dtype=np.uint8) for size in sizes]


def alone(values: np.ndarray) -> str:
    return content_of(values, "uint8").digest


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [2, 3, 4, 5, len(SIZES)])
def test_all_lengths_side_by_side(count: int, threads: int):
    some = arrays(SIZES[-count:] if threads == 2 else SIZES[:count])
    assert digests_of(some, threads=threads, least=0) == [alone(one) for one in some]


def test_a_changed_byte_changes_one_hash():
    some = arrays([700, 900, 1100, 50, 2000])
    before = digests_of(some, least=0)
    some[2][1099] ^= 1
    after = digests_of(some, least=0)
    assert before is not None
    assert after is not None
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True, True]


def test_little_is_left_to_hashlib():
    assert digests_of(arrays([1000, 1000])) is None
    assert digests_of(arrays([1000]), least=0) is None


def test_code_that_makes_other_bits_is_not_used(monkeypatch):
    loader = digests._Loader()
    monkeypatch.setattr(digests, "_in_lanes", lambda lanes, some: ["0"] * len(some))
    assert loader.get() is None
    assert loader.broken


def test_a_ledger_is_the_same_by_either_way(monkeypatch):
    def ledger():
        with torch.device("meta"):
            model = nn.ModuleDict(
                {
                    "table": nn.Embedding(70, 33, padding_idx=0, dtype=torch.bfloat16),
                    "layer": nn.Linear(33, 5, dtype=torch.float64),
                    "norm": nn.LayerNorm(33),
                    "short": nn.Conv1d(4, 6, 3, dtype=torch.float16),
                }
            )
        return penstock.materialize(model, seed=2)

    made = []

    def watched(some, **options):
        made.append(digests_of(some, **options, least=0))
        return made[-1]

    plain = ledger()
    monkeypatch.setattr(records, "WORTH", 0)
    monkeypatch.setattr(records, "digests_of", watched)
    other = ledger()
    assert [len(some) for some in made] == [7]
    for record in plain:
        twin = other[record.name]
        assert replace(twin, measured=record.measured) == record
        assert twin.measured == pytest.approx(record.measured, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scale", [1e-25, 0.02, 3e25])
def test_compiled_sums_are_those_of_float64(dtype: str, scale: float):
    """Also where squares leave float32; a sum of signs has an error of some 1e-7 of the sum of sizes."""
    assert digests_of(arrays([5, 5]), least=0) is not None
    values = np.random.default_rng(1).standard_normal(10_007).astype(np.float32) * np.float32(scale)
    stored = rounded(values, dtype)
    exact = as_real(stored, dtype).astype(np.float64)
    total, squares = sums_of(dtype)(stored)
    assert squares / np.square(exact).sum() == pytest.approx(1.0, rel=1e-6)
    assert total == pytest.approx(exact.sum(), abs=1e-6 * np.abs(exact).sum())
    assert squares / np.square(exact[1:]).sum() != pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(bad: float):
    assert digests_of(arrays([5, 5]), least=0) is not None
    values = np.ones(100, np.float32)
    values[7] = bad
    content = Content("float32")
    content.add(values, sums=sums_of("float32"))
    assert content.moments is None
    content = Content("float32")
    content.add(values[8:], sums=sums_of("float32"))
    assert content.moments == (1.0, 0.0)


def test_sums_of_other_types_are_left_to_numpy():
    assert digests_of(arrays([5, 5]), least=0) is not None
    assert sums_of("float64") is None
