"""Output heads: small, so that the first loss is that of a model that knows nothing."""

from __future__ import annotations

from penstock.planning.rules.gains import incoming_gain
from penstock.planning.rules.shaped import source_use
from penstock.planning.site import Decision, Site
from penstock.planning.stacks import why_not_centred
from penstock.recipes import VarianceScaling

HEAD_RMS = 0.1
"""RMS of the output at step zero. Softmax cross-entropy then exceeds log(classes) by about HEAD_RMS^2 / 2 = 0.005
nats; zero would be as good for the loss and would hide the gradient from the body for one step."""


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
    reason = f"output head: small, RMS {HEAD_RMS}, so that the first guess is even; {why}"
    return Decision(recipe, reason, target=HEAD_RMS, centre=centre)
