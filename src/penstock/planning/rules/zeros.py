"""Weights that are zero by design: the last layer of a branch, of a generator or of a diffusion model stays zero."""

from __future__ import annotations

from penstock.planning.site import Decision, Site
from penstock.recipes import Constant


def zeros(site: Site) -> Decision | None:
    """Zero where the model has zeros that do no harm: they end in a living sum, gate or average, or in the output.

    Heads of diffusion models, zero convolutions, modulations of adaptive norms, queries. A model with zeros that do
    harm was not meant so, and none of its zeros are taken as meant.
    """
    stats, structure = site.stats, site.structure
    if stats.role != "weight" or stats.rms != 0.0 or not structure.means_its_zeros or stats.name not in structure.zeros:
        return None
    return Decision(Constant(0.0), "zero, as the model has it: the signal goes on without it, and it learns at once")
