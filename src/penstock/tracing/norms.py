"""Norms, averages and softmaxes that are written by hand: a signal combined with a statistic of itself."""

from __future__ import annotations

import math

from penstock.tracing.call import ADD, MULTIPLY, Call
from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Constant, Signal


def average(recording: Recording, call: Call) -> Step | None:
    """A sum over n elements that is divided by n."""
    if call.op not in MULTIPLY or len(call.nodes) != 1 or call.names or len(call.operands) != 2:
        return None
    before = recording.steps[call.nodes[0]]
    number = call.operands[1].number if isinstance(call.operands[0].value, Signal) else call.operands[0].number
    if not before.count or number is None or number == 0.0:
        return None
    if call.op == "div" and not isinstance(call.operands[0].value, Signal):
        return None
    factor = 1.0 / number if call.op == "div" else number
    if not math.isclose(factor * before.count, 1.0, rel_tol=1e-5):
        return None
    op = "avg_pool" if before.op == "sum_pool" else "mean"
    return Step(
        "mix",
        op,
        before.inputs,
        statistic_of=before.statistic_of,
        peak=before.peak,
        total=before.total,
        reduced=before.reduced,
    )


def norm(recording: Recording, call: Call) -> Step | None:
    """X - mean(x), x / std(x) and the like: a signal combined with a statistic of itself."""
    if call.op not in ADD | MULTIPLY or len(call.nodes) != 2:
        return _norm_of_state(recording, call)
    steps = [recording.steps[n] for n in call.nodes]
    for number, step, other in zip(call.nodes, steps, reversed(steps), strict=True):
        origin = recording.origin(number)
        if other.statistic_of == origin and step.statistic_of is None:
            source = step.inputs if step.kind == "norm" and not step.parameters else (number,)
            if other.total:  # exp(x) / sum(exp(x)), or x - log(sum(exp(x)))
                return Step("mix", "softmax", _of_softmax(recording, number))
            names = other.parameters + (step.parameters if step.kind == "norm" else ())
            op = call.op if other.peak else _norm_name(call, step, other)
            return Step(
                "norm", op, source, parameters=tuple(dict.fromkeys(names)), peak=other.peak, reduced=other.reduced
            )
        if step.kind == "norm" and step.parameters and step.reduced and other.statistic_of is not None:
            # scale * (x - mean(x)) / std(x), divided only after it was scaled; x * (scale / std(x)) + (offset - ...).
            if other.statistic_of != recording.origin(step.inputs[0]):
                continue
            step.absorbed = True
            names = tuple(dict.fromkeys(step.parameters + other.parameters))
            op = "layer_norm" if step.op == "rms_norm" and call.op in ADD else step.op
            return Step("norm", op, step.inputs, path=step.path, parameters=names, reduced=step.reduced)
    return None


def _of_softmax(recording: Recording, number: int) -> tuple[int, ...]:
    """What a softmax reads: what the largest value was taken from, where that was subtracted first."""
    step = recording.steps[number]
    while step.program is not None and not (step.kind == "norm" and step.peak):
        number = step.inputs[0]
        step = recording.steps[number]
    return step.inputs if step.kind == "norm" and step.peak else (number,)


def _norm_name(call: Call, step: Step, statistic: Step) -> str:
    """By what it reduces: all but the units, over the batch, or the units themselves with or without the mean."""
    if step.kind == "norm":
        return step.op if step.op != "norm" else "norm"
    if 0 in statistic.reduced and len(step.shape) > 1:
        return "batch_norm"
    return "layer_norm" if call.op in ADD else "rms_norm"


def _norm_of_state(recording: Recording, call: Call) -> Step | None:
    """Running statistics in place of the batch's own."""
    state = [o for o in call.operands if isinstance(o.value, Constant) and o.value.state]
    if call.op not in ADD | MULTIPLY or not state or len(call.nodes) != 1 or call.names:
        return None
    before = recording.steps[call.nodes[0]]
    if before.kind == "norm":
        before.absorbed = True
        return Step("norm", before.op, before.inputs, path=before.path, parameters=before.parameters)
    return Step("norm", "batch_norm", call.nodes)
