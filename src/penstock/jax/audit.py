"""Initialize a JAX model under two keys and compare its parameters: `penstock.audit` for JAX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from penstock.building import AnotherFramework, takes_key
from penstock.checks.registry import find_audited
from penstock.errors import ModelError, message
from penstock.frameworks import adapter_of_model
from penstock.jax.models import Target, target_of
from penstock.jax.parts import is_model, lacks_parameters, with_parameters
from penstock.provenance import Audited, History, TensorRecord, Write, history_of, with_twins
from penstock.report.audit_report import AuditReport

HINTS = {
    "S102": "a key for each: a, b = jax.random.split(key); or penstock.initialize, which draws each by its own name",
    "U102": "compute it in float32 and away from 0: jnp.log(jnp.maximum(u, 1e-4))",
}

ONE_KEY = (
    "The parameters of one key alone were seen. penstock.audit(lambda key: ...), with a function that makes the model "
    "from a key, and penstock.audit(module, batch) also see which of them do not depend on it."
)
SHOWN = 6

Values = dict[str, npt.NDArray[Any]]


def audit(model_or_factory: Any, batch: Any = None) -> AuditReport:
    """See `penstock.audit`. Which initializer wrote a parameter cannot be seen in JAX; what it wrote can.

    Args:
        model_or_factory: a linen module or a transformed function of Haiku, with a batch; a function of `key` that
            makes a model, or the parameters; a function without arguments that makes any of these; or a model.
        batch: for `init`.
    """
    thing = model_or_factory
    if not is_model(thing) and not takes_key(thing):
        thing = _called(thing, ())
    first = _values(thing, batch, 0)
    second = _values(thing, batch, 1)[1] if takes_key(thing) or lacks_parameters(thing) else None
    target, values = first
    fixed = frozenset() if second is None else _without_key(values, second)
    audited = Audited(
        model=target,
        paths=("direct",),
        tensors=with_twins(_records(values, fixed, keyed=second is not None), fixed=fixed),
        library=f"jax {jax.__version__}",
        notes=tuple(_notes(values, fixed, keyed=second is not None)),
        hints=HINTS,
    )
    return AuditReport(audited, find_audited(audited))


def _values(thing: Any, batch: Any, seed: int) -> tuple[str, Values]:
    """The model's name, and its parameters under one key."""
    made = _called(thing, (jax.random.key(seed),)) if takes_key(thing) else thing
    name = "parameters"
    if is_model(made):
        target: Target = target_of(with_parameters(made, batch, seed=seed), "audit")
        name, parameters = target.name, target.parameters
    else:
        # Only the parameters: as those of a function that is never called.
        parameters = target_of(with_parameters((_called, made), batch, seed=seed), "audit").parameters
    return name, {n: np.asarray(array) for n, array in parameters.items()}


def _called(function: Any, arguments: tuple[Any, ...]) -> Any:
    try:
        made = function(*arguments)
    except Exception as error:
        raise ModelError(
            message(
                f"audit: the factory raised {type(error).__name__}: {error}",
                hint="penstock.audit(lambda key: Net(nnx.Rngs(key))), or penstock.audit(module, batch)",
            )
        ) from error
    owner = adapter_of_model(made)
    holds_arrays = any(isinstance(leaf, jax.Array | np.ndarray) for leaf in jax.tree_util.tree_leaves(made))
    if not is_model(made) and (owner is not None or not holds_arrays):
        raise AnotherFramework(made, owner)
    return made


def _without_key(first: Values, second: Values) -> frozenset[str]:
    """Parameters that are the same under both keys."""
    return frozenset(n for n, v in first.items() if n in second and np.array_equal(v, second[n], equal_nan=True))


def _records(values: Values, fixed: frozenset[str], *, keyed: bool) -> Iterator[tuple[TensorRecord, npt.NDArray[Any]]]:
    for name, array in values.items():
        wide = array.astype(np.complex64 if array.dtype.kind == "c" else np.float32)
        shown = history_of(wide.view(np.float32) if wide.dtype.kind == "c" and wide.ndim else np.real(wide))
        write = Write(writer="init", site="init", asked=_told(shown, name in fixed, keyed=keyed))
        record = TensorRecord(name, tuple(array.shape), str(array.dtype), direct=replace(shown, writes=(write,)))
        yield record, array


def _told(shown: History, is_fixed: bool, *, keyed: bool) -> str:
    """What was written, as far as that can be seen."""
    if shown.std == 0.0 and not shown.nonfinite:
        return f"constant {shown.mean:g}"
    if not keyed:
        return "values"
    return "values that no key decides" if is_fixed else "a draw"


def _notes(values: Mapping[str, npt.NDArray[Any]], fixed: frozenset[str], *, keyed: bool) -> Iterator[str]:
    if not keyed:
        yield ONE_KEY
    same = sorted(n for n in fixed if values[n].size > 1 and not (values[n] == values[n].reshape(-1)[0]).all())
    if same:
        told = ", ".join(same[:SHOWN]) + (f" and {len(same) - SHOWN} more" if len(same) > SHOWN else "")
        yield (
            f"The same under two keys, though not constant: {told}. Right for tables such as sinusoidal positions; a "
            "weight that is to be drawn has its key fixed in the code."
        )
