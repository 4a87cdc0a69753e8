"""Keras's own global state for the tasks of a race: new inside, as it was outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

KEPT = ("global_seed_generator", "object_name_uids")
"""What `keras.random` draws from without a seed, and how many layers of each name there are."""


@contextmanager
def kept() -> Iterator[None]:
    """Within this block Keras begins anew: its next seed comes from Python's `random`, its first layer is "dense"."""
    from keras.src.backend.common import global_state  # Keras has no public name for it

    before = {name: global_state.get_global_attribute(name) for name in KEPT}
    global_state.set_global_attribute("global_seed_generator", None)
    global_state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        for name, value in before.items():
            global_state.set_global_attribute(name, value)
