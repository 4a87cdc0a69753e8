"""What each framework draws under a name, and what its layers do by default, as recipes; no framework is needed.

`he_normal` is a normal law in one framework and a truncated one in another; `truncated_normal(0.02)` has a standard
deviation of 0.0200 or 0.0176. Here these differences are data.
"""

from __future__ import annotations

from penstock.conventions.layers import Default, layer_defaults
from penstock.conventions.names import names_of, recipe_of
from penstock.conventions.seen import Convention, as_seen_by

__all__ = ["Convention", "Default", "as_seen_by", "layer_defaults", "names_of", "recipe_of"]
