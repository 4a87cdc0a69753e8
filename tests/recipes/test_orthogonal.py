from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes.table import GEOMETRIES
from standard_error import assert_mean, assert_share

from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import Orthogonal
from penstock.recipes.householder import haar
from penstock.recipes.matrices import from_matrices, matrix_stack, to_matrices


def orthogonality_error(matrices: np.ndarray) -> float:
    """Largest entry of |Q Q^T - c I| / c over a stack, with the products of the shorter side."""
    rows, columns = matrices.shape[-2:]
    wide = matrices.astype(np.float64) if rows <= columns else matrices.astype(np.float64).swapaxes(-1, -2)
    products = wide @ wide.swapaxes(-1, -2)
    scale = np.trace(products, axis1=-2, axis2=-1)[..., None, None] / wide.shape[-2]
    return float(np.abs(products / scale - np.eye(wide.shape[-2])).max())


@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name not in ("qkv", "empty")])
def test_every_group_and_every_stacked_weight_is_orthogonal(name):
    geometry = GEOMETRIES[name]
    matrices = to_matrices("test", geometry, Orthogonal(1.5).draw(geometry, 4))
    assert orthogonality_error(matrices) < 2e-6
    # The control: Gaussian matrices are far from it; a single row or column always is orthogonal to itself.
    if min(matrices.shape[-2:]) > 1:
        gaussian = to_matrices("test", geometry, fill("normal", geometry.shape, 4))
        assert orthogonality_error(gaussian) > 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**64 - 1))
def test_orthogonal_for_every_shape(rows, columns, key):
    geometry = Geometry((rows, columns), in_axes=(1,), out_axes=(0,))
    assert orthogonality_error(Orthogonal(1.0).draw(geometry, key)) < 2e-6


@pytest.mark.parametrize("shape", [(64, 256), (128, 128), (256, 64)])
def test_rms_out_is_the_gain_whatever_the_shape(shape):
    weight = Orthogonal(1.7).draw(Geometry(shape, in_axes=(1,), out_axes=(0,)), 2).astype(np.float64)
    inputs = fill("normal", (1000, shape[1]), 3).astype(np.float64)
    outputs = inputs @ weight.T
    per_input = (outputs**2).mean(axis=1) / (inputs**2).mean(axis=1)
    if shape[0] >= shape[1]:
        np.testing.assert_allclose(per_input, 1.7**2, rtol=1e-5)
    else:
        assert_mean(per_input, 1.7**2)
    # The control: orthonormal columns without the factor lose a widening layer's RMS.
    if shape[0] > shape[1]:
        with pytest.raises(AssertionError, match="mean"):
            assert_mean(per_input * shape[1] / shape[0], 1.7**2)


def test_a_strided_transposed_convolution_keeps_the_rms():
    torch = pytest.importorskip("torch")
    geometry = Geometry(
        (32, 16, 4), in_axes=(0,), out_axes=(1,), window_axes=(2,), split="out", stride=2, transposed=True
    )
    weight = torch.from_numpy(Orthogonal(1.0).draw(geometry, 1))
    inputs = torch.from_numpy(fill("normal", (64, 32, 128), 2))
    outputs = torch.nn.functional.conv_transpose1d(inputs, weight, stride=2)[..., 8:-8].numpy()
    # One value for each input of the batch: these are independent.
    assert_mean((outputs.astype(np.float64) ** 2).mean(axis=(1, 2)), 1.0)


def test_an_embedding_has_rows_of_rms_gain():
    rows = Orthogonal(0.5).draw(GEOMETRIES["embedding"], 1)
    np.testing.assert_allclose(float(np.sqrt((rows.astype(np.float64) ** 2).mean())), 0.5, rtol=1e-5)


def many_rotations(n: int, count: int) -> np.ndarray:
    geometry = Geometry((count, n, n), in_axes=(2,), out_axes=(1,), batch_axes=(0,))
    return Orthogonal(1.0).draw(geometry, 12).astype(np.float64)


