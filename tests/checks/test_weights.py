"""U, S and P102: what can be told from the weights alone."""

from __future__ import annotations

import pytest
from checks.builder import residual, stack, verdict, with_parameter

W = "layers.1.weight"
ZERO = {"rms": 0.0, "max_abs": 0.0, "distinct_units": 1, "zero_share": 1.0}

CASES = [
    ("U102", {"nonfinite_share": 1e-4}, ("error", W)),
    ("U103", {"garbage_share": 0.0011}, ("error", W)),
    ("U103", {"garbage_share": 0.0009}, None),
    ("U103", {"garbage_share": 0.0009, "role": "bias"}, None),
    # float16, std 0.001: 0.8 * 6.1e-5 / 0.001 = 4.9 % honest subnormals.
    ("U103", {"garbage_share": 0.05, "dtype": "float16", "rms": 0.001}, None),
    ("U103", {"garbage_share": 0.05, "dtype": "bfloat16", "rms": 0.001}, ("error", W)),
    ("S101", {"distinct_units": 1}, ("error", W)),
    ("S101", ZERO, ("error", W)),
    ("S101", {"distinct_units": 32}, ("error", W)),
    ("S101", {"distinct_units": 50}, ("warning", W)),
    ("S101", {"distinct_units": 60}, None),
    ("S101", {"distinct_units": 32, "zero_share": 0.9}, None),
    ("S101", {"distinct_units": 1, "units": 1}, None),
    ("S101", {**ZERO, "trainable": False}, None),
    ("S101", {**ZERO, "role": "bias"}, None),
    ("S101", {"distinct_units": 32, "repeats": 2}, None),
    ("S102", {"twin": "layers.2.weight"}, ("error", W)),
    ("S102", {"twin": "layers.2.weight", "trainable": False}, None),
    ("S102", {"twin": "layers.2.weight", "role": "bias"}, None),
    ("S102", {"twin": "layers.2.weight", "distinct_units": 1}, None),
    ("S103", {"repeats": 2}, ("error", W)),
    ("S103", {"repeats": 1}, None),
    ("S103", {"repeats": 64, "distinct_units": 1}, None),
    ("S103", {"repeats": 4096}, None),
    # sqrt(2 ln 4096) + 8 = 12.08
    ("P102", {"outlier": 12.2}, ("error", W)),
    ("P102", {"outlier": 12.0}, None),
    ("P102", {"outlier": 50.0, "role": "scale"}, None),
]


@pytest.mark.parametrize(("code", "changes", "expected"), CASES)
def test_of_one_weight(code, changes, expected):
    assert verdict(code, with_parameter(stack(), W, **changes)) == expected


@pytest.mark.parametrize("code", ["U102", "U103", "S101", "S102", "S103", "P102"])
@pytest.mark.parametrize("model", [stack(), residual()], ids=["plain", "residual"])
def test_is_silent_on_drawn_weights(code, model):
    assert verdict(code, model) is None


def test_zero_head_and_zero_last_layer_are_by_design_but_zero_first_layer_is_not():
    assert verdict("S101", with_parameter(stack(), "layers.4.weight", **ZERO)) is None
    assert verdict("S101", residual(**ZERO)) is None
    assert verdict("S101", with_parameter(residual(), "0.fc1.weight", **ZERO)) == ("error", "0.fc1.weight")
