"""From the arguments of `penstock.race` to a race that can be run: everything is checked before anything is trained."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, cast

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.frameworks import ADAPTERS, adapter_named, adapter_of_model
from penstock.racing.arm import Course, Survey, Trained
from penstock.racing.data import ArrayData, Data, FunctionData, as_batch, ceiling_of, generator, kind_of
from penstock.racing.engine import Crew, Field, ceiling, run, together
from penstock.racing.grid import check_optimizer, halving, read_rates
from penstock.racing.journal import Journal
from penstock.racing.judge import judge
from penstock.racing.named_data import array_data, named_data
from penstock.racing.progress import watching
from penstock.racing.result import RaceResult, Settings
from penstock.racing.seeds import seeded
from penstock.racing.start import Given, parse_starts
from penstock.racing.survey import wants_key

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
    if not callable(factory) or adapter_of_model(factory) is not None:
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
    """The framework that the factory's models may belong to: the first one that is loaded and can be raced.

    Raises:
        UnsupportedError: if none is, even when the factory has been called.
    """
    loaded = _loaded()
    if not loaded:
        with seeded(0, "look"):
            factory()  # it may import its framework itself; no random state of that framework was anybody's before
        loaded = _loaded()
    if not loaded:
        raise UnsupportedError("race: factory must make a model of PyTorch, JAX or Keras; none of them is loaded.")
    return loaded[0]


def surveyed(course: Course) -> tuple[Course, Survey]:
    """The course in the framework whose models the factory makes, and what a first look gives.

    Raises:
        ArgumentError: if the model does not take the data, or the factory makes none.
        UnsupportedError: if it makes something that cannot be raced.
    """
    refused: UnsupportedError | None = None
    keyed = wants_key(course.factory)
    candidates = [name for name in _loaded() if not keyed or adapter_named(name).builds_from_key]
    for framework in candidates or _loaded():
        own = replace(course, framework=framework)
        try:
            return own, adapter_named(framework).survey_race(own)
        except UnsupportedError as error:
            refused = error
    raise refused or UnsupportedError(
        "race: factory must make a model of PyTorch, JAX or Keras; none of them is loaded."
    )


def _loaded() -> list[str]:
    """The frameworks that are loaded and whose adapter can race; PyTorch first, which can undo what a factory draws."""
    return [name for name in reversed(ADAPTERS) if name in sys.modules and adapter_named(name).races]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a race is told apart from its course; each as in `penstock.race`."""

    optimizer: str
    learning_rates: str | float | Sequence[float]
    seeds: int | Sequence[int]
    target: float | None
    executor: Executor | None
    workers: int | None
    budget: float | None
    timeout: float | None
    journal: str | os.PathLike[str] | None
    progress: bool | None


def run_race(course: Course, terms: Terms) -> RaceResult:
    """Run a race and judge it; see `penstock.race`."""
    rates, growing = read_rates(terms.learning_rates, check_optimizer(terms.optimizer))
    seeds = _seeds(terms.seeds)
    spent = None
    if terms.budget is not None:
        spent = halving(rates=len(rates), seeds=len(seeds), steps=course.steps, budget=terms.budget)
    if terms.workers is not None:
        _count("workers", terms.workers, 1)
    if terms.executor is not None and not hasattr(terms.executor, "submit"):
        raise ArgumentError(f"race: executor must have the submit of concurrent.futures; got {_named(terms.executor)}.")
    course, survey = surveyed(course)
    field = Field(course, terms.optimizer, rates, growing, seeds, spent, together(survey.parameters))
    notes: list[str] = list(survey.notes)
    crew = Crew(terms.executor, terms.workers, terms.timeout, notes.append)
    with closing(Journal(terms.journal, _head(field, survey, terms.budget))) as log, closing(crew):
        total = len(field.arms(rates, seeds))
        with watching(terms.progress, total=total, known=len(log.arms)) as watch:
            grown, order = run(field, crew, log, watch)
        log.finish(order)
    arms: list[Trained] = [log.arms[arm] for arm in order]
    return judge(_settings(field, survey, terms, grown, ceiling(course, log.arms)), arms, notes, log.spent)


def _settings(field: Field, survey: Survey, terms: Terms, grown: tuple[float, ...], top: float) -> Settings:
    """What the result says of the race itself.

    Args:
        field: what was raced against what.
        survey: of the model.
        terms: of the race.
        grown: the grid as it became.
        top: loss of a model that knows nothing.
    """
    course = field.course
    return Settings(
        model=survey.model,
        parameters=survey.parameters,
        data=course.data.name,
        kind=course.data.kind,
        starts=tuple(start.name for start in course.starts),
        optimizer=field.optimizer,
        rates=grown,
        first_rates=field.rates,
        seeds=field.seeds,
        steps=course.steps,
        batch=course.data.batch_size if isinstance(course.data, ArrayData) else None,
        warmup=course.warmup,
        budget=terms.budget,
        ceiling=top,
        target=terms.target,
        own_target=terms.target is None,
        held_out=course.data.held_out() is not None,
    )


def _head(field: Field, survey: Survey, budget: float | None) -> dict[str, Any]:
    """What makes a race this race and no other, for its journal."""
    course = field.course
    return {
        "model": survey.model,
        "parameters": survey.parameters,
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
