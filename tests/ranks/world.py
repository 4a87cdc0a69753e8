"""One rank of several: `python world.py RANK RANKS STORE`. Run by test_ranks.py, with tests/ on the path."""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from recipes.table import RECIPES, cases
from torch import nn
from torch.distributed import checkpoint
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard
from torch.distributed.tensor import Replicate, Shard, zeros
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import penstock
from penstock.errors import ArgumentError, ModelError
from penstock.planning.plan import Entry
from penstock.recipes import Normal
from penstock.torch.materialize.structure import plan_from_structure
from penstock.torch.write import draw_entry

RANK, RANKS, STORE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
SEED = 3
PADDING = 26
"""On the last rank of four: the others must leave it alone."""


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(12)
        self.up, self.down = nn.Linear(12, 22), nn.Linear(22, 12)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    """Uneven sizes, ties, buffers, a convolution, gates: what shards are cut from."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(29, 12, padding_idx=PADDING)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.conv = nn.Conv1d(12, 7, 3)
        self.stats = nn.BatchNorm1d(7)
        self.rnn = nn.LSTM(7, 5, batch_first=True)
        self.head = nn.Linear(12, 29, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x), self.rnn(self.stats(self.conv(x.transpose(1, 2))).transpose(1, 2))[0]


def on_meta(dtype=torch.float32) -> Net:
    with torch.device("meta"):
        return Net().to(dtype)


def reference(dtype=torch.float32) -> dict[str, torch.Tensor]:
    """What one process makes: no mesh, no group."""
    model = on_meta(dtype)
    penstock.materialize(model, seed=SEED)
    zero = (model.embed.weight == 0).all(dim=1)
    assert zero.nonzero().flatten().tolist() == [PADDING]
    return model.state_dict()


def same(model: nn.Module, wanted: dict[str, torch.Tensor]) -> int:
    """Gather every parameter over the ranks and compare its bits."""
    state = model.state_dict()
    assert set(state) == set(wanted)
    for name, value in state.items():
        whole = value.full_tensor() if hasattr(value, "full_tensor") else value
        assert torch.equal(whole, wanted[name]), f"{name} of {getattr(value, 'placements', 'whole')}"
    return len(state)


def healthy(model: nn.Module) -> None:
    report = penstock.check_ranks(model)
    assert report.ok, str(report)


def every_recipe(mesh, layouts, skipped: tuple[str, ...] = ()) -> int:
    """All recipes, all axes, float32 and bfloat16: gathered, the bits of the whole."""
    compared = 0
    for label, recipe, geometry in cases():
        if 0 in geometry.shape or label.startswith(skipped):
            continue
        entry = Entry("w", geometry.shape, recipe, "", "", geometry)
        for turn, placements in enumerate(layouts(len(geometry.shape))):
            dtype = (torch.float32, torch.bfloat16)[turn % 2]
            whole = torch.zeros(geometry.shape, dtype=dtype)
            draw_entry(entry, whole, SEED)
            sharded = zeros(*geometry.shape, dtype=dtype, device_mesh=mesh, placements=placements)
            draw_entry(entry, sharded, SEED)
            assert torch.equal(sharded.full_tensor(), whole), f"{label} {placements} {dtype}"
            compared += 1
    return compared


def fsdp(mesh, dtype, **options) -> Net:
    model = on_meta(dtype)
    for block in model.blocks:
        fully_shard(block, mesh=mesh, **options)
    return fully_shard(model, mesh=mesh, **options)


def check_fsdp(mesh) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        model = fsdp(mesh, dtype)
        ledger = penstock.materialize(model, seed=SEED)
        same(model, reference(dtype))
        assert model.head.weight is model.embed.weight
        healthy(model)
        joined = ledger.joined(*gathered_ledgers(ledger))
        alone = on_meta(dtype)
        assert {r.name for r in joined} == {r.name for r in penstock.materialize(alone, seed=SEED)}
        held = sum(b - a for p in joined["embed.weight"].parts for a, b in [(p.box or ((0, 29),))[0]])
        assert held == 29, "the boxes of all ranks make up the whole"
    out, _ = model.to(torch.float32)(torch.arange(8).reshape(2, 4) + RANK)
    out.sum().backward()
    assert torch.isfinite(out).all()
    offloaded = fsdp(mesh, torch.float32, offload_policy=CPUOffloadPolicy(pin_memory=False))
    penstock.materialize(offloaded, seed=SEED)
    same(offloaded, reference())


def gathered_ledgers(ledger) -> list[penstock.Ledger]:
    texts: list[str] = [""] * RANKS
    dist.all_gather_object(texts, ledger.to_json())
    return [penstock.Ledger.from_json(text) for text in texts]


def check_two_dimensions() -> None:
    """Tensor parallel inside, sharded data parallel outside: strided shards; and replicas of shards."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    model = on_meta()
    for block in model.blocks:
        parallelize_module(block, mesh["tp"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
        fully_shard(block, mesh=mesh["dp"])
    fully_shard(model, mesh=mesh["dp"])
    kinds = {type(p).__name__ for p in model.blocks[0].up.weight.placements}
    assert "_StridedShard" in kinds, kinds
    penstock.materialize(model, seed=SEED)
    same(model, reference())
    healthy(model)
    hybrid = fsdp(mesh, torch.float32)
    assert hybrid.embed.weight.placements == (Replicate(), Shard(0))
    penstock.materialize(hybrid, seed=SEED)
    same(hybrid, reference())
    healthy(hybrid)
    layouts = lambda ndim: [(Shard(0), Shard(0)), (Shard(ndim - 1), Shard(0)), (Replicate(), Shard(ndim - 1))]  # noqa: E731
    assert every_recipe(mesh, layouts, skipped=tuple(set(RECIPES) - {"normal", "orthogonal", "sparse"})) > 100


def check_stages() -> None:
    """Stages of a pipeline: one plan of the whole model, each rank has some layers under their own names."""
    whole = on_meta()
    plan = plan_from_structure(whole)
    stage = nn.Module()
    stage.blocks = nn.ModuleDict({str(i): whole.blocks[i] for i in range(2) if i % RANKS == RANK})
    penstock.materialize(stage, seed=SEED, plan=plan, group=dist.group.WORLD)
    wanted = reference()
    assert all(torch.equal(value, wanted[name]) for name, value in stage.state_dict().items())
    healthy(stage)


def check_disagreement(mesh) -> None:
    """Nobody writes anything, and everybody names the rank."""
    model, last = fsdp(mesh, torch.float32), RANKS - 1
    odd = last == RANK
    with pytest.raises(ArgumentError, match=r"all ranks must have the same seed"):
        penstock.materialize(model, seed=SEED + odd)
    recipe = Normal(0.5 if odd else 0.1)
    with pytest.raises(ArgumentError, match=r"all ranks must have the same plan: recipe of 'conv.weight'"):
        penstock.materialize(model, seed=SEED, plan={"conv.weight": recipe})
    if RANKS > 2:
        with pytest.raises(ArgumentError, match=rf"rank {last} differs from rank 0"):
            penstock.materialize(model, seed=SEED, plan={"conv.weight": recipe})
    with torch.device("meta"):
        other = fully_shard(nn.Linear(9 + odd, 5), mesh=mesh)
    with pytest.raises(ArgumentError, match=r"all ranks must have the same model: .*'weight'"):
        penstock.materialize(other, seed=SEED)
    with pytest.raises((ModelError, ArgumentError), match=rf"rank {last} cannot begin|skip must be"):
        penstock.materialize(model, seed=SEED, skip=["no.such"] if odd else [])
    assert all(p.is_meta for p in model.parameters())


def check_failure(mesh) -> None:
    """One rank's error in the middle is everybody's."""
    model = fsdp(mesh, torch.float32)

    def fail(done: int, total: int, name: str) -> None:
        if RANK == RANKS - 1 and name.startswith("blocks.1"):
            raise OSError("disk full")

    with pytest.raises((ModelError, OSError), match=rf"rank {RANKS - 1} failed.*disk full|^disk full$"):
        penstock.materialize(model, seed=SEED, progress=fail)
    assert all(p.is_meta for p in model.parameters())


def check_findings(mesh) -> None:
    """Each kind of damage is found, on every rank, and alone."""
    codes = lambda model: [f.code for f in penstock.check_ranks(model).findings]  # noqa: E731

    def made() -> nn.Linear:
        with torch.device("meta"):
            model = fully_shard(nn.Linear(12, 4 * RANKS), mesh=mesh)
        penstock.materialize(model, seed=SEED)
        return model

    assert codes(made()) == []
    copied = made()
    copied.weight.detach().to_local().copy_(torch.arange(48.0).reshape(4, 12))
    assert codes(copied) == ["R102"]
    empty = made()
    if RANK == 0:
        empty.weight.detach().to_local().fill_(float("nan"))
    assert codes(empty) == ["R103"]
    zero = made()
    if RANK == RANKS - 1:
        zero.weight.detach().to_local().zero_()
    assert codes(zero) == ["R103"]
    replica = nn.Linear(4, 4)
    penstock.materialize(replica, seed=SEED, group=dist.group.WORLD)
    assert codes(replica) == []
    if RANK == 1:
        replica.weight.data[0, 0] += 1.0
    assert codes(replica) == ["R101"]
    text = str(penstock.check_ranks(replica))
    assert ("on rank 1 " in text) == (RANKS > 2) or RANKS == 2, text
    shapes = nn.Linear(4, 4 + (RANK == 0))
    penstock.materialize(shapes, seed=SEED)
    assert "R104" in codes(shapes)
    # What PyTorch itself does on a mesh of CPUs: with one seed on all ranks the shards are copies.
    torch.manual_seed(0)
    with torch.device("meta"):
        usual = fully_shard(nn.Linear(12, 4 * RANKS), mesh=mesh)
    usual.to_empty(device="cpu")
    nn.init.trunc_normal_(usual.weight)
    nn.init.zeros_(usual.bias)
    assert codes(usual) == ["R102"]


def check_files(mesh) -> None:
    """A checkpoint that all ranks wrote together: whole, and with shards that are copies."""
    folder = f"{STORE}.dcp"
    with torch.device("meta"):
        model = fully_shard(nn.Linear(12, 4 * RANKS), mesh=mesh)
    penstock.materialize(model, seed=SEED)
    for name, wanted in (("good", []), ("bad", ["R102"])):
        if wanted:
            model.weight.detach().to_local().copy_(torch.arange(48.0).reshape(4, 12))
        checkpoint.save({"model": model.state_dict()}, checkpoint_id=f"{folder}/{name}")
        report = penstock.check_weights(f"{folder}/{name}")
        assert [f.code for f in report.findings] == wanted, str(report)
        assert len(report.holdings.parts) == 2 * RANKS


def check_death(mesh) -> None:
    """A rank that dies half-way: the others end with an error, and their models are as they were."""
    model = fsdp(mesh, torch.float32)

    def die(done: int, total: int, name: str) -> None:
        if RANK == RANKS - 1 and name.startswith("blocks.1"):
            os._exit(7)

    with pytest.raises(ModelError, match=r"a rank ended, or did not answer"):
        penstock.materialize(model, seed=SEED, progress=die, timeout=20.0)
    assert all(p.is_meta for p in model.parameters())


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{STORE}", rank=RANK, world_size=RANKS, timeout=timedelta(seconds=60)
    )
    mesh = init_device_mesh("cpu", (RANKS,))
    check_fsdp(mesh)
    if RANKS == 2:
        check_findings(mesh)
        check_failure(mesh)
        check_files(mesh)
    if RANKS == 3:
        layouts = lambda ndim: [(Shard(axis),) for axis in range(min(ndim, 3))] + [(Replicate(),)]  # noqa: E731
        assert every_recipe(mesh, layouts) > 300
        check_disagreement(mesh)
    if RANKS == 4:
        check_two_dimensions()
        check_stages()
    print("all equal", flush=True)
    if RANKS > 1:
        check_death(mesh)
        print("death seen", flush=True)
        os._exit(0)  # the group cannot be taken down together: one of it is gone
    dist.destroy_process_group()


main()
