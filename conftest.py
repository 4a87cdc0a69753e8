"""The examples in the docstrings: which are run, and what they may use without importing it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

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


_TESTS = Path(__file__).parent / "tests"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Helpers beside the tests hold no examples, and some are scripts that other processes run."""
    helper = collection_path.suffix == ".py" and not collection_path.name.startswith(("test_", "conftest"))
    return True if helper and _TESTS in collection_path.parents else None


@pytest.fixture(autouse=True)
def _names_in_examples(doctest_namespace):
    """`penstock` alone, as for a reader who has imported it."""
    doctest_namespace["penstock"] = penstock
