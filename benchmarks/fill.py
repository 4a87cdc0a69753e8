"""Speed of fills and orthogonal matrices against torch.nn.init, in turns in one process.

`python benchmarks/fill.py` measures distributions, types, thread counts and sizes; `--llama` adds a shape list of 1.1
billion parameters from nothing to filled, in a child process for each side (PyTorch's takes minutes).
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from bench import interleaved, machine, parser, peak_mib, publish, ratio, table

from penstock.geometry import Geometry
from penstock.randomness import Distribution, fill
from penstock.randomness.compiled import LOADER
from penstock.recipes import Orthogonal
from penstock.torch import init

ELEMENTS = 2**26
REJECTION_SHARE = 2**4
"""torch.nn.init.trunc_normal_ is timed on so small a part of the elements: all would take seconds a turn."""

TORCH: dict[Distribution, Callable[..., Any]] = {
    "uniform": torch.nn.init.uniform_,
    "normal": torch.nn.init.normal_,
    "truncated_normal": torch.nn.init.trunc_normal_,
}
ORTHOGONAL = ((64, 64), (512, 512), (1024, 1024), (2048, 2048), (4096, 4096), (4096, 1024), (1024, 4096))
SIZES = (1, 64, 4096, 10**5, 10**6, 10**7, 10**8)


def distributions(repeats: int) -> str:
    """Warm float32 and bfloat16 tensors of 2^26 elements."""
    rows = []
    for name, rule in TORCH.items():
        for kind in ("float32", "bfloat16"):
            for threads in (1, 2):
                rows.append(_distribution(name, rule, kind, threads, repeats))
    header = ("fill of 64M", "type", "threads", "ours G/s", "torch G/s", "ratio", "share of store speed")
    return table(header, rows)


def _distribution(name: Distribution, rule: Callable[..., object], kind: str, threads: int, repeats: int) -> list[str]:
    torch.set_num_threads(threads)
    memory = np.zeros(ELEMENTS, dtype=np.uint16 if kind == "bfloat16" else np.float32)
    tensor = torch.from_numpy(memory).view(torch.bfloat16 if kind == "bfloat16" else torch.float32)
    share = REJECTION_SHARE if name == "truncated_normal" else 1
    part = tensor[: ELEMENTS // share]
    seconds = interleaved(
        {
            "ours": lambda: fill(name, (ELEMENTS,), 7, out=memory, dtype=kind, threads=threads),
            "torch": lambda: rule(part),
            "store": lambda: tensor.fill_(1.0),
        },
        repeats=repeats,
    )
    speed = {arm: ELEMENTS / statistics.median(times) / 1e9 for arm, times in seconds.items()}
    return [
        name.replace("_", " "),
        kind,
        str(threads),
        f"{speed['ours']:.2f}",
        f"{speed['torch'] / share:.3f}",
        f"{ratio(seconds, 'torch', 'ours') * share:.1f}",
        f"{ratio(seconds, 'store', 'ours'):.0%}",
    ]


def orthogonal(repeats: int) -> str:
    """Whole calls, random numbers included, with two threads."""
    torch.set_num_threads(2)
    rows = []
    for m, n in ORTHOGONAL:
        geometry = Geometry((m, n), in_axes=(1,), out_axes=(0,))
        tensor = torch.empty(m, n)
        made: list[np.ndarray] = []
        seconds = interleaved(
            {
                "ours": lambda geometry=geometry, made=made: made.append(Orthogonal().draw(geometry, 3)),
                "torch": lambda tensor=tensor: torch.nn.init.orthogonal_(tensor),
            },
            repeats=repeats,
        )
        q = made[-1].astype(np.float64) * min(1.0, math.sqrt(n / m))
        products = q.T @ q if m >= n else q @ q.T
        milliseconds = {arm: 1e3 * statistics.median(times) for arm, times in seconds.items()}
        rows.append(
            [
                f"{m} x {n}",
                f"{milliseconds['ours']:.2f}",
                f"{milliseconds['torch']:.2f}",
                f"{ratio(seconds, 'torch', 'ours'):.1f}",
                f"{np.abs(products - np.eye(min(m, n))).max():.1e}",
            ]
        )
    return table(("orthogonal float32", "ours ms", "torch ms", "ratio", "ours: max error of Q^T Q"), rows)


def sizes() -> str:
    """One call for a new array of each size, against filling a tensor made before; two threads."""
    torch.set_num_threads(2)
    rows = []
    for size in SIZES:
        tensor, memory = torch.zeros(size), np.zeros(size, dtype=np.float32)
        calls = max(1, 10**5 // size) if size > 64 else 1000
        row = [f"{size:,}"]
        for name in ("normal", "truncated_normal"):
            rule = TORCH[name]
            if name == "truncated_normal" and size > 10**7:
                row += ["", "", ""]
                continue
            seconds = interleaved(
                {
                    "ours": lambda calls=calls, name=name, size=size, memory=memory: _again(
                        calls,
                        (lambda: fill(name, (size,), 7))
                        if size <= 2**16
                        else lambda: fill(name, (size,), 7, out=memory),
                    ),
                    "torch": lambda calls=calls, rule=rule, tensor=tensor: _again(calls, lambda: rule(tensor)),
                },
                repeats=5,
            )
            row += [f"{1e6 * statistics.median(times) / calls:,.1f}" for times in seconds.values()]
            row.append(f"{ratio(seconds, 'torch', 'ours'):.1f}")
        rows.append(row)
    header = ("elements", "normal: ours us", "torch us", "ratio", "truncated: ours us", "torch us", "ratio")
    return table(header, rows)


def _again(calls: int, call: Callable[[], object]) -> None:
    for _ in range(calls):
        call()


def llama_shapes() -> list[tuple[int, ...]]:
    """A 1.1-billion-parameter Llama: 22 layers of width 2048, 4 of 32 heads for keys and values, 32 000 tokens."""
    layer = [(2048, 2048), (256, 2048), (256, 2048), (2048, 2048), (5632, 2048), (5632, 2048), (2048, 5632)]
    return [(32000, 2048), *(layer * 22), (32000, 2048)]


def llama_arm(side: str, law: str, kind: str) -> None:
    """In a process of its own: seconds and MiB of memory from nothing to filled weights."""
    torch.set_num_threads(2)
    dtype = getattr(torch, kind)
    weights: list[torch.Tensor] = []

    def ours() -> None:
        recipe = init.normal_ if law == "normal" else init.trunc_normal_
        for number, shape in enumerate(llama_shapes()):
            weights.append(recipe(torch.empty(shape, dtype=dtype), std=0.02, generator=_seeded(number)))

    def theirs() -> None:
        rule = torch.nn.init.normal_ if law == "normal" else torch.nn.init.trunc_normal_
        for shape in llama_shapes():
            weights.append(rule(torch.empty(shape, dtype=dtype), std=0.02))

    if side == "penstock":
        LOADER.load()
    start = time.perf_counter()
    peak = peak_mib(ours if side == "penstock" else theirs)
    print(json.dumps({"seconds": time.perf_counter() - start, "MiB": peak}))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def llama() -> str:
    """Both sides, each in a child process, whose high-water mark of memory is its own."""
    elements = sum(math.prod(shape) for shape in llama_shapes())
    rows = []
    for law, kind in (("normal", "float32"), ("normal", "bfloat16"), ("truncated_normal", "bfloat16")):
        weights = elements * getattr(torch, kind).itemsize / 2**20
        taken: dict[str, float] = {}
        for side in ("penstock", "torch.nn.init"):
            command = [sys.executable, __file__, "--llama-arm", side, law, kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
            result = json.loads(done.stdout)
            taken[side] = result["seconds"]
            rows.append(
                [
                    law.replace("_", " "),
                    kind,
                    side,
                    f"{result['seconds']:.2f}",
                    f"{taken['torch.nn.init'] / taken['penstock']:.1f}" if len(taken) > 1 else "",
                    f"{result['MiB']:,.0f}",
                    f"{result['MiB'] / weights - 1:+.1%}",
                ]
            )
    header = ("1.1B Llama, from nothing", "type", "by", "seconds", "x penstock", "peak MiB", "over the weights")
    return table(header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5, help="turns whose median is kept")
    options.add_argument("--llama", action="store_true", help="add the 1.1-billion-parameter shape list")
    options.add_argument("--llama-arm", nargs=3, help="what the child processes run")
    chosen = options.parse_args(arguments)
    if chosen.llama_arm:
        llama_arm(*chosen.llama_arm)
        return
    start = time.perf_counter()
    LOADER.load()
    loading = time.perf_counter() - start
    parts = [
        machine("torch", "numpy", "numba") + f"; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
        distributions(chosen.repeats),
        orthogonal(max(3, chosen.repeats // 2)),
        sizes(),
        f"Loading the compiled code took {loading:.2f} s. A ratio is the median over turns of torch's time over ours.",
    ]
    if chosen.llama:
        parts.append(llama())
    publish("Fills", "\n\n".join(parts), write=chosen.write)


if __name__ == "__main__":
    main()
