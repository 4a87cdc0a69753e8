"""B103: a parameter that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import others_of
from penstock.graph import Node
from penstock.signals import Measured, ParameterStats

_DETACHED = "An output depends on it, and yet no gradient comes back: {n} such parameters, 0 is right."
_ZERO = "Its gradient is exactly 0: {n} such parameters, 0 is right."
_IDLE = "It was not used for this batch, or nothing that it makes reaches an output: {n} such parameters."


def _reached(measured: Measured) -> frozenset[int]:
    """Signals from which an output can be reached through floating-point signals, which alone carry gradients."""
    nodes = measured.graph.nodes

    def carries(index: int) -> bool:
        # Inside a fused recurrent layer the products are known, but their signals cannot be seen.
        return measured.signals[index] is not None or nodes[index].kind == "contraction"

    reached: set[int] = {i for i in measured.graph.outputs if carries(i)}
    for node in reversed(nodes):
        if node.index in reached:
            reached.update(i for i in node.inputs if carries(i))
    return frozenset(reached)


def _explained(measured: Measured, node: Node, constant: frozenset[int]) -> bool:
    """Whether a gradient of exactly 0 is right at this node."""
    graph = measured.graph
    inputs = [measured.signals[i] for i in node.inputs]
    if any(s is not None and s.rms == 0.0 for s in inputs):
        return True  # the first state of a recurrence; what is dead upstream has a finding of its own
    signal = measured.signals[node.index]
    if signal is None or 0 in signal.shape:
        return True  # an expert that got no token
    ahead, seen = [node.index], {node.index}
    while ahead:
        index = ahead.pop()
        if index in constant:
            return True
        for reader in (graph.nodes[c] for c in graph.consumers[index]):
            if reader.index in constant or reader.kind == "mix":
                return True  # a zero head or gate; a softmax over one element or one expert passes nothing back
            if reader.index not in seen:
                seen.add(reader.index)
                ahead.append(reader.index)
    return False


def _verdict(measured: Measured, parameter: ParameterStats, reached: frozenset[int], constant: frozenset[int]) -> str:
    """Which of the three texts fits; "" where all is well."""
    if parameter.grad_rms is not None and parameter.grad_rms != 0.0:
        return ""
    users = measured.graph.users(parameter.name)
    used = parameter.uses > 0 and any(u.index in reached for u in users)
    if not used:
        return _IDLE
    if parameter.grad_rms is None:
        return _DETACHED
    weight = parameter.role in ("weight", "embedding")
    if parameter.grad_rms == 0.0 and weight and not any(_explained(measured, u, constant) for u in users):
        return _ZERO
    return ""


def _run(measured: Measured) -> Iterator[Finding]:
    reached, constant = _reached(measured), constant_by_design(measured)
    found: dict[str, list[ParameterStats]] = {}
    for parameter in measured.parameters.values():
        text = _verdict(measured, parameter, reached, constant) if parameter.trainable else ""
        if text:
            found.setdefault(text, []).append(parameter)
    severities: dict[str, Severity] = {_DETACHED: "error", _ZERO: "warning", _IDLE: "note"}
    causes = {
        _DETACHED: "detach(), no_grad, .data, .item() or NumPy between this parameter and the loss",
        _ZERO: "a function without slope (round, sign, a step) or dead units behind it",
        _IDLE: "a part of the model that this call does not need",
    }
    for text, parameters in found.items():
        first = parameters[0]
        yield Finding(
            code=CHECK.code,
            severity=severities[text],
            title=CHECK.title if text != _IDLE else "parameter was not used",
            place=first.name,
            shape=first.shape,
            observation=text.format(n=len(parameters)),
            cause=causes[text],
            hint=f'if it is meant to stay: model.get_parameter("{first.name}").requires_grad_(False)',
            value=float(len(parameters)),
            threshold=0.0,
            others=others_of(p.name for p in parameters[1:]),
        )


CHECK = Check(
    code="B103",
    title="no gradient reaches a parameter",
    what="Trainable parameters that an output depends on, but whose gradient is missing (error) or exactly 0 "
    "(warning). Trainable parameters that this batch did not use are noted.",
    why="The parameter keeps its random start for ever, and whatever it computes stays noise that the rest must undo. "
    "Distributed training waits for its gradient and stops with an error, or hangs.",
    picture="""
      x --> [A] --> detach() --> [B] --> loss
             ^                    |
             '------- X <---------'     the gradient ends here
    """,
    fix="Remove the `detach()`, `no_grad` or `.data` on the way; replace functions without slope by a straight-through "
    "estimate. If it is meant to stay as it is: `parameter.requires_grad_(False)`.",
    silent="Frozen parameters; zero heads and zero gates by design; first states of recurrences; experts without "
    "tokens; softmax over one element; rows of an embedding that the batch did not look up.",
    source="https://pytorch.org/docs/stable/notes/ddp.html (unused parameters); Bengio et al. (2013), "
    "https://arxiv.org/abs/1308.3432 (straight-through estimates)",
    run=_run,
)
