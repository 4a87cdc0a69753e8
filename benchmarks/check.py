"""Time and peak memory of `penstock.check` against one plain forward and backward of the same transformer.

    python benchmarks/check.py [--repeats 7] [--plan] [--write]

Time: one process, 2 threads, warmed up, the arms in turns; ratios are medians over the turns. Memory: each arm in a
process of its own, by how far the kernel's high-water mark rises above the level with model and batch in place. A
plain backward leaves each parameter's gradient; `check` measures and drops each as it comes, so it can need less.
"""

from __future__ import annotations

import functools
import multiprocessing
import statistics
from collections.abc import Callable

import bench
import torch
from torch import nn
from torch.nn import functional as F
from transformer import VOCABULARY, Encoder, Transformer

import penstock

THREADS = 2
BATCH, LENGTH, WIDTH = 4, 128, 768

Case = tuple[nn.Module, torch.Tensor, Callable[[torch.Tensor], torch.Tensor] | None]


def decoder(*, small: bool = False) -> Case:
    """12 blocks of width 768, 4 x 128 tokens, no loss."""
    torch.manual_seed(0)
    model = Transformer(depth=1, width=24) if small else Transformer()
    return model, torch.randint(0, VOCABULARY, (BATCH, LENGTH)), None


def decoder_with_loss(*, small: bool = False) -> Case:
    """The same with the loss that it trains on."""
    model, ids, _ = decoder(small=small)
    target = torch.randint(0, VOCABULARY, (BATCH * LENGTH,))
    return model, ids, lambda output: F.cross_entropy(output.flatten(0, 1), target)


def encoder(*, small: bool = False) -> Case:
    """torch.nn.TransformerEncoder of the same size, with dropout, no loss."""
    torch.manual_seed(0)
    width = 24 if small else WIDTH
    return Encoder(depth=1 if small else 12, width=width), torch.randn(BATCH, LENGTH, width), None


CASES: dict[str, Callable[..., Case]] = {"decoder": decoder, "decoder, loss": decoder_with_loss, "encoder": encoder}


def plain(case: Case) -> None:
    """One forward and one backward."""
    model, batch, loss = case
    for parameter in model.parameters():
        parameter.grad = None
    output = model(batch)
    if loss is None:
        output.backward(torch.ones_like(output))
    else:
        loss(output).backward()


def check(case: Case) -> None:
    """The door."""
    model, batch, loss = case
    penstock.check(model, batch, loss=loss)


def plan(case: Case) -> None:
    """The plan alone."""
    model, batch, _ = case
    penstock.plan(model, batch)


def initialize(case: Case) -> None:
    """Plan, draw, calibrate, and the reports before and after."""
    model, batch, _ = case
    penstock.initialize(model, batch)


ARMS: dict[str, Callable[[Case], None]] = {"plain": plain, "check": check, "plan": plan, "initialize": initialize}


def peak(case_name: str, arm: str) -> float:
    """Peak MiB of one arm, in a new process: a tiny model first, so that nothing is loaded while it is measured."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (case_name, arm))


def _peak(case_name: str, arm: str) -> float:
    torch.set_num_threads(THREADS)
    ARMS[arm](CASES[case_name](small=True))
    case = CASES[case_name]()
    return bench.peak_mib(lambda: ARMS[arm](case))


def timed(case: Case, arms: list[str], repeats: int) -> dict[str, list[float]]:
    """Seconds of each arm on one case."""
    torch.set_num_threads(THREADS)
    return bench.interleaved({arm: functools.partial(ARMS[arm], case) for arm in arms}, repeats=repeats)


def rows(case_name: str, arms: list[str], repeats: int) -> list[list[str]]:
    """Table rows of one case."""
    seconds = timed(CASES[case_name](), arms, repeats)
    made = []
    memory = {arm: peak(case_name, arm) for arm in arms}
    for arm in arms:
        ratio = bench.ratio(seconds, arm, "plain")
        made.append(
            [
                case_name,
                arm,
                f"{statistics.median(seconds[arm]):.2f}",
                f"{ratio:.2f}",
                f"{memory[arm]:.0f}",
                f"{memory[arm] / memory['plain']:.2f}",
            ]
        )
    return made


def main() -> None:
    """Run, print, and keep with --write."""
    parser = bench.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--plan", action="store_true", help="time plan and initialize too")
    options = parser.parse_args()
    arms = ["plain", "check", *(["plan", "initialize"] if options.plan else [])]
    body = [row for name in options.cases for row in rows(name, arms, options.repeats)]
    header = ["12 layers, width 768, batch 4 x 128", "call", "median s", "x plain", "peak MiB", "x plain"]
    text = bench.table(header, body) + "\n\n" + bench.machine("torch", "numpy") + f", {THREADS} threads."
    bench.publish("Plan and initialize" if options.plan else "Check", text, write=options.write)


if __name__ == "__main__":
    main()
