"""CPU time of a race beside the same arms trained one by one in the usual loop: 4 starts, 5 rates, digits, 5 x 128 MLP.

python benchmarks/race.py [--seeds 5] [--steps 300] [--workers 2] [--write]

CPU time, since that is what a busy machine leaves comparable; with --workers also the wall time of the race in spawned
processes, their start included, beside the loop's. The loop is the leanest that people write: tensors sliced by rows,
no loader, the start made anew for each arm, no evaluation. The race makes each start once a seed and looks at held-out
data ten times.
"""

from __future__ import annotations

import time

import bench
import torch
from torch import nn

import penstock
from penstock.racing.named_data import named_data
from penstock.torch.racing.peers import start_peer

STARTS = ("default", "he", "lsuv", "penstock")
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


def factory() -> nn.Module:
    """Five hidden layers of 128."""
    layers: list[nn.Module] = []
    for inputs in (64, 128, 128, 128, 128):
        layers += [nn.Linear(inputs, 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def loop(seeds: int, steps: int) -> None:
    """Every arm in the usual loop."""
    data = named_data("digits")
    inputs, targets = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)
    for seed in range(seeds):
        first = torch.from_numpy(data.first(seed)[0])
        for start in STARTS:
            for rate in RATES:
                torch.manual_seed(seed)
                model = factory()
                if start == "penstock":
                    penstock.initialize(model, first, seed=seed)
                elif start != "default":
                    start_peer(start, model, first, seed)
                optimizer = torch.optim.Adam(model.parameters(), lr=rate)
                order = torch.randint(len(targets), (steps, 64))
                losses = []
                for rows in order:
                    loss = nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.item())


def race(seeds: int, steps: int, workers: int = 1) -> penstock.RaceResult:
    """The same arms as a race."""
    return penstock.race(
        factory, STARTS, "digits", steps=steps, learning_rates=RATES, seeds=seeds, workers=workers, progress=False
    )


def cpu(call: object, *arguments: int) -> float:
    """CPU seconds of a call."""
    assert callable(call)
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def main() -> None:
    """Run, print, and keep with --write."""
    parser = bench.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--workers", type=int, default=0, help="also time the race in so many processes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    race(1, 2), loop(1, 2)  # caches and lazy imports
    raced = looped = waited = 0.0
    for _ in range(options.seeds):  # in turns, so that a slow spell of the machine meets both
        raced += cpu(race, 1, options.steps)
        began = time.perf_counter()
        looped += cpu(loop, 1, options.steps)
        waited += time.perf_counter() - began
    arm_steps = options.seeds * len(STARTS) * len(RATES) * options.steps
    rows = [
        [name, f"{seconds:.1f}", f"{1e3 * seconds / arm_steps:.2f}", f"{looped / seconds:.1f}"]
        for name, seconds in (("usual loop", looped), ("penstock.race", raced))
    ]
    text = bench.table([f"{options.seeds} seeds x {options.steps} steps", "CPU s", "ms a step of an arm", "x"], rows)
    if options.workers:
        began = time.perf_counter()
        race(options.seeds, options.steps, options.workers)
        wall = time.perf_counter() - began
        text += f"\n\nWall time in {options.workers} spawned processes: {wall:.0f} s; of the loop: {waited:.0f} s, "
        text += f"{waited / wall:.1f} times as long."
    bench.publish("Race", f"{text}\n\n{bench.machine('torch', 'numpy')}, one thread.", write=options.write)


if __name__ == "__main__":
    main()
