"""Activations of PyTorch as NumPy functions, and their gains."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from penstock.errors import ArgumentError, UnsupportedError
from penstock.gains import gain, gain_of
from penstock.torch.scalar import activation_name, as_scalar_function, wants_tensors

PAIRS: list[tuple[Callable[..., object], str]] = [
    (nn.ReLU(), "relu"),
    (nn.ReLU(inplace=True), "relu"),
    (nn.GELU, "gelu"),
    (nn.GELU(approximate="tanh"), "gelu_tanh"),
    (nn.LeakyReLU(0.2), "leaky_relu_0.2"),
    (nn.SELU(), "selu"),
    (nn.Hardswish(), "hardswish"),
    (nn.Softshrink(), "softshrink"),
    (nn.Hardshrink(), "hardshrink"),
    (nn.Mish(), "mish"),
    (torch.tanh, "tanh"),
    (torch.Tensor.sigmoid, "sigmoid"),
    (torch.special.erf, "erf"),
    (functional.silu, "silu"),
    (functools.partial(functional.leaky_relu, negative_slope=0.2), "leaky_relu_0.2"),
    (lambda x: x * torch.sigmoid(1.702 * x), "quick_gelu"),
    (lambda x: x.clamp(min=0) ** 2, "squared_relu"),
    (nn.Sequential(nn.Tanhshrink()), "tanhshrink"),
]


@pytest.mark.parametrize(("activation", "name"), PAIRS)
def test_the_same_gains_as_by_name(activation: Callable[..., object], name: str) -> None:
    assert wants_tensors(activation)
    found = gain_of(as_scalar_function(activation)).moments
    expected = gain(name).moments
    np.testing.assert_allclose(found.second, expected.second, rtol=1e-9)
    np.testing.assert_allclose(found.slope_second, expected.slope_second, rtol=1e-9)


def test_what_wants_no_tensors() -> None:
    for activation in (np.tanh, lambda x: 2 * x, math.tanh, "relu", 3, lambda x: x.no_such_method()):
        assert not wants_tensors(activation)


def test_the_module_is_not_touched() -> None:
    module = nn.Sequential(nn.PReLU(), nn.Dropout(0.5)).train()
    calls: list[int] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    state = torch.get_rng_state()
    found = gain_of(as_scalar_function(module)).moments
    assert math.isclose(found.second, (1 + 0.25**2) / 2, rel_tol=1e-9)
    assert module.training
    assert not calls
    assert next(module.parameters()).dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_only() -> None:
    weight = torch.tensor([[2.0]])

    def doubled(x: Tensor) -> Tensor:
        return functional.linear(x[:, None], weight)[:, 0]

    np.testing.assert_allclose(float(gain_of(as_scalar_function(doubled))), 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("activation", "text"),
    [
        (nn.Softmax(-1), "must be elementwise"),
        (functional.dropout, "two calls on the same array differ"),
        (nn.PReLU(3), "differs by channel"),
        (lambda x: [x.relu()], "must return a tensor; got list"),
        (lambda x: x.bfloat16().tanh(), "bfloat16"),
    ],
)
def test_no_scalar_gain(activation: Callable[..., object], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        gain_of(as_scalar_function(activation))


def test_noise_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    as_scalar_function(functional.dropout)(np.ones(4))
    assert torch.equal(torch.get_rng_state(), state)
    functional.dropout(torch.ones(4))  # control: outside, it moves
    assert not torch.equal(torch.get_rng_state(), state)


def test_things_that_are_no_activations() -> None:
    with pytest.raises(UnsupportedError, match="must be callable; got 3"):
        as_scalar_function(3)
    with pytest.raises(UnsupportedError, match=r"Linear could not be made.*\nHint: penstock\.gain\(Linear"):
        wants_tensors(nn.Linear)


def test_names() -> None:
    assert activation_name(nn.LeakyReLU(0.3)) == "leaky_relu_0.3"
    assert activation_name(nn.Tanh) == "tanh"
    assert activation_name(nn.GELU()) == "GELU(approximate='none')"
    assert activation_name(torch.tanh) == "tanh"
    name = activation_name(nn.SELU())
    assert gain_of(as_scalar_function(nn.SELU()), name=name).torch_convention == 0.75
