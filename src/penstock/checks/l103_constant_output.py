"""L103: an output that does not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import CONSTANT_OUTPUT, INPUTS_DIFFER
from penstock.checks.walk import difference, inputs_differ
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    if (measured.batch_size or 0) < 2 or not inputs_differ(measured, INPUTS_DIFFER):
        return
    constant, graph = constant_by_design(measured), measured.graph
    same: list[tuple[int, float]] = []
    for index in dict.fromkeys(graph.outputs):
        signal = measured.signals[index]
        if signal is None or index not in graph.live or 0 in signal.shape or signal.nonfinite_share > 0:
            continue
        left = 0.0 if signal.rms == 0.0 else difference(signal)
        if index in constant or left is None:
            continue
        if left >= CONSTANT_OUTPUT:
            return
        same.append((index, left))
    if same:
        index, left = same[0]
        yield signal_finding(
            CHECK,
            measured,
            index,
            others=[i for i, _ in same],
            severity="error",
            observation=f"The cosine between the outputs of different inputs is 1 - {number(left)}; closer to 1 than "
            f"{number(CONSTANT_OUTPUT)} is the same output for every input.",
            cause="the signal died or collapsed on its way, and biases alone make the output",
            hint="penstock.initialize(model, batch)",
            value=left,
            threshold=CONSTANT_OUTPUT,
        )


CHECK = Check(
    code="L103",
    title="output does not depend on the input",
    what="The mean cosine between the outputs of the batch's inputs, where the inputs themselves differ. Within 1e-7 "
    "of 1, or all zeros, for all outputs is an error.",
    why="The model is a constant. The loss falls to that of the best constant guess, which looks like learning, and "
    "stays there.",
    picture="""
      f(cat) = [0.11, -0.02]
      f(dog) = [0.11, -0.02]
      f(car) = [0.11, -0.02]
    """,
    fix="`penstock.initialize(model, batch)`; other findings (F101, F103, S101, A101) say where the input was lost.",
    silent="Heads that are zero by design, batches of one input or of equal inputs, several outputs one of which "
    "varies.",
    source="Karpathy, A Recipe for Training Neural Networks (2019), https://karpathy.github.io/2019/04/25/recipe/ "
    "(input-independent baseline)",
    run=_run,
)
