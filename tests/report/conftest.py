"""Fixtures of the report's tests: golden files, rewritten with PENSTOCK_OVERWRITE=1."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"

# The builders are shared by all test files of this folder, whatever import mode pytest runs in.
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares a text with the golden file of that name; writes it instead with PENSTOCK_OVERWRITE=1."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("PENSTOCK_OVERWRITE") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"{path} is missing: run the tests once with PENSTOCK_OVERWRITE=1 and read it"
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
