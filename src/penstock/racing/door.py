"""The public door of races; nothing here knows a framework."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from penstock.racing.result import RaceResult
from penstock.racing.setup import Terms, make_course, refuse_in_child, run_race
from penstock.racing.start import Given


def race(
    factory: Callable[[], Any],
    starts: Iterable[Given] | Mapping[str, Given] | str,
    data: Any,
    *,
    steps: int,
    optimizer: str = "adam",
    learning_rates: str | float | Sequence[float] = "sweep",
    seeds: int | Sequence[int] = 5,
    loss: Callable[[Any, Any], Any] | None = None,
    target: float | None = None,
    batch_size: int | None = None,
    warmup: int = 0,
    executor: Executor | None = None,
    workers: int | None = None,
    budget: float | None = None,
    timeout: float | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> RaceResult:
    """Train a model from several starts, and say which converges faster, and how sure that is.

    Every start gets the same seeds (same data in the same order, same noise, same draws where rules share them), the
    same learning rates and the same number of steps; each is judged at the rate that suits it best. An arm (one start,
    one seed, one rate) that diverges, raises, hangs or dies is a result; the others go on. The same arguments give
    the same numbers, whoever trains them and however often it was interrupted.

    Args:
        factory: makes a new model of PyTorch, JAX or Keras at each call, without arguments; of a JAX model it may
            take a key. A function at the top of a module, so that it can be sent to other processes; anything else is
            trained in this one.
        starts: names ("default", "penstock", "he", "xavier", "orthogonal", "lsuv", "krahenbuhl", "mean_variance", any
            recipe's), recipes, plans or functions of a model; or a mapping from names of your own to these.
        data: "digits", "wine", "breast_cancer", "diabetes", "olivetti"; arrays (inputs, targets), with two more for
            held-out data if you like; a data set or loader; or a function from a NumPy generator to a batch.
        steps: length of the race.
        optimizer: "adam", "adamw" or "sgd" (momentum 0.9).
        learning_rates: "sweep" for five half decades that grow, for every start alike, while a best rate is at their
            edge; or the rates themselves.
        seeds: how many, or which.
        loss: from (output, targets) to a scalar; or a loss of Keras's. Default: cross-entropy for whole-number
            targets, else the mean square.
        target: training loss whose reaching is timed. Default: halfway, on a log scale, from knowing nothing to the
            best start's end.
        batch_size: rows of a batch; 64 if left out.
        warmup: steps over which each learning rate rises linearly.
        executor: any `concurrent.futures.Executor`.
        workers: without an executor, spawned processes at a time; 1 for this process alone. Default: one a core where
            the race is long enough to be worth it.
        budget: share of the full race's steps that may be spent: hopeless learning rates then end early on the first
            seed, and the other seeds run each start's best ones.
        timeout: seconds for a task (up to twenty arms) before it counts as hung.
        journal: file that arms are written to as they end; the same call with the same file goes on where it was.
        progress: whether to tell of each arm on stderr. Default: on a terminal.

    Returns:
        A result: it prints, `result.verdict` is one sentence, `result["he"]` one start's standing, `result.figure()`
        draws it, `result.to_json()` keeps it.

    Raises:
        ArgumentError: if an argument is wrong, or the model does not take the data; nothing was trained then.
        UnsupportedError: if the factory makes no model of a supported framework.

    Examples:
        >>> import torch
        >>> def factory():
        ...     return torch.nn.Sequential(torch.nn.Linear(13, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        >>> result = penstock.race(factory, ["default", "he"], "wine", steps=20, learning_rates=1e-2, seeds=2)
        >>> sorted(standing.start for standing in result.standings)
        ['default', 'he']
    """
    refuse_in_child()
    course = make_course(factory, starts, data, steps=steps, loss=loss, batch_size=batch_size, warmup=warmup)
    terms = Terms(
        optimizer=optimizer,
        learning_rates=learning_rates,
        seeds=seeds,
        target=target,
        executor=executor,
        workers=workers,
        budget=budget,
        timeout=timeout,
        journal=journal,
        progress=progress,
    )
    return run_race(course, terms)
