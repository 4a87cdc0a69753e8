"""The last norm of a residual branch: its scale is the branch's size."""

from __future__ import annotations

from penstock.planning.rules.norms import stored_from_one
from penstock.planning.rules.residual import branch_share
from penstock.planning.site import Decision, Site
from penstock.recipes import Constant


def branch_norms(site: Site) -> Decision | None:
    """1/sqrt(branches on the stream), as for a weight there; zero where the model has it so.

    Behind the norm each branch has RMS 1 whatever its weights are, so n of them would make the stream's variance n
    times as large. Zero makes every block the identity at the start (Goyal et al. 2017, section 5.1,
    https://arxiv.org/abs/1706.02677).
    """
    node = site.node
    if site.stats.role != "scale" or node is None or node.kind != "norm":
        return None
    total = site.structure.branch_end(node)
    terms = site.structure.terms(node)
    if total is None and terms > 1 and site.stats.rms != 0.0:
        return Decision(Constant(terms**-0.5), f"one of {terms} norms that are added up: 1/sqrt({terms})")
    if total is None:
        return None
    one_plus = stored_from_one(site)
    if site.stats.rms == 0.0 and not one_plus:
        return Decision(Constant(0.0), "last norm of a residual branch: zero, as the model has it (zero-gamma)")
    share, told = branch_share(site.structure, node, total)
    stored = " (stored as an offset from one)" if one_plus else ""
    return Decision(Constant(share - 1.0 if one_plus else share), f"last norm of a residual branch, {told}{stored}")
