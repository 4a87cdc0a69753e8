"""From the arguments of `penstock.race` to a race that can be run: everything is checked before anything is trained."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from typing import Any, cast

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.frameworks import ADAPTERS, adapter_named
from penstock.racing.arm import Course, Trained
from penstock.racing.data import ArrayData, Data, FunctionData, as_batch, ceiling_of, generator, kind_of
from penstock.racing.engine import Crew, Field, ceiling, run, together
from penstock.racing.grid import check_optimizer, halving, read_rates
from penstock.racing.journal import Journal
from penstock.racing.judge import judge
from penstock.racing.named_data import array_data, named_data
from penstock.racing.progress import watching
from penstock.racing.result import RaceResult, Settings
from penstock.racing.start import Given, parse_starts

LOOKS = 10
"""How often the held-out data is looked at: enough for a curve, and a few per cent of the training's cost."""


def make_course(
    factory: Callable[[], Any],
    starts: Iterable[Given] | Any,
    data: Any,
    *,
    steps: int,
    loss: Callable[[Any, Any], Any] | None = None,
    batch_size: int | None = None,
    warmup: int = 0,
) -> Course:
    """What all arms of a race share, checked.

    Raises:
        ArgumentError: as `penstock.race`.
    """
    if not callable(factory) or (hasattr(factory, "named_parameters") and not isinstance(factory, type)):
        raise ArgumentError(
            message(
                f"race: factory must be a function without arguments that makes a new model; got {_named(factory)}.",
                hint="penstock.race(lambda: Net(width=64), starts, data, steps=300)",
            )
        )
    if loss is not None and not callable(loss):
        raise ArgumentError(f"race: loss must be a function of (output, targets); got {_named(loss)}.")
    _count("steps", steps, 1)
    _count("warmup", warmup, 0)
    parsed = parse_starts(starts)
    made = read_data(data, steps=steps, batch_size=batch_size, own_loss=loss is not None)
    every = max(steps // LOOKS, 1)
    looks = tuple(sorted({*range(every, steps + 1, every), steps}))
    return Course(factory, parsed, made, loss, steps, warmup, looks, framework=framework_of(factory))


def framework_of(factory: Callable[[], Any]) -> str:
    """The framework that the factory's models belong to: the one with an adapter that is loaded.

    Raises:
        UnsupportedError: if none is, even when the factory has been called.
    """
    loaded = _loaded()
    if not loaded:
        factory()  # it may import its framework itself; no random state of that framework was anybody's before
        loaded = _loaded()
    if not loaded:
        raise UnsupportedError(
            "race: factory must make a model of a framework that can be raced: PyTorch is not loaded."
        )
    return loaded[0]


def _loaded() -> list[str]:
    """The frameworks that are loaded and whose adapter can race."""
    return [name for name in ADAPTERS if name in sys.modules and adapter_named(name).races]


def read_data(data: Any, *, steps: int, batch_size: int | None, own_loss: bool) -> Data:
    """Whatever stands for data, as data.

    Raises:
        ArgumentError: if it cannot be read.
    """
    if isinstance(data, Data):
        return data
    if isinstance(data, str):
        return named_data(data, batch_size=batch_size, own_loss=own_loss)
    for name in _loaded():
        made = adapter_named(name).race_data(data, steps=steps, batch_size=batch_size, own_loss=own_loss)
        if made is not None:
            return made
    if isinstance(data, tuple | list) and len(data) in {2, 4}:
        inputs, targets = as_batch(data[:2])
        test = as_batch(data[2:]) if len(data) == 4 else None
        return array_data("arrays", inputs, targets, test=test, batch_size=batch_size, own_loss=own_loss)
    if callable(data):
        function = cast("Callable[[Any], Any]", data)
        _, targets = as_batch(function(generator(0, "held out")))
        kind = kind_of(targets, own_loss=own_loss)
        return FunctionData(getattr(function, "__name__", "function"), kind, ceiling_of(targets, kind), function)
    raise ArgumentError(
        message(
            "race: data must be a name, arrays (inputs, targets), a data set, a loader or a function that makes "
            f"batches; got {_named(data)}.",
            hint='penstock.race(factory, starts, "digits", steps=300)',
        )
    )


def run_race(
    course: Course,
    *,
    optimizer: str,
    learning_rates: str | float | Sequence[float],
    seeds: int | Sequence[int],
    target: float | None,
    executor: Executor | None,
    workers: int | None,
    budget: float | None,
    timeout: float | None,
    journal: str | os.PathLike[str] | None,
    progress: bool | None,
) -> RaceResult:
    """Run a race and judge it; see `penstock.race`."""
    rates, growing = read_rates(learning_rates, check_optimizer(optimizer))
    chosen = _seeds(seeds)
    spent = None
    if budget is not None:
        spent = halving(rates=len(rates), seeds=len(chosen), steps=course.steps, budget=budget)
    if workers is not None:
        _count("workers", workers, 1)
    if executor is not None and not hasattr(executor, "submit"):
        raise ArgumentError(f"race: executor must have the submit of concurrent.futures; got {_named(executor)}.")
    survey = adapter_named(course.framework).survey_race(course)
    field = Field(course, optimizer, rates, growing, chosen, spent, together(survey.parameters))
    notes: list[str] = list(survey.notes)
    crew = Crew(executor, workers, timeout, notes.append)
    with closing(Journal(journal, _head(field, survey.model, survey.parameters, budget))) as log, closing(crew):
        total = len(field.arms(rates, chosen))
        with watching(progress, total=total, known=len(log.arms)) as watch:
            grown, order = run(field, crew, log, watch)
        log.finish(order)
    settings = Settings(
        model=survey.model,
        parameters=survey.parameters,
        data=course.data.name,
        kind=course.data.kind,
        starts=tuple(start.name for start in course.starts),
        optimizer=optimizer,
        rates=grown,
        first_rates=rates,
        seeds=chosen,
        steps=course.steps,
        batch=course.data.batch_size if isinstance(course.data, ArrayData) else None,
        warmup=course.warmup,
        budget=budget,
        ceiling=ceiling(course, log.arms),
        target=target,
        own_target=target is None,
        held_out=course.data.held_out() is not None,
    )
    arms: list[Trained] = [log.arms[arm] for arm in order]
    return judge(settings, arms, notes, log.spent)


def _head(field: Field, model: str, parameters: int, budget: float | None) -> dict[str, Any]:
    """What makes a race this race and no other, for its journal."""
    course = field.course
    return {
        "model": model,
        "parameters": parameters,
        "starts": [start.fingerprint() for start in course.starts],
        "data": course.data.fingerprint(),
        "loss": None if course.loss is None else getattr(course.loss, "__qualname__", type(course.loss).__name__),
        "steps": course.steps,
        "warmup": course.warmup,
        "optimizer": field.optimizer,
        "rates": list(field.rates),
        "growing": field.growing,
        "seeds": list(field.seeds),
        "budget": budget,
        "together": field.together,
    }


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """A number of seeds from 0 on, or the seeds themselves.

    Raises:
        ArgumentError: if there are none, one is negative, or one is there twice.
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 0:
        return tuple(range(seeds))
    if not isinstance(seeds, int | str) and isinstance(seeds, Iterable):
        chosen = tuple(seeds)
        if chosen and len(set(chosen)) == len(chosen) and all(isinstance(s, int) and 0 <= s < 2**64 for s in chosen):
            return chosen
    raise ArgumentError(
        message(
            f"race: seeds must be a number of seeds, or different seeds from 0 on; got {seeds!r}.",
            hint="penstock.race(factory, starts, data, steps=300, seeds=5)",
        )
    )


def _count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ArgumentError(f"race: {name} must be a whole number, at least {least}; got {value!r}.")


def _named(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def refuse_in_child() -> None:
    """A spawned process imports the user's script anew; a race at its top level would begin again in each.

    Raises:
        ArgumentError: if this is such a process.
    """
    import multiprocessing

    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ArgumentError(
            message(
                "race: a script that is run in several processes must not race while it is imported.",
                because="each process that trains imports the script anew",
                hint='if __name__ == "__main__": penstock.race(...)   # or workers=1',
            )
        )
