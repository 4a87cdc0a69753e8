"""L: the loss and the outputs at step zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
from checks.builder import stack, verdict, with_parameter, with_signal

from penstock.signals import LossStats, Measured

LAST = 9


def loss(value: float, *, given: bool = True, constant: float | None = 2.3) -> Measured:
    return replace(stack(), loss=LossStats(value, given=given, constant=constant))


CASES = [
    ("L101", loss(23.1), ("error", "layers.4")),
    ("L101", loss(7.0), ("warning", "layers.4")),
    ("L101", loss(6.8), None),
    ("L101", loss(100.0, given=False), None),
    ("L101", loss(100.0, constant=None), None),
    ("L101", loss(100.0, constant=0.0), None),
    ("L102", with_signal(stack(), LAST, rms=1.1e4), ("error", "layers.4")),
    ("L102", with_signal(stack(), LAST, rms=101.0), ("warning", "layers.4")),
    ("L102", with_signal(stack(), LAST, rms=99.0), None),
    ("L102", with_signal(stack(), LAST, rms=0.9e-4), ("warning", "layers.4")),
    ("L102", with_signal(stack(), LAST, rms=1.1e-4), None),
    ("L103", with_signal(stack(), LAST, correlation=1 - 0.9e-7), ("error", "layers.4")),
    ("L103", with_signal(stack(), LAST, correlation=1 - 1.1e-7), None),
    ("L103", with_signal(stack(), LAST, rms=0.0, correlation=None), ("error", "layers.4")),
    ("L103", replace(with_signal(stack(), LAST, correlation=1.0), batch_size=1), None),
]


@pytest.mark.parametrize(("code", "model", "expected"), CASES)
def test_threshold_and_place(code, model, expected):
    assert verdict(code, model) == expected


@pytest.mark.parametrize("code", ["L101", "L102", "L103"])
def test_is_silent_on_a_healthy_stack_and_on_a_zero_head(code):
    head = with_parameter(stack(), "layers.4.weight", rms=0.0)
    assert verdict(code, stack()) is None
    assert verdict(code, with_signal(head, LAST, rms=0.0, correlation=None)) is None


def test_equal_inputs_make_equal_outputs_without_a_finding():
    model = stack()
    for index in range(len(model.signals)):
        model = with_signal(model, index, correlation=1.0)
    assert verdict("L103", model) is None
