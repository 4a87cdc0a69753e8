"""U101: parameters and buffers that nothing ever wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import number, others_of
from penstock.provenance import Audited, TensorRecord


@dataclass(frozen=True, slots=True)
class _Case:
    """Why a tensor counts as unwritten: findings are grouped by severity and cause."""

    severity: Severity
    told: str
    cause: str
    hint: str


def _short(tensor: TensorRecord) -> str:
    return tensor.name.rpartition(".")[2]


def _call(tensor: TensorRecord) -> str:
    """The call that writes what the constructor writes."""
    direct, name = tensor.direct, f"module.{_short(tensor)}"
    if direct is None or tensor.kind == "buffer":
        return f"init.copy_({name}, values)"
    if direct.std == 0.0:
        return f"init.constant_({name}, {number(direct.mean)})"
    return f"init.normal_({name}, std={number(direct.std)}), or the law that it has there"


def _never(tensor: TensorRecord) -> _Case:
    return _Case(
        "error",
        "neither its constructor nor any initialization writes them",
        "it was made with torch.empty, and no initializer knows of it",
        f"torch.nn.init.normal_(self.{_short(tensor)}, std=0.02), or what fits it, where its module is made",
    )


def _lost_on_meta(tensor: TensorRecord, audited: Audited) -> _Case:
    write = tensor.direct.last if tensor.direct else None
    by = f"{write.asked} at {write.site}" if write else "its constructor"
    if audited.loads_through_meta:
        return _Case(
            "error",
            f"built directly they come from {by}; a model that is loaded is built on the meta device, and there only "
            f"{audited.own[-1] if audited.own else 'its initialization'} writes, which passes this one by",
            "a constructor's values are thrown away on the meta device: where a checkpoint lacks this key, the model "
            "gets whatever is in memory",
            f"in _init_weights, for the module that owns it: {_call(tensor)}",
        )
    return _Case(
        "warning",
        f"built directly they come from {by}; after to_empty() nothing writes them",
        "a constructor's values are thrown away on the meta device",
        f"def reset_parameters(self): write self.{_short(tensor)}, in the class that makes it; call it in __init__",
    )


def _by_own_init(tensor: TensorRecord, audited: Audited) -> _Case:
    own = audited.own[-1] if audited.own else ""
    return _Case(
        "error" if audited.loads_through_meta else "warning",
        f"the model's own initialization ({own}) passes it by" if own else "the model has no initialization of its own",
        "a constructor writes it, whose values are thrown away on the meta device, or nobody does",
        f"def reset_parameters(self): write self.{_short(tensor)}, in the class that makes it; call it in __init__",
    )


def _case(tensor: TensorRecord, audited: Audited) -> tuple[_Case, float] | None:
    """Why this tensor counts as unwritten, and the share of its elements; None if it does not."""
    direct, meta = tensor.direct, tensor.meta
    if tensor.size == 0 or any(history is not None and history.missed for history in (direct, meta)):
        return None
    if direct is not None and direct.unwritten > 0:
        return _never(tensor), direct.unwritten
    if meta is not None and meta.unwritten > 0:
        return _lost_on_meta(tensor, audited) if direct is not None else _by_own_init(tensor, audited), meta.unwritten
    return None


def _audit(audited: Audited) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[tuple[TensorRecord, _Case, float]]] = {}
    for tensor in audited.tensors.values():
        found = _case(tensor, audited)
        if found is not None:
            case, share = found
            groups.setdefault((case.severity, case.cause), []).append((tensor, case, share))
    for group in groups.values():
        tensor, case, share = group[0]
        kind = "" if tensor.kind == "parameter" else "A buffer: "
        yield Finding(
            code=CHECK.code,
            severity=case.severity,
            title=CHECK.title,
            place=tensor.name,
            shape=tensor.shape,
            observation=f"{kind}{number(100 * share)} % of its elements are never written, 0 % may be: {case.told}.",
            cause=case.cause,
            hint=case.hint,
            value=share,
            threshold=0.0,
            others=others_of(other.name for other, _, _ in group[1:]),
        )


CHECK = Check(
    code="U101",
    title="weights that nothing writes",
    what="Memory is filled with a NaN whose bits no computation makes, then the model is initialized as its library "
    "does it: built directly, and built on the meta device, given memory, and initialized by its own methods. "
    "Elements that still hold that NaN were never written. Found by `penstock.audit`.",
    why="Whatever was in memory becomes the model: often zeros in the test and garbage in the real run. Libraries "
    "build models on the meta device when they load a checkpoint; a key that the checkpoint lacks is then written by "
    "the model's own initialization or by nobody.",
    picture="""
    def __init__(self):                      directly           over meta
        self.w = Parameter(torch.zeros(6))   0 0 0 0 0 0        ? ? ? ? ? ?
    def _init_weights(self, module): ...     (w is not in it)
    """,
    fix="Write it where the meta device does not throw it away: in `reset_parameters` of the module that makes it, or "
    "in the model's `_init_weights`. For a model in hand: `penstock.initialize(model, batch)` writes every parameter.",
    silent="Tensors without elements. Values made in a constructor are a warning where the model's library never uses "
    "the meta device, an error where it does.",
    source="https://docs.pytorch.org/docs/stable/meta.html (reset_parameters after to_empty); "
    "https://github.com/huggingface/transformers/pull/44575 (how can we detect these misses more easily)",
    audit=_audit,
)
