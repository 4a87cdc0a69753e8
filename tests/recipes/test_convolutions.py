from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ArgumentError, ShapeError
from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import (
    BalancedOrthogonal,
    Bilinear,
    ConvolutionOrthogonal,
    DeltaOrthogonal,
    Icnr,
    Normal,
    Orthogonal,
)

torch = pytest.importorskip("torch")
CONVOLVE = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}


def convolution(outputs: int, inputs: int, *window: int, groups: int = 1) -> Geometry:
    shape = (outputs, inputs // groups, *window)
    return Geometry(shape, in_axes=(1,), out_axes=(0,), window_axes=tuple(range(2, len(shape))), groups=groups)


def norms_out_over_in(geometry: Geometry, weight: np.ndarray, padding: str) -> np.ndarray:
    """Norm out over norm in, for each of some random inputs, through PyTorch's own convolution."""
    dimensions = len(geometry.window_axes)
    inputs = torch.from_numpy(fill("normal", (8, geometry.shape[1] * geometry.groups, *[6] * dimensions), 3)).double()
    widths = [width for k in reversed(geometry.shape[2:]) for width in ((k - 1) // 2, k // 2)]
    padded = torch.nn.functional.pad(inputs, widths, mode=padding)
    outputs = CONVOLVE[dimensions](padded, torch.from_numpy(weight).double(), groups=geometry.groups)
    assert outputs.shape[2:] == inputs.shape[2:]
    return (outputs.flatten(1).norm(dim=1) / inputs.flatten(1).norm(dim=1)).numpy()


SHAPES = [convolution(9, 5, 3), convolution(12, 6, 3, 5, groups=3), convolution(8, 8, 2, 4), convolution(5, 4, 3, 3, 2)]


@pytest.mark.parametrize("geometry", SHAPES, ids=lambda g: str(g.shape))
@pytest.mark.parametrize("padding", ["constant", "circular"])
def test_delta_orthogonal_keeps_every_norm(geometry, padding):
    weight = DeltaOrthogonal(1.5).draw(geometry, 4)
    np.testing.assert_allclose(norms_out_over_in(geometry, weight, padding), 1.5, rtol=1e-5)
    # The control: an orthogonal kernel of full support is no isometry.
    flat = norms_out_over_in(geometry, Orthogonal(1.5).draw(geometry, 4), padding)
    assert np.abs(flat / flat.mean() - 1).max() > 1e-3


@pytest.mark.parametrize("geometry", SHAPES, ids=lambda g: str(g.shape))
def test_convolution_orthogonal_keeps_every_norm_in_a_circle(geometry):
    weight = ConvolutionOrthogonal(0.7).draw(geometry, 4)
    np.testing.assert_allclose(norms_out_over_in(geometry, weight, "circular"), 0.7, rtol=1e-5)
    # The control: padding by zeros breaks the circle.
    assert np.abs(norms_out_over_in(geometry, weight, "constant") / 0.7 - 1).max() > 1e-3
    # All taps take part.
    assert (np.abs(weight).max(axis=(0, 1)) > 0).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**64 - 1))
def test_singular_values_of_the_operator_in_fourier_space(inputs, more, height, width, key):
    geometry = convolution(inputs + more, inputs, height, width)
    spectrum = np.fft.fft2(ConvolutionOrthogonal(2.0).draw(geometry, key), s=(8, 8)).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(np.linalg.svd(spectrum, compute_uv=False), 2.0, rtol=1e-5)


def test_delta_orthogonal_can_keep_the_rms_instead():
    geometry = convolution(12, 3, 3)
    ratio = DeltaOrthogonal(1.0, "rms").std(geometry) / DeltaOrthogonal(1.0).std(geometry)
    np.testing.assert_allclose(ratio, 2.0)


@pytest.mark.parametrize("recipe", [DeltaOrthogonal(), ConvolutionOrthogonal()], ids=lambda r: r.name)
def test_fewer_outputs_than_inputs_are_an_error(recipe):
    with pytest.raises(ShapeError, match=r"as many outputs as inputs or more(.|\n)*no map to fewer dimensions"):
        recipe.draw(convolution(4, 8, 3), 0)
    with pytest.raises(ShapeError, match="as many outputs as inputs or more"):
        recipe.moments(convolution(4, 8, 3))


def test_a_linear_layer_is_no_convolution():
    with pytest.raises(ShapeError, match=r"ConvolutionOrthogonal\.draw: a convolution"):
        ConvolutionOrthogonal().draw(Geometry((4, 4), in_axes=(1,), out_axes=(0,)), 0)
    with pytest.raises(ShapeError, match=r"Bilinear\.draw: a convolution is needed"):
        Bilinear().draw(Geometry((4, 4), in_axes=(1,), out_axes=(0,)), 0)
    with pytest.raises(ArgumentError, match="keep must be one of the known ones; got 'mean'"):
        DeltaOrthogonal(1.0, "mean")


BALANCED = [convolution(9, 5, 3), convolution(40, 5, 3), convolution(12, 6, 3, 5, groups=3), convolution(5, 4, 3, 3, 2)]


@pytest.mark.parametrize("geometry", BALANCED, ids=lambda g: str(g.shape))
def test_balanced_taps_read_a_common_mean_as_the_zero_of_the_padding(geometry):
    dimensions = len(geometry.window_axes)
    inputs = torch.full((1, geometry.shape[1] * geometry.groups, *[6] * dimensions), 0.7, dtype=torch.float64)
    widths = [width for k in reversed(geometry.shape[2:]) for width in ((k - 1) // 2, k // 2)]
    padded = torch.nn.functional.pad(inputs, widths)

    def border(recipe):
        weight = torch.from_numpy(recipe.draw(geometry, 5)).double()
        outputs = CONVOLVE[dimensions](padded, weight, groups=geometry.groups).flatten(2)
        return float((outputs - outputs.mean(2, keepdim=True)).abs().max())

    assert border(BalancedOrthogonal(1.5)) < 1e-6
    # The control: the same without balance.
    assert border(Orthogonal(1.5)) > 0.1


@pytest.mark.parametrize("geometry", BALANCED, ids=lambda g: str(g.shape))
def test_balanced_kernels_are_rotations_of_the_balanced_directions(geometry):
    recipe = BalancedOrthogonal(2.0)
    weight = recipe.draw(geometry, 5).astype(np.float64)
    window = math.prod(geometry.shape[2:])
    directions = geometry.shape[1] * window - (window - 1)
    for part in np.split(weight, geometry.groups):
        rows = len(part)
        values = np.linalg.svd(part.reshape(rows, -1), compute_uv=False)
        kept = min(rows, directions)
        np.testing.assert_allclose(values[:kept], 2.0 * math.sqrt(max(rows, directions) / directions), rtol=1e-5)
        np.testing.assert_allclose(values[kept:], 0.0, atol=1e-5)
        np.testing.assert_allclose((part**2).sum(), 4.0 * rows, rtol=1e-5)
    np.testing.assert_allclose(math.sqrt((weight**2).mean()), recipe.std(geometry), rtol=1e-5)


def test_balanced_kernels_are_the_same_in_every_layout():
    torch_kernel = BalancedOrthogonal(1.3).draw(convolution(8, 6, 3, 5), 7)
    flax = Geometry((3, 5, 6, 8), in_axes=(2,), out_axes=(3,), window_axes=(0, 1))
    np.testing.assert_array_equal(BalancedOrthogonal(1.3).draw(flax, 7).transpose(3, 2, 0, 1), torch_kernel)
    assert not np.array_equal(BalancedOrthogonal(1.3).draw(flax, 8).transpose(3, 2, 0, 1), torch_kernel)


def test_one_input_alone_cannot_be_balanced():
    with pytest.raises(ShapeError, match=r"BalancedOrthogonal\.draw: a group must have two inputs or more(.|\n)*Hint"):
        BalancedOrthogonal().draw(convolution(4, 4, 3, groups=4), 0)


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_bilinear_upsampling_keeps_constants_and_ramps(stride):
    size = 2 * stride - stride % 2
    geometry = Geometry(
        (2, 2, size, size), in_axes=(0,), out_axes=(1,), window_axes=(2, 3), split="out", stride=stride, transposed=True
    )
    weight = torch.from_numpy(Bilinear().draw(geometry, 0))
    x, y = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    images = torch.stack([torch.ones_like(x), x + 2 * y])[None]
    large = torch.nn.functional.conv_transpose2d(images, weight, stride=stride, padding=(size - stride) // 2)
    inner = large[0, :, stride:-stride, stride:-stride].numpy()
    np.testing.assert_allclose(inner[0], 1.0, atol=1e-5)
    np.testing.assert_allclose(np.diff(inner[1], axis=0), 1.0 / stride, atol=1e-5)
    np.testing.assert_allclose(np.diff(inner[1], axis=1), 2.0 / stride, atol=1e-5)


def test_bilinear_is_pytorchs_interpolation_inside():
    weight = torch.from_numpy(Bilinear().draw(Geometry((1, 1, 4, 4), (0,), (1,), (2, 3), split="out"), 0))
    image = torch.from_numpy(fill("normal", (1, 1, 6, 7), 1))
    ours = torch.nn.functional.conv_transpose2d(image, weight, stride=2, padding=1)
    theirs = torch.nn.functional.interpolate(image, scale_factor=2, mode="bilinear")
    np.testing.assert_allclose(ours[..., 2:-2, 2:-2].numpy(), theirs[..., 2:-2, 2:-2].numpy(), atol=1e-5)


@pytest.mark.parametrize("base", [Normal(1.0), Orthogonal(1.0)], ids=lambda r: r.name)
def test_icnr_is_nearest_neighbour_upsampling(base):
    weight = torch.from_numpy(Icnr(base, 9).draw(convolution(18, 4, 3, 3), 2))
    inputs = torch.from_numpy(fill("normal", (1, 4, 5, 5), 1))
    large = torch.pixel_shuffle(torch.nn.functional.conv2d(inputs, weight, padding=1), 3)
    nearest = torch.nn.functional.interpolate(large[..., ::3, ::3], scale_factor=3, mode="nearest")
    np.testing.assert_array_equal(large.numpy(), nearest.numpy())
    # The control: without the copies, neighbours differ.
    plain = torch.from_numpy(base.draw(convolution(18, 4, 3, 3), 2))
    bumpy = torch.pixel_shuffle(torch.nn.functional.conv2d(inputs, plain, padding=1), 3)
    assert (bumpy[..., ::3, 0] - bumpy[..., 1::3, 0]).abs().max() > 0.01


def test_icnr_for_tensorflow_copies_whole_runs_of_channels():
    weight = Icnr(Normal(1.0), 4, "tensorflow").draw(convolution(8, 3, 1), 2)
    np.testing.assert_array_equal(weight[:2], weight[6:])
    assert not np.array_equal(weight[0], weight[1])


def test_icnr_refuses_what_it_cannot_split():
    with pytest.raises(ShapeError, match="must be a multiple of copies=4"):
        Icnr(Normal(1.0), 4).draw(convolution(6, 3, 3), 0)
    with pytest.raises(ArgumentError, match=r"base must be a recipe; got 1\.0"):
        Icnr(1.0)
    with pytest.raises(ArgumentError, match="copies must be an integer >= 1; got 0"):
        Icnr(Normal(1.0), 0)


def test_delta_orthogonal_std_is_that_of_an_isometry():
    geometry = convolution(16, 4, 3, 3)
    weight = DeltaOrthogonal().draw(geometry, 1).astype(np.float64)
    np.testing.assert_allclose(math.sqrt((weight**2).mean()), DeltaOrthogonal().std(geometry), rtol=1e-6)
