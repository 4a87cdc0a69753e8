"""Keys -> Philox bits -> uniform, normal and truncated normal values.

A random weight is a pure function of the seed, the parameter's name and the element's index in it.
"""

from __future__ import annotations

from penstock.randomness.fill import Distribution, fill
from penstock.randomness.keys import key_for
from penstock.randomness.philox import words
from penstock.randomness.windows import Window

__all__ = ["Distribution", "Window", "fill", "key_for", "words"]
