"""One of two processes: `python dtensor_world.py RANK STORE`. Run by test_init_shards.py."""

from __future__ import annotations

import sys
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from penstock.errors import UnsupportedError
from penstock.torch import init

RANK, STORE = int(sys.argv[1]), sys.argv[2]
RULES = {
    "he_normal_": init.he_normal_,
    "normal_": partial(init.normal_, std=0.02),
    "uniform_": init.uniform_,
    "trunc_normal_": partial(init.trunc_normal_, std=0.02, a=-0.06, b=0.06),
    "xavier_uniform_": init.xavier_uniform_,
    "orthogonal_": init.orthogonal_,
    "sparse_": partial(init.sparse_, sparsity=0.4),
}
SHAPES = [(7, 6), (1, 5), (8, 4)]
PLACEMENTS = [Shard(0), Shard(1), Replicate()]


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{STORE}", rank=RANK, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    compared = 0
    for shape in SHAPES:
        for placement in PLACEMENTS:
            for dtype in (torch.float32, torch.bfloat16)[: 1 + (shape == SHAPES[0])]:
                for name, rule in RULES.items():
                    sharded = distribute_tensor(torch.zeros(shape, dtype=dtype), mesh, [placement])
                    before = sharded.to_local().data_ptr()
                    assert rule(sharded, seed=3, name=name) is sharded
                    assert sharded.to_local().data_ptr() == before, "the part is written in place"
                    whole = rule(torch.zeros(shape, dtype=dtype), seed=3, name=name)
                    assert torch.equal(sharded.full_tensor(), whole), f"{name} {shape} {placement} {dtype}"
                    compared += 1
    check_generators(mesh)
    check_fixed_rules(mesh)
    check_control(mesh)
    check_partial(mesh)
    dist.destroy_process_group()
    print(f"{compared} tensors, all equal")


def check_generators(mesh) -> None:
    """Ranks with different random states agree on the first rank's key, and each advances its own."""
    generator = torch.Generator().manual_seed(100 + RANK)
    sharded = init.he_normal_(distribute_tensor(torch.zeros(7, 6), mesh, [Shard(0)]), generator=generator)
    whole = init.he_normal_(torch.zeros(7, 6), generator=torch.Generator().manual_seed(100))
    assert torch.equal(sharded.full_tensor(), whole)
    advanced = torch.Generator().manual_seed(100 + RANK)
    torch.empty((), dtype=torch.int64).random_(-(2**63), None, generator=advanced)
    assert torch.equal(generator.get_state(), advanced.get_state())


def check_fixed_rules(mesh) -> None:
    for rule, shape in ((init.eye_, (5, 7)), (init.dirac_, (6, 4, 3)), (init.ones_, (5,)), (init.zeros_, (5, 2))):
        sharded = rule(distribute_tensor(torch.full(shape, 7.0), mesh, [Shard(0)]))
        assert torch.equal(sharded.full_tensor(), rule(torch.full(shape, 7.0)))


def check_control(mesh) -> None:
    """The comparison can fail: PyTorch's own rule gives both ranks the same values on a mesh of CPUs, or others."""
    torch.manual_seed(0)
    sharded = torch.nn.init.normal_(distribute_tensor(torch.zeros(8, 4), mesh, [Shard(0)]))
    torch.manual_seed(0)
    assert not torch.equal(sharded.full_tensor(), torch.nn.init.normal_(torch.zeros(8, 4)))


def check_partial(mesh) -> None:
    pending = DTensor.from_local(torch.zeros(4, 4), mesh, [Partial()])
    with pytest.raises(UnsupportedError, match="sums still to be made"):
        init.normal_(pending, seed=0)


main()
