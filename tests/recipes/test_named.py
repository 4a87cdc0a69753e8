from __future__ import annotations

import math

import numpy as np
import pytest
from recipes.known_answers import (
    CLIP_TEMPERATURE,
    GAUSSIAN_POINCARE,
    RANDOM_WALK,
    RETINANET_BIAS,
    SIGMOID_KUMAR,
    SPLINE_BIAS,
)
from standard_error import assert_mean, assert_std

from penstock.activations import named
from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.moments import moments
from penstock.randomness import fill
from penstock.recipes import (
    Normal,
    class_prior_bias,
    clip_temperature,
    complex_glorot,
    complex_he,
    dirac,
    embedding,
    fourier_features,
    gaussian_poincare,
    hyperfan_in,
    hyperfan_out,
    idinit,
    kaiming_normal,
    kumar,
    prelu_slope,
    prior_bias,
    random_walk_gain,
    small_init,
    spline_derivative_bias,
    switch_transformer,
    wang_init,
    xavier_uniform,
    zero_convolution,
)


def linear(outputs: int, inputs: int) -> Geometry:
    return Geometry((outputs, inputs), in_axes=(1,), out_axes=(0,))


@pytest.mark.parametrize("name", GAUSSIAN_POINCARE)
def test_gaussian_poincare_pairs(name):
    scale, positive, negative = GAUSSIAN_POINCARE[name]
    for shift, expected in (("positive", positive), ("negative", negative)):
        pair = gaussian_poincare(name, shift=shift)
        np.testing.assert_allclose((pair.scale, pair.shift), (scale, expected), rtol=1e-9, atol=1e-6)
        m = moments(lambda x, pair=pair: pair.scale * named(name)(x) + pair.shift)
        np.testing.assert_allclose((m.second, m.slope_second), 1.0, rtol=1e-7)


def test_gaussian_poincare_takes_functions_and_refuses_constants():
    np.testing.assert_allclose(gaussian_poincare(lambda x: 3 * x).scale, 1 / 3)
    with pytest.raises(ArgumentError, match="activation must have a slope that is finite and not 0"):
        gaussian_poincare(lambda x: 0 * x + 1)
    with pytest.raises(ArgumentError, match="shift must be one of the known ones; got 'up'"):
        gaussian_poincare("relu", shift="up")


@pytest.mark.parametrize(("activation", "width"), RANDOM_WALK)
def test_random_walk_gains(activation, width):
    np.testing.assert_allclose(
        random_walk_gain(width, activation=activation), RANDOM_WALK[activation, width], rtol=1e-12
    )


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_random_walk_gains_stop_the_drift_of_the_logarithm(activation):
    width, layers, nets = 8, 3, 8000
    signal = np.ones((nets, width))
    for layer in range(layers):
        weights = fill("normal", (nets, width, width), layer).astype(np.float64)
        signal = np.einsum("noi,ni->no", weights, signal) * random_walk_gain(width, activation=activation) / width**0.5
        signal = np.maximum(signal, 0) if activation == "relu" else signal
    # A net whose units all died has no logarithm; the gain is that of those which live.
    logs = np.log((signal**2).sum(axis=1)[(signal != 0).any(axis=1)] / width)
    if activation == "linear":
        assert_mean(logs, 0.0)
        # The control: gain 1, whose logarithm drifts by psi(n/2) + log(2/n) = -0.13 a layer.
        with pytest.raises(AssertionError, match="mean"):
            assert_mean(logs - 2 * layers * math.log(random_walk_gain(width, activation="linear")), 0.0)
    else:
        assert abs(logs.mean()) < abs(logs.mean() - 2 * layers * math.log(random_walk_gain(width) / 2**0.5))


