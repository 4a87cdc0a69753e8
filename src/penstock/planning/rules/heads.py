"""Output heads: outputs of RMS 1, so that the first guess is nearly even and the gradient reaches the body at once."""

from __future__ import annotations

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.rules.shaped import source_use
from penstock.planning.site import Decision, Site
from penstock.planning.stacks import why_not_centred
from penstock.recipes import VarianceScaling

HEAD_RMS = 1.0
"""RMS of the output at step zero. Softmax cross-entropy then exceeds log(classes) by about HEAD_RMS^2 / 2 = 0.5 nats,
which the first steps take back. A smaller head starts at a smaller loss and yet learns more slowly: the body's gradient
is smaller by the same factor until the head has grown. Steps to a loss of 0.1 on digits, each at its best rate, for RMS
0.1, 0.5 and 1: ReLU, 5 layers, SGD 74, 73, 51; tanh, 40 layers, SGD 119, 91, 51; GELU, 40 layers, Adam 42, 40, 39."""


def heads(site: Site) -> Decision | None:
    """A contraction behind which only the model's output lies."""
    node = site.node
    if node is None or site.stats.role != "weight" or node.kind != "contraction" or not site.structure.is_head(node):
        return None
    gain, why = incoming_gain(site.structure, node)
    recipe = VarianceScaling(HEAD_RMS * gain, "fan_in", "normal")
    # A shaped function's mean would be most of the output: the bias takes it away.
    before = source_use(site.structure, node)
    centre = 0.0 if before is not None and why_not_centred(site.structure.measured) is None else None
    reason = f"output head: RMS {HEAD_RMS:g}, so that no guess stands out and the gradient reaches the body; {why}"
    return Decision(recipe, reason, target=HEAD_RMS, centre=centre)