def test_haar_measure():
    n = 8
    q = many_rotations(n, 8000)
    raw, _ = np.linalg.qr(fill("normal", (8000, n, n), 12).astype(np.float64))
    assert_mean(q[:, 0, 0], 0.0)
    # The control: LAPACK's own signs, E Q11 = -gamma(n/2) / (sqrt(pi) gamma((n+1)/2)) = -0.291.
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(raw[:, 0, 0], 0.0)
    assert_mean(raw[:, 0, 0], -math.gamma(n / 2) / (math.sqrt(math.pi) * math.gamma((n + 1) / 2)))
    assert_mean(q[:, 3, 5] ** 4, 3 / (n * (n + 2)))
    traces = np.trace(q, axis1=1, axis2=2)
    assert_mean(traces, 0.0)
    assert_mean(traces**2, 1.0)
    assert_mean(np.trace(q @ q, axis1=1, axis2=2), 1.0)
    assert_share(np.linalg.det(q) > 0, 0.5)


def test_a_zero_on_the_diagonal_of_r_does_not_wipe_out_a_column():
    gaussian = np.array([[0.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    q = haar((2, 2), lambda start, stop: gaussian[start:stop, start:])
    np.testing.assert_allclose(q @ q.T, np.eye(2), atol=1e-6)


def test_groups_and_experts_are_independent():
    for name in ("grouped", "experts", "transposed"):
        geometry = GEOMETRIES[name]
        stacked, groups, rows, columns = matrix_stack("test", geometry)
        matrices = to_matrices("test", geometry, Orthogonal(1.0).draw(geometry, 3)).reshape(-1, rows * columns)
        assert stacked * groups == len(matrices)
        cosines = np.corrcoef(matrices) - np.eye(len(matrices))
        # Of rows * columns nearly independent products: 6 standard errors.
        assert np.abs(cosines).max() < 6 / math.sqrt(rows * columns)


def test_fused_blocks_are_orthogonal_each():
    geometry = GEOMETRIES["qkv"]
    weight = Orthogonal(1.0).draw(geometry, 3)
    for rows in np.split(weight, np.cumsum(geometry.blocks)[:-1]):
        assert orthogonality_error(rows) < 2e-6


@pytest.mark.parametrize("name", GEOMETRIES)
def test_matrices_and_back(name):
    geometry = GEOMETRIES[name]
    weight = fill("normal", geometry.shape, 1)
    np.testing.assert_array_equal(from_matrices(geometry, to_matrices("test", geometry, weight)), weight)


def test_matrices_of_a_grouped_convolution_are_those_of_its_groups():
    torch = pytest.importorskip("torch")
    for name, transposed in (("grouped", False), ("transposed", True)):
        geometry = GEOMETRIES[name]
        weight = fill("normal", geometry.shape, 1)
        _, groups, rows, columns = matrix_stack("test", geometry)
        taps = geometry.shape[2:]
        channels = groups * columns // math.prod(taps)
        inputs = fill("normal", (1, channels, *(taps if not transposed else [1] * len(taps))), 2)
        run = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv1d
        outputs = run(torch.from_numpy(inputs), torch.from_numpy(weight), groups=groups).numpy()[0]
        matrices = to_matrices("test", geometry, weight)[0].reshape(groups, rows, -1, *taps)
        grouped = inputs[0].reshape(groups, -1, *inputs.shape[2:])
        expected = np.einsum("goitu,gitu->gotu" if transposed else "goit,git->go", matrices, _spread(grouped, taps))
        if transposed:
            np.testing.assert_allclose(outputs, expected.reshape(outputs.shape), atol=1e-5)
        else:
            np.testing.assert_allclose(outputs.ravel(), expected.ravel(), atol=1e-5)


def _spread(inputs: np.ndarray, taps: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(inputs, (*inputs.shape[:2], *taps))
