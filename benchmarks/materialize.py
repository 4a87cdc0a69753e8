"""From the meta device to initialized weights: a Llama of 1.1 billion parameters in bfloat16, alone and on ranks.

    python benchmarks/materialize.py [--layers 22] [--threads 2] [--repeats 3] [--ranks-only] [--write]

Each arm runs in a process of its own, compiled code loaded before. Time: wall and CPU seconds from the meta model to
its weights. Memory: how far the kernel's high-water mark rises, over the bytes of the weights.

Ranks: `fully_shard` on gloo, one thread each; CPU seconds of `penstock.materialize` alone, of all ranks together. One
process with two threads is there too: two cores at work slow each other, which one thread alone does not show. The arms
take turns, and of the repeats the one that took least counts: whatever else runs on the machine, and the
hypervisor that has to find memory, can only add. System time is the first touch of memory, 4 KiB at a time. What does
not shrink with a rank's share is measured apart, on the same tensors at a small width: seconds for each tensor.

The last table is a prediction from shapes: the largest rank's elements, over the throughput of one core, and the
number of tensors times what each of them costs.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench
import numpy as np
import torch
from torch import nn

import penstock
from penstock.ledger.digests import digests_of
from penstock.randomness import fill
from penstock.recipes import TruncatedNormal

STD = 0.02
GIANT = {"layers": 126, "width": 16384, "inner": 53248, "heads": 128, "kv": 8, "vocabulary": 128256}
NARROW = {"width": 128, "inner": 128, "vocabulary": 128}
TINY = {"layers": 22, "width": 2048, "inner": 5632, "heads": 32, "kv": 4, "vocabulary": 32000}


def llama(sizes: dict[str, int]) -> nn.Module:
    """A Llama of Hugging Face on the meta device, in bfloat16."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=sizes["width"],
        intermediate_size=sizes["inner"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["kv"],
        vocab_size=sizes["vocabulary"],
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config).to(torch.bfloat16)


def ours(model: Any) -> None:
    """`penstock.materialize`, progress counted."""
    told = []
    ledger = penstock.materialize(model, seed=0, progress=lambda done, total, name: told.append(done))
    assert len(told) == len(ledger.records), "progress is told for every parameter"


def ours_truncated(model: Any) -> None:
    """The same with the truncated law."""
    law = TruncatedNormal(STD)
    names = {name: law for name, p in model.named_parameters() if p.dim() > 1}
    penstock.materialize(model, seed=0, plan=names)


def theirs(model: Any) -> None:
    """`to_empty` and the library's own initialization of every module."""
    model.to_empty(device="cpu")
    model.apply(model._init_weights)


def theirs_truncated(model: Any) -> None:
    """The same with PyTorch's truncated normal for the weights."""
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.trunc_normal_(parameter, std=STD, a=-2 * STD, b=2 * STD)
        else:
            nn.init.ones_(parameter)


ARMS: dict[str, Callable[[Any], None]] = {
    "penstock.materialize": ours,
    "penstock.materialize, truncated": ours_truncated,
    "to_empty + Hugging Face": theirs,
    "to_empty + truncated normal": theirs_truncated,
}


def load(memory: int) -> None:
    """Have the compiled kernels loaded, which takes a second once a process, and the library's classes.

    And have the machine hold so many bytes: a virtual one that has given its free memory back takes longer to get it
    again than the weights take to be drawn, whoever draws them.
    """
    fill("normal", (2**24,), 0)
    digests_of([np.zeros(1), np.zeros(1)], least=0)
    ours(llama({**TINY, "layers": 1, **NARROW}))
    np.ones(memory, dtype=np.uint8)


def one(name: str, sizes: dict[str, int], threads: int, out: Any) -> None:
    """Run one arm and send what it cost."""
    torch.set_num_threads(threads)
    model = llama(sizes)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    load(size)
    wall, cpu = time.perf_counter(), time.process_time()
    peak = bench.peak_mib(lambda: ARMS[name](model))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    out.put((wall, cpu, peak, size / 2**20))


def rank(number: int, ranks: int, threads: int, store: str, sizes: dict[str, int], out: Any) -> None:
    """One of several ranks; sends its CPU seconds, and those of them that the system took."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(threads)
    os.environ["PENSTOCK_NUM_THREADS"] = str(threads)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=number, world_size=ranks)
    mesh = init_device_mesh("cpu", (ranks,))
    model: Any = llama(sizes)
    load(sum(p.numel() * p.element_size() for p in model.parameters()) // ranks)
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    dist.barrier()
    cpu, system = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
    ours(model)
    cpu, system = time.process_time() - cpu, resource.getrusage(resource.RUSAGE_SELF).ru_stime - system
    out.put((cpu, system))
    dist.barrier()
    dist.destroy_process_group()


def in_processes(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[tuple[float, ...]]:
    """What each of several new processes sends."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    processes = [context.Process(target=target, args=(*given, out)) for given in arguments]
    for process in processes:
        process.start()
    found: list[tuple[float, ...]] = []
    while len(found) < len(processes):
        try:
            found.append(out.get(timeout=5))
        except queue.Empty:
            if any(process.exitcode for process in processes):
                for process in processes:
                    process.kill()
                raise RuntimeError("a process of the benchmark failed") from None
    for process in processes:
        process.join()
    return found


