"""Mean field against real layers: what `torch.nn.Linear` and PyTorch's functions do to signals and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from standard_error import STANDARD_ERRORS, assert_mean
from torch import nn
from torch.nn import functional

from penstock.meanfield import (
    correlation_map,
    edge_of_chaos,
    kernel_of,
    kernel_shape,
    mean_field,
    plain_stack,
    trainable_depth,
)
from penstock.meanfield.functions import curve_of

FUNCTIONS = {
    "relu": torch.relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "hardswish": functional.hardswish,
    "softplus": functional.softplus,
}


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def linear(generator: torch.Generator, fan_in: int, units: int, weight_std: float, bias_std: float = 0.0) -> nn.Linear:
    layer = nn.Linear(fan_in, units, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(normal(generator, units, fan_in) * weight_std / math.sqrt(fan_in))
        layer.bias.copy_(normal(generator, units) * bias_std)
    return layer


def pair(correlation: float, size: int) -> torch.Tensor:
    """Two inputs of mean square 1 with a given cosine. Shape (2, size)."""
    basis = torch.zeros(2, size, dtype=torch.float64)
    basis[0, 0] = 1.0
    basis[1, :2] = torch.tensor([correlation, math.sqrt(1 - correlation**2)], dtype=torch.float64)
    return basis * math.sqrt(size)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("correlation", [-0.6, 0.3, 0.99])
def test_one_layer(name: str, correlation: float):
    """Units are independent given the inputs, so that one layer is a sample of the kernel, without any limit."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        out = FUNCTIONS[name](linear(generator, 4, 100_000, 1.3**0.5)(pair(correlation, 4)))
    kernel = kernel_of(curve_of(FUNCTIONS[name], caller="gain").function, variance=1.3)
    assert_mean((out[0] - out[1]) ** 2 / 2, kernel.gap(1 - correlation))
    assert_mean(out[0] * out[1], kernel.second - kernel.gap(1 - correlation))
    with pytest.raises(AssertionError, match="mean"):
        assert_mean((out[0] - out[1]) ** 2 / 2, 1.05 * kernel.gap(1 - correlation))


def through_layers(weight_std: float, bias_std: float, *, depth: int, width: int, seeds: int) -> np.ndarray:
    """Variance and correlation of the last pre-activations, squared gradient over the layers. Shape (seeds, 3)."""
    found = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        inputs = pair(0.2, width).requires_grad_()
        start = linear(generator, width, width, 1.0)(inputs)
        signal = start
        for _ in range(depth):
            signal = linear(generator, width, width, weight_std, bias_std)(torch.tanh(signal))
        probe = normal(generator, width)
        (gradient,) = torch.autograd.grad(signal[0] @ probe, start)
        with torch.no_grad():
            a, b = signal
            found.append(
                (
                    (a @ a / width).item(),
                    functional.cosine_similarity(a, b, dim=0).item(),
                    (gradient[0] @ gradient[0] / (probe @ probe)).item(),
                )
            )
    return np.array(found)


def predicted(weight_std: float, bias_std: float, depth: int) -> tuple[float, float, float]:
    """The same by the maps, from variance 1 and correlation 0.2."""
    variance, correlation, gradient = 1.0, 0.2, 1.0
    for _ in range(depth):
        kernel = kernel_of(np.tanh, variance=variance)
        gradient *= weight_std**2 * kernel.slope_second
        shared = weight_std**2 * (kernel.second - kernel.gap(1 - correlation)) + bias_std**2
        variance = weight_std**2 * kernel.second + bias_std**2
        correlation = shared / variance
    return variance, correlation, gradient


def test_a_deep_network():
    """A finite width shifts these means by about 1 / width, less than what 40 networks can tell."""
    sample = through_layers(1.5, 0.2, depth=6, width=192, seeds=40)
    expected = predicted(1.5, 0.2, 6)
    for column, value in enumerate(expected):
        assert_mean(sample[:, column], value)
    # Control: another start is told apart.
    error = STANDARD_ERRORS * sample.std(axis=0) / math.sqrt(len(sample))
    assert np.any(np.abs(sample.mean(axis=0) - predicted(1.6, 0.2, 6)) > error)


def test_the_maps_end_at_the_fixed_points():
    variance, correlation, gradient = predicted(1.5, 0.2, 200)
    found = mean_field("tanh", weight_std=1.5, bias_std=0.2)
    assert math.isclose(variance, found.variance, rel_tol=1e-10)
    assert math.isclose(correlation, found.correlation, rel_tol=1e-5)
    assert math.isclose(math.log(gradient) / 200, math.log(found.chi_1), rel_tol=0.02)


def test_a_kernel_shaped_layer_keeps_strangers_apart():
    """gamma (gelu(alpha z + beta) + delta) in weights and biases of a real layer: mean 0, size 1, slope zeta^(1/40)."""
    found = kernel_shape(nn.GELU(), plain_stack(40))
    generator = torch.Generator().manual_seed(3)
    layer = linear(generator, 4, 200_000, found.alpha)
    with torch.no_grad():
        layer.bias.fill_(found.beta)
        out = found.gamma * (functional.gelu(layer(pair(0.0, 4))) + found.delta)
    assert_mean(out[0], 0.0)
    assert_mean(out[0] ** 2, 1.0)
    assert_mean(out[0] * out[1], 0.0)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(out[0] + 0.02, 0.0)


def test_functions_and_modules_of_pytorch():
    for mine, theirs in {"gelu": nn.GELU(), "tanh": torch.tanh, "leaky_relu_0.2": nn.LeakyReLU(0.2)}.items():
        assert math.isclose(mean_field(theirs).chi_1, mean_field(mine).chi_1, rel_tol=1e-9)
        np.testing.assert_allclose(correlation_map(theirs, [0.1, 0.995]), correlation_map(mine, [0.1, 0.995]))
        assert trainable_depth(theirs, start="torch").limit == "correlation"
    edge = edge_of_chaos(lambda x: x * torch.sigmoid(x), bias_std=0.5)
    assert edge is not None
    assert math.isclose(edge.weight_std, 1.45694742, abs_tol=5e-9)
    assert math.isclose(kernel_shape(nn.GELU(), plain_stack(40)).beta, kernel_shape("gelu", plain_stack(40)).beta)


def test_a_module_is_left_as_it_was():
    module = nn.PReLU()
    before = module.weight.detach().clone()
    state = torch.get_rng_state()
    trainable_depth(module)
    assert module.training
    assert torch.equal(module.weight, before)
    assert module.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)
