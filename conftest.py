"""The examples in the docstrings: which are run, and what they may use without importing it."""

from __future__ import annotations

import importlib.util

import pytest

import penstock

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["src/penstock/torch/*", "src/penstock/demo/*"]


@pytest.fixture(autouse=True)
def _names_in_examples(doctest_namespace):
    """`penstock` alone, as for a reader who has imported it."""
    doctest_namespace["penstock"] = penstock
