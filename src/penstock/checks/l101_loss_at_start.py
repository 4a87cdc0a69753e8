"""L101: the loss at step zero is far from that of the best constant guess."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, place_of, shape_of
from penstock.checks.thresholds import LOSS_ERROR, LOSS_WARNING
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    loss = measured.loss
    if not loss.given or loss.constant is None or loss.constant <= 0.0:
        return
    times = loss.value / loss.constant
    if not times > LOSS_WARNING:
        return
    limit = LOSS_ERROR if times > LOSS_ERROR else LOSS_WARNING
    outputs = measured.graph.outputs
    yield Finding(
        code=CHECK.code,
        severity="error" if limit == LOSS_ERROR else "warning",
        title=CHECK.title,
        place=place_of(measured, outputs[0]) if outputs else "loss",
        shape=shape_of(measured, outputs[0]) if outputs else (),
        observation=f"The loss is {number(loss.value)}; guessing without looking at the input gives "
        f"{number(loss.constant)}. More than {number(limit)} times that is too much.",
        cause="outputs that are large and confidently wrong, or far from the targets' mean",
        hint="penstock.initialize(model, batch, loss=loss)  # small head, bias at the targets' prior",
        value=times,
        threshold=limit,
    )


CHECK = Check(
    code="L101",
    title="loss at step zero is too high",
    what="The loss of the first batch over the loss of the best output that ignores the input (for balanced classes "
    "log(classes)). More than 3 times is a warning, more than 10 times an error.",
    why="A random model knows nothing, so it should say so. A loss above that of ignorance is confidence without "
    "knowledge: the first hundreds of steps only shrink the outputs (the hockey stick in the loss curve), with "
    "gradients that are all about that.",
    picture="""
      loss |*
           | *
           |  *______        only undoing the start
      ln C |--------*****    learning starts here
    """,
    fix="`penstock.initialize(model, batch, loss=loss)`, or by hand a small head: "
    "`torch.nn.init.normal_(head.weight, std=0.01)` and `torch.nn.init.zeros_(head.bias)`.",
    silent="Without a loss of yours, since the default one has no meaning; where the constant guess is not known.",
    source="Karpathy, A Recipe for Training Neural Networks (2019), https://karpathy.github.io/2019/04/25/recipe/ "
    "(verify loss @ init)",
    run=_run,
)
