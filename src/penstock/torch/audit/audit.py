"""Build a model by each path, watched, and put together who wrote what: `penstock.audit` for PyTorch."""

from __future__ import annotations

import copy
import inspect
import random
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from penstock.building import AnotherFramework
from penstock.checks.registry import find_audited
from penstock.errors import ArgumentError, ModelError, PenstockError, UnsupportedError, message
from penstock.frameworks import adapter_of_model
from penstock.provenance import Audited, Path
from penstock.report.audit_report import AuditReport
from penstock.torch.audit.blank import blank_copy, give_memory, own_tensors
from penstock.torch.audit.collect import Found, collect, merged
from penstock.torch.audit.own_init import as_loaded, is_transformers, run_own_init
from penstock.torch.audit.recorder import Recorder

Factory = Callable[[], nn.Module]

BUILT_BEFORE = (
    "The model was built before: what its constructor wrote was not seen. penstock.audit(build), with a function that "
    "builds it, sees that too."
)
NO_INITIALIZATION = (
    "The model has no initialization of its own (no reset_parameters, init_weights or the like): what its constructor "
    "writes is lost on the meta device."
)


def audit(model_or_factory: nn.Module | Factory, batch: Any = None) -> AuditReport:
    """See `penstock.audit`. A batch tells nothing more here: a module has its parameters when it is built."""
    with _random_state_kept():
        audited = _audited(model_or_factory)
    return AuditReport(audited, find_audited(audited))


def _audited(thing: nn.Module | Factory) -> Audited:
    if isinstance(thing, nn.Module):
        _check_module(thing)
        if is_transformers(thing) and getattr(thing, "config", None) is not None:
            rebuilt = _rebuilt(thing)
            if rebuilt is not None:
                return rebuilt
        return _from_module(thing)
    check_factory(thing)
    return _from_factory(thing)


def _rebuilt(model: nn.Module) -> Audited | None:
    """The audit of a built transformers model by its class and configuration; None if that does not build it."""
    kind: Any = type(model)
    config = copy.deepcopy(model.config)
    try:
        return _from_factory(lambda: kind(copy.deepcopy(config)))
    except ModelError:
        return None


def _from_module(model: nn.Module) -> Audited:
    """The audit of a module that is there: only its own initialization can be watched."""
    found, ran = _initialized(lambda: (blank_copy(model), None))
    return _put_together({"meta": found}, ran, [BUILT_BEFORE], loads_through_meta=is_transformers(model))


def _from_factory(factory: Factory) -> Audited:
    direct, built = _built(factory)
    if direct.tensors and not direct.seen:
        return _from_module(built)
    library, known = is_transformers(built), weakref.ref(built)
    del built
    paths: dict[Path, Found] = {"direct": direct}
    ran: tuple[str, ...] = ()
    notes: list[str] = []
    try:
        paths["meta"], ran = _initialized(lambda: _on_meta(factory, known))
    except ModelError as error:
        notes.append(f"Only the direct path was taken. {str(error).splitlines()[0]}")
    return _put_together(paths, ran, notes, loads_through_meta=library)


def _built(factory: Factory) -> tuple[Found, nn.Module]:
    """Build a model directly, watched."""
    recorder = Recorder()
    with recorder:
        model = _called(factory, "the factory")
    recorder.forget_frames()
    return collect(model, recorder, "direct"), model


def _on_meta(factory: Factory, known: weakref.ref[nn.Module]) -> tuple[nn.Module, frozenset[int] | None]:
    """Build a model on the meta device and give it memory."""
    with as_loaded():
        model = _called(factory, "the factory, on the meta device,")
    if known() is model:
        raise ModelError("audit: the factory must build a new model each time; it returned the same one twice.")
    return model, give_memory(model)


def _initialized(make: Callable[[], tuple[nn.Module, frozenset[int] | None]]) -> tuple[Found, tuple[str, ...]]:
    """Run a model's own initialization, watched, on a model whose tensors (those with these ids, or all) are blank."""
    model, blank = make()
    recorder = Recorder()
    for tensor in own_tensors(model):
        recorder.adopt(tensor, blank=blank is None or id(tensor) in blank)
    with recorder, torch.no_grad():
        ran = run_own_init(model)
    recorder.forget_frames()
    return collect(model, recorder, "meta"), ran


def _put_together(
    paths: dict[Path, Found], ran: tuple[str, ...], notes: list[str], *, loads_through_meta: bool
) -> Audited:
    first = next(iter(paths.values()))
    if not any(found.tensors for found in paths.values()):
        notes = [*notes, "The model has no parameters and no buffers."]
    elif "meta" in paths and not ran:
        notes = [*notes, NO_INITIALIZATION]
    transformers = sys.modules.get("transformers") if loads_through_meta else None
    return Audited(
        model=first.model,
        paths=tuple(paths),
        tensors=merged(paths),
        own=ran,
        loads_through_meta=loads_through_meta,
        library=f"transformers {transformers.__version__}" if transformers else f"torch {torch.__version__}",
        notes=tuple(notes),
    )


def _called(factory: Factory, what: str) -> nn.Module:
    try:
        model = factory()
    except PenstockError:
        raise
    except Exception as error:
        raise ModelError(message(f"audit: {what} raised {type(error).__name__}: {error}")) from error
    owner = adapter_of_model(model)
    if owner is not None and not owner.watches_building:  # a Keras model on this backend is a module too
        raise AnotherFramework(model, owner)
    if not isinstance(model, nn.Module):
        raise UnsupportedError(
            message(
                f"audit: the factory must return a torch.nn.Module; it returned {type(model).__name__}.",
                hint="penstock.audit(lambda: Net(...))",
            )
        )
    _check_module(model)
    return model


def check_factory(factory: Any) -> None:
    """Refuse what cannot be called without arguments.

    Raises:
        ArgumentError: if it is so.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some built-in callables have none to look at
        return
    try:
        signature.bind()
    except TypeError as error:
        name = getattr(factory, "__name__", type(factory).__name__)
        raise ArgumentError(
            message(
                f"audit: the factory must need no arguments; {name}{signature}: {error}.",
                hint=f"penstock.audit(lambda: {name}(...))",
            )
        ) from None


def _check_module(model: nn.Module) -> None:
    lazy = next((n for n, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)), None)
    if lazy is not None:
        raise UnsupportedError(
            message(
                f"audit: model must have parameters with shapes; {lazy!r} gets its shape in the first forward pass.",
                hint="penstock.audit(build) where build() runs one batch through the model before it returns it",
            )
        )


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Within this block everything is drawn from seed 0; after it, the global random states are what they were."""
    others = random.getstate(), np.random.get_state()  # noqa: NPY002  a model may draw from the global state
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002  as above
        try:
            yield
        finally:
            random.setstate(others[0])
            np.random.set_state(others[1])  # noqa: NPY002  as above
