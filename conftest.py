"""The examples in the docstrings: which are run, and what they may use without importing it."""

from __future__ import annotations

import importlib.util

import pytest

import penstock

_NEEDED_BY = {"torch": ("torch", "demo"), "jax": ("jax",), "keras": ("keras",)}
collect_ignore_glob = [
    f"src/penstock/{folder}/*"
    for framework, folders in _NEEDED_BY.items()
    # A folder of tests with the framework's name counts as a package too, but has no file.
    if getattr(importlib.util.find_spec(framework), "origin", None) is None
    for folder in folders
]


@pytest.fixture(autouse=True)
def _names_in_examples(doctest_namespace):
    """`penstock` alone, as for a reader who has imported it."""
    doctest_namespace["penstock"] = penstock
