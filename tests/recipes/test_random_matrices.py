"""What is known of normal and orthogonal matrices and their products, held to the matrices that the recipes draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from recipes.known_answers import FUSS_CATALAN, LOG_NORM
from standard_error import assert_mean

from penstock.conventions import layer_defaults
from penstock.geometry import Geometry
from penstock.recipes import Orthogonal, Recipe, he_normal, lecun_normal


def stack(recipe: Recipe, count: int, outputs: int, inputs: int, key: int) -> np.ndarray:
    geometry = Geometry((count, outputs, inputs), in_axes=(2,), out_axes=(1,), batch_axes=(0,))
    return recipe.draw(geometry, key).astype(np.float64)


@pytest.mark.parametrize("width", LOG_NORM)
def test_the_logarithm_of_a_signals_length_drifts_and_spreads(width):
    # |W x| for a fixed x needs one number a unit only: the rows' products with x are independent.
    units = stack(lecun_normal(), 4000, width, 1, width)[..., 0] / math.sqrt(width)
    logs = np.log((units**2).sum(axis=1))
    mean, variance = LOG_NORM[width]
    assert_mean(logs, mean)
    assert_mean((logs - mean) ** 2, variance)
    if width <= 64:
        # The control: no drift.
        with pytest.raises(AssertionError, match="mean"):
            assert_mean(logs, 0.0)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean((logs - mean) ** 2, 1.3 * variance)


@pytest.mark.parametrize("layers", FUSS_CATALAN)
def test_moments_of_the_singular_values_of_products(layers):
    width, samples = 64, 60
    product = np.eye(width)
    for layer in range(layers):
        product = stack(lecun_normal(), samples, width, width, 100 + layer) @ product
    gram = product @ product.swapaxes(-1, -2)
    first, second, third = (
        np.trace(power, axis1=1, axis2=2) / width for power in (gram, gram @ gram, gram @ gram @ gram)
    )
    assert_mean(first, 1.0)
    errors = []
    for found, known in ((second, FUSS_CATALAN[layers][0]), (third, FUSS_CATALAN[layers][1])):
        # Finite width adds terms of the order L^2 / width^2 of the moment.
        errors.append(5 * found.std() / math.sqrt(samples) + known * (layers + 1) ** 2 / width**2 * 3)
        assert abs(found.mean() - known) < errors[-1]
    if layers > 3:
        return  # so few and so narrow products tell the orders of the moments only
    # The control: one matrix more has another third moment.
    assert abs(third.mean() - math.comb(3 * (layers + 2), 3) / (3 * (layers + 1) + 1)) > errors[1]


def test_one_normal_matrix_ends_at_four_and_an_orthogonal_product_is_a_rotation():
    normal = np.linalg.svd(stack(lecun_normal(), 1, 400, 400, 3)[0], compute_uv=False) ** 2
    # The largest fluctuates around its edge 4 (Marchenko & Pastur 1967) by width^(-2/3).
    assert abs(normal[0] - 4.0) < 5 * 4 ** (2 / 3) * 400 ** (-2 / 3) * 1.3
    product = np.eye(40)
    for layer in range(30):
        product = stack(Orthogonal(1.1), 1, 40, 40, layer)[0] @ product
    np.testing.assert_allclose(np.linalg.svd(product, compute_uv=False), 1.1**30, rtol=1e-4)


@pytest.mark.parametrize(("rectified", "excess"), [(True, 5.0), (False, 2.0)])
def test_the_fourth_power_of_a_signals_length_grows(rectified, excess):
    width, nets = 10, 40_000
    x = np.ones(width)
    recipe = he_normal() if rectified else lecun_normal()
    units = stack(recipe, nets, width, width, 5) @ x
    units = np.maximum(units, 0.0) if rectified else units
    power = (units**2).sum(axis=1) / width
    assert_mean(power, 1.0)
    assert_mean(power**2, 1.0 + excess / width)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(power**2, 1.0)


def test_pytorchs_own_start_of_a_deep_relu_network_leaves_its_biases_only():
    width, layers, nets = 256, 12, 60
    geometry = Geometry((width, width), in_axes=(1,), out_axes=(0,))
    linear = {name: rule(geometry) for name, rule in layer_defaults("torch")["Linear"].items()}
    signal = np.ones((nets, width))
    for layer in range(layers):
        weights = stack(linear["weight"], nets, width, width, 2 * layer)
        biases = linear["bias"].draw(Geometry((nets, width)), 2 * layer + 1)
        before = np.einsum("noi,ni->no", weights, signal) + biases
        signal = np.maximum(before, 0.0)
    second = (before**2).mean(axis=1)
    # 2 / (5 n): each layer keeps a sixth of it and adds the biases' 1 / (3 n).
    assert_mean(second, 2 / (5 * width))
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(second, 1.2 * 2 / (5 * width))
