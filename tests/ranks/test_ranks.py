"""Ranks in processes of their own, joined by gloo: each makes its part, and together they make the bits of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORLD = Path(__file__).with_name("world.py")
TESTS = WORLD.parents[1]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_world_of(ranks, tmp_path):
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    paths = [str(TESTS), *(p for p in sys.path if p)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(WORLD), str(rank), str(ranks), str(tmp_path / "store")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    try:
        outputs = [process.communicate(timeout=150) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for rank, (process, (out, err)) in enumerate(zip(processes, outputs, strict=True)):
        dies = ranks > 1 and rank == ranks - 1
        assert "all equal" in out, err
        assert process.returncode == (7 if dies else 0), err
        assert ("death seen" in out) == (ranks > 1 and not dies)
