"""A DTensor's parts are those of the whole tensor: the index arithmetic alone, then two processes that gather."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.torch.init.shards import Split, shard_runs

WORLD = Path(__file__).with_name("dtensor_world.py")


def indices(size, splits):
    return [i for start, stop in shard_runs(size, splits) for i in range(start, stop)]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_runs_are_those_of_torch_s_own_placements(size, ranks, factor, outer):
    placements = pytest.importorskip("torch.distributed.tensor.placement_types")
    whole = torch.arange(size)
    strided, _ = placements._StridedShard(0, split_factor=factor)._split_tensor(whole, ranks, with_padding=False)
    for rank in range(ranks):
        split = Split(ranks, rank, factor)
        assert indices(size, [split]) == strided[rank].tolist()
        inner, _ = placements.Shard(0)._split_tensor(strided[rank], outer, with_padding=False)
        for second in range(outer):
            assert indices(size, [split, Split(outer, second)]) == inner[second].tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.integers(1, 6), st.integers(1, 5))
def test_the_ranks_parts_tile_the_axis(size, ranks, factor):
    parts = [indices(size, [Split(ranks, rank, factor)]) for rank in range(ranks)]
    assert sorted(i for part in parts for i in part) == list(range(size))


def test_two_processes_gather_the_bits_of_the_unsharded_tensor(tmp_path):
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORLD), str(rank), str(tmp_path / "store")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (out, err) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, err
        assert out.strip().endswith("all equal")
