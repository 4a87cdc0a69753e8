"""The pytest plugin: `assert_healthy` as a fixture. Loading it loads nothing of penstock beyond this file."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def assert_healthy() -> Any:
    """`penstock.testing.assert_healthy`, imported when a test asks for it.

    Examples:
        >>> def test_my_model_starts_well(assert_healthy):
        ...     assert_healthy(MyModel(), my_batch())
    """
    from penstock.testing import assert_healthy

    return assert_healthy