def test_biases_of_a_prior():
    np.testing.assert_allclose(prior_bias(0.01).value, RETINANET_BIAS, rtol=1e-14)
    logits = np.array(class_prior_bias([0.7, 0.2, 0.1]).values)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(logits.sum(), 0.0, atol=1e-12)
    sigmoid = 1 / (1 + np.exp(-np.array(class_prior_bias([0.5, 0.01], output="sigmoid").values)))
    np.testing.assert_allclose(sigmoid, [0.5, 0.01])
    for wrong in (0.0, 1.0, 2.0):
        with pytest.raises(ArgumentError, match="probability must lie between 0 and 1"):
            prior_bias(wrong)
    with pytest.raises(ArgumentError, match="probabilities must be positive"):
        class_prior_bias([0.5, 0.0])


def test_complex_weights_have_rayleigh_moduli_and_uniform_phases():
    geometry = Geometry((300, 100, 2), in_axes=(1,), out_axes=(0,))
    parts = complex_he().draw(geometry, 3).astype(np.float64)
    modulus, phase = np.hypot(parts[..., 0], parts[..., 1]), np.arctan2(parts[..., 1], parts[..., 0])
    assert_mean(modulus**2, 2 / 100)
    # Rayleigh with sigma = 1 / sqrt(fan_in) has the mean sigma sqrt(pi / 2).
    assert_mean(modulus, 0.1 * math.sqrt(math.pi / 2))
    assert_std(phase, math.pi / math.sqrt(3))
    np.testing.assert_allclose(2 * complex_glorot().std(geometry) ** 2, 2 / 400)


def test_hyperfan_makes_weights_of_hes_variance():
    embedding, main_in = fill("normal", (2000, 64), 1, scale=0.5).astype(np.float64), 50
    maker = hyperfan_in(main_in, embedding_second_moment=0.25).draw(linear(40, 64), 2).astype(np.float64)
    # One value for each embedding and each maker's row: independent enough by embedding.
    per_row = ((embedding @ maker.T) ** 2).mean(axis=0)
    assert_mean(per_row, 2 / main_in)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(per_row * 4, 2 / main_in)
    np.testing.assert_allclose(hyperfan_in(50, makes_biases=True).gain, hyperfan_in(100).gain)
    np.testing.assert_allclose(hyperfan_out(50, relu=False).gain, 50**-0.5)


def test_the_other_names():
    np.testing.assert_allclose(kumar(0.25, 0.5).gain, SIGMOID_KUMAR, rtol=1e-14)
    assert kumar(1.0).gain == 1.0
    with pytest.raises(ArgumentError, match="slope must not be 0"):
        kumar(0.0)
    np.testing.assert_allclose(small_init(512).sigma ** 2, 2 / (5 * 512))
    np.testing.assert_allclose(wang_init(512, layers=6).sigma, 2 / (6 * math.sqrt(512)))
    np.testing.assert_allclose(switch_transformer().std(linear(10, 40)) ** 2, 0.1 / 40)
    assert fourier_features(frequency=5.0) == Normal(5.0)
    assert dirac().gain == idinit().gain == 1.0
    assert idinit(branch_end=True).gain == 1e-6
    np.testing.assert_allclose(kaiming_normal().std(linear(10, 50)), 0.2)
    np.testing.assert_allclose(xavier_uniform().std(linear(10, 40)), 0.2)


def test_starts_that_are_one_number():
    np.testing.assert_allclose(clip_temperature().value, CLIP_TEMPERATURE, rtol=1e-14)
    np.testing.assert_allclose(spline_derivative_bias().value, SPLINE_BIAS, rtol=1e-14)
    assert prelu_slope().value == 0.25
    assert zero_convolution().value == 0.0
    assert embedding(width=256) == Normal(1 / 16)
    assert embedding() == Normal(1.0)
    rows = embedding(std=0.02, padding=3).draw(Geometry((5, 7), in_axes=(0,), out_axes=(1,), lookup=True), 1)
    assert not rows[3].any()
    assert np.count_nonzero(rows) == 28
    with pytest.raises(ArgumentError, match="embedding: padding must be an integer >= 0; got -1"):
        embedding(padding=-1)
