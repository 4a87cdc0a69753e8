from __future__ import annotations

import numpy as np
import pytest
from recipes.table import GEOMETRIES

from penstock.errors import ShapeError
from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import LooksLinear, VarianceScaling

torch = pytest.importorskip("torch")


def stack(recipes: list, widths: list[int]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Weights, inputs and outputs of a stack of linear layers with ReLU between them."""
    weights = [
        recipe.draw(Geometry((out, fan), in_axes=(1,), out_axes=(0,)), number).astype(np.float64)
        for number, (recipe, fan, out) in enumerate(zip(recipes, widths[:-1], widths[1:], strict=True))
    ]
    inputs = fill("normal", (5, widths[0]), 9).astype(np.float64)
    signal = inputs @ weights[0].T
    for weight in weights[1:]:
        signal = np.maximum(signal, 0.0) @ weight.T
    return weights, inputs, signal


PLACES = ["first", *["hidden"] * 30, "last"]
WIDTHS = [12, *[40] * 31, 12]


def test_a_deep_relu_network_is_exactly_linear():
    weights, inputs, outputs = stack([LooksLinear(place) for place in PLACES], WIDTHS)
    product = weights[0][:20]
    for weight in weights[1:-1]:
        product = weight[:20, :20] @ product
    product = weights[-1][:, :20] @ product
    np.testing.assert_allclose(outputs, inputs @ product.T, atol=1e-5)
    # Orthogonal all the way: the signal keeps its RMS through 30 layers, on average over what the last one drops.
    np.testing.assert_allclose((product**2).sum() / 12, 1.0, rtol=0.5)


def test_superposition_holds_and_fails_for_plain_relu():
    for recipes, linear in (([LooksLinear(place) for place in PLACES], True), ([VarianceScaling(2**0.5)] * 32, False)):
        weights, inputs, outputs = stack(recipes, WIDTHS)
        signal = -inputs @ weights[0].T
        for weight in weights[1:]:
            signal = np.maximum(signal, 0.0) @ weight.T
        assert bool(np.abs(signal + outputs).max() < 1e-6) is linear


def test_convolutions_through_pytorch_are_linear_too():
    def kernel(place: str, outputs: int, inputs: int) -> torch.Tensor:
        geometry = Geometry((outputs, inputs, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3))
        return torch.from_numpy(LooksLinear(place).draw(geometry, outputs)).double()

    kernels = [kernel("first", 16, 3), kernel("hidden", 12, 16), kernel("last", 5, 12)]

    def run(images: torch.Tensor) -> torch.Tensor:
        for number, weight in enumerate(kernels):
            images = torch.nn.functional.conv2d(images.relu() if number else images, weight, padding=1)
        return images

    a, b = torch.from_numpy(fill("normal", (2, 1, 3, 6, 6), 1)).double()
    np.testing.assert_allclose(run(a + 2 * b).numpy(), (run(a) + 2 * run(b)).numpy(), atol=1e-6)


def test_odd_sizes_and_groups_are_errors():
    with pytest.raises(ShapeError, match=r"axis 0 must have an even size(.|\n)*units come in pairs"):
        LooksLinear("first").draw(Geometry((5, 4), in_axes=(1,), out_axes=(0,)), 0)
    with pytest.raises(ShapeError, match="without groups is needed"):
        LooksLinear().moments(GEOMETRIES["grouped"])