def on_ranks(ranks: int, sizes: dict[str, int], *, threads: int = 1) -> tuple[float, float, float]:
    """CPU seconds of the slowest rank and of all of them, and those that the system took."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        costs = in_processes(rank, [(number, ranks, threads, store, sizes) for number in range(ranks)])
    cpus = [cpu for cpu, _ in costs]
    return max(cpus), sum(cpus), sum(system for _, system in costs)


def ranks_table(sizes: dict[str, int], repeats: int) -> tuple[str, float, float]:
    """The table of ranks; elements that one core makes in a second; and seconds that a tensor costs beside them."""
    arms = ((1, 1), (1, 2), (2, 1), (4, 1))
    found = [{arm: on_ranks(arm[0], sizes, threads=arm[1]) for arm in arms} for _ in range(repeats)]
    best = {arm: min((one[arm] for one in found), key=lambda cost: cost[1]) for arm in arms}
    total, _, tensors = largest_part(sizes, 1)
    (alone, both), narrow = (best[1, threads][1] for threads in (1, 2)), {**sizes, **NARROW}
    elements = largest_part(narrow, 1)[0] / total * alone
    each = (min(on_ranks(1, narrow)[1] for _ in range(repeats)) - elements) / tensors
    rows = [
        [
            f"{ranks} x {threads}",
            f"{most:.2f}",
            f"{cpu:.2f}",
            f"{cpu - system:.2f}",
            f"{100 * (cpu / alone - 1):+.1f} %",
            f"{100 * (cpu / both - 1):+.1f} %",
        ]
        for (ranks, threads), (most, cpu, system) in best.items()
    ]
    header = [
        "ranks x threads",
        "CPU s of the slowest",
        "CPU s of all",
        "without the system's",
        "against 1 x 1",
        "against 1 x 2",
    ]
    text = bench.table(header, rows)
    text += f"\n\nThe least of {repeats} repeats. Beside its elements each of {tensors} tensors costs a rank "
    return text + f"{1e3 * each:.2f} ms.", total / (alone - tensors * each), each


def largest_part(sizes: dict[str, int], ranks: int) -> tuple[int, int, int]:
    """Elements of the whole model, of the largest rank under `fully_shard`, and parameters; from shapes alone."""
    shapes = [tuple(p.shape) for p in llama(sizes).parameters()]
    # Shard(0) gives each rank ceil(rows / ranks) rows; the first rank always has so many.
    most = sum(min(shape[0], -(-shape[0] // ranks)) * int(torch.Size(shape[1:]).numel()) for shape in shapes)
    return sum(int(torch.Size(shape).numel()) for shape in shapes), most, len(shapes)


def main() -> None:
    """Run, print, and keep with --write."""
    parser = bench.parser(__doc__)
    parser.add_argument("--layers", type=int, default=TINY["layers"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="of the ranks, in turns; the least counts")
    parser.add_argument("--ranks-only", action="store_true", help="leave the slow arms out")
    options = parser.parse_args()
    sizes = {**TINY, "layers": options.layers}
    total, _, _ = largest_part(sizes, 1)
    arms = {} if options.ranks_only else ARMS
    found = {name: in_processes(one, [(name, sizes, options.threads)])[0] for name in arms}
    pairs = dict(zip(list(ARMS)[:2], list(ARMS)[2:], strict=True))
    rows = []
    for name, (wall, cpu, peak, weights) in found.items():
        base = found.get(pairs.get(name, ""))
        faster = f"{base[0] / wall:.1f} ({base[1] / cpu:.1f})" if base else ""
        rows.append([name, f"{wall:.1f}", f"{cpu:.1f}", faster, f"{peak:.0f}", f"{100 * (peak / weights - 1):+.1f} %"])
    header = [
        f"{total / 1e9:.2f} G parameters, bfloat16",
        "wall s",
        "CPU s",
        "faster, wall (CPU)",
        "peak MiB",
        "over weights",
    ]
    text = bench.table(header, rows) if rows else ""
    ranks_text, speed, each = ranks_table(sizes, options.repeats)
    text += f"\n\n{ranks_text}"
    rows = []
    for ranks in (8, 128, 1000):
        whole, most, parameters = largest_part(GIANT, ranks)
        rows.append(
            [
                f"{whole / 1e9:.0f} G",
                str(ranks),
                str(parameters),
                f"{most / 1e6:,.0f}",
                f"{2 * most / 2**30:.2f}",
                f"{most / speed + parameters * each:.1f}",
            ]
        )
    header = ["parameters", "ranks", "tensors", "M elements a rank", "GiB a rank", "s a rank, one core"]
    text += f"\n\nPredicted from shapes, at {speed / 1e6:.0f} M elements a second and core and {1e3 * each:.2f} ms a "
    text += "tensor:\n\n" + bench.table(header, rows)
    text += "\n\n" + bench.machine("torch", "transformers", "numpy", "numba") + "."
    bench.publish("Materialize", text, write=options.write)


if __name__ == "__main__":
    main()
