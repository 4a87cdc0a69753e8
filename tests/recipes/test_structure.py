from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes.known_answers import SIREN_FIXED_POINT
from recipes.table import GEOMETRIES
from standard_error import assert_mean, assert_share, assert_std

from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import CyclicIdentity, Modular, Siren, Sparse, Spectral, ZerO
from penstock.recipes.matrices import to_matrices


def linear(outputs: int, inputs: int) -> Geometry:
    return Geometry((outputs, inputs), in_axes=(1,), out_axes=(0,))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**64 - 1))
def test_sparse_units_have_exactly_so_many_weights(outputs, inputs, nonzero, key):
    weight = Sparse(nonzero).draw(linear(outputs, inputs), key)
    np.testing.assert_array_equal((weight != 0).sum(axis=1), min(nonzero, inputs))
    weight = Sparse(nonzero, "input").draw(linear(outputs, inputs), key)
    np.testing.assert_array_equal((weight != 0).sum(axis=0), min(nonzero, outputs))


def test_sparse_places_are_random_and_values_normal():
    weight = Sparse(15, gain=0.3).draw(linear(4000, 60), 3).astype(np.float64)
    for place in (0, 31, 59):
        assert_share(weight[:, place] != 0, 0.25)
    assert_std(weight[weight != 0], 0.3)
    inputs = fill("normal", (60,), 1).astype(np.float64)
    inputs /= math.sqrt((inputs**2).mean())
    assert_mean((weight @ inputs) ** 2, 15 * 0.09)


def test_sparse_per_input_is_pytorchs_rule():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init.sparse_(torch.empty(50, 20), sparsity=0.9, std=0.01).numpy()
    ours = Sparse(5, "input", 0.01).draw(linear(50, 20), 1)
    np.testing.assert_array_equal((ours != 0).sum(axis=0), (theirs != 0).sum(axis=0))


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (16, 5), (12, 5), (1, 1)])
def test_zero_is_orthonormal_or_a_piece_of_hadamard(shape):
    weight = ZerO().draw(linear(*shape), 0).astype(np.float64)
    rows, columns = shape
    if rows <= columns:
        np.testing.assert_array_equal(weight, np.eye(rows, columns))
    else:
        power = math.ceil(math.log2(rows))
        np.testing.assert_allclose(np.abs(weight), 2 ** (-power / 2))
        if 2**power == rows:
            np.testing.assert_allclose(weight.T @ weight, np.eye(columns), atol=1e-6)
        assert np.linalg.matrix_rank(weight) == columns


def test_zero_is_scipys_hadamard_matrix():
    scipy_linalg = pytest.importorskip("scipy.linalg")
    np.testing.assert_allclose(ZerO(4.0).draw(linear(16, 15), 0), scipy_linalg.hadamard(16)[:, :15])


@pytest.mark.parametrize("name", ["linear", "wide", "conv", "depthwise", "experts"])
def test_a_cyclic_identity_has_full_rank_and_leaves_nothing_out(name):
    geometry = GEOMETRIES[name]
    for matrix in to_matrices("test", geometry, CyclicIdentity(0.5).draw(geometry, 0))[0]:
        assert np.linalg.matrix_rank(matrix) == min(matrix.shape)
        assert (np.abs(matrix).max(axis=0) == 0.5).all()
        assert (np.abs(matrix).max(axis=1) == 0.5).all()


@pytest.mark.parametrize("shape", [(24, 6), (6, 24), (9, 9)])
def test_modular_singular_values_are_all_the_natural_norm(shape):
    values = np.linalg.svd(Modular(1.5).draw(linear(*shape), 3), compute_uv=False)
    np.testing.assert_allclose(values, 1.5 * math.sqrt(shape[0] / shape[1]), rtol=1e-5)


def test_modular_taps_are_each_a_rotation():
    kernel = Modular().draw(GEOMETRIES["conv"], 3)
    taps = kernel.reshape(24, 12, 12).transpose(2, 0, 1)
    np.testing.assert_allclose(np.linalg.svd(taps, compute_uv=False), math.sqrt(2) / 12, rtol=1e-5)


@pytest.mark.parametrize(("outputs", "inputs"), [(400, 100), (100, 400), (200, 200), (10, 1000)])
def test_spectral_norms_are_near_the_natural_one(outputs, inputs):
    norm = np.linalg.norm(Spectral().draw(linear(outputs, inputs), 3), 2)
    natural = math.sqrt(outputs / inputs)
    # Between 1 and 1 + min(1, sqrt of the shorter over the longer side), plus the edge's width.
    edge = Spectral().std(linear(outputs, inputs)) * (math.sqrt(inputs) + math.sqrt(outputs)) / natural
    assert 0.9 <= norm / natural <= edge * 1.05
    assert edge <= 2.0 + 1e-9


def test_siren_bounds_and_its_fixed_point():
    assert Siren(first=True).bound(linear(64, 2)) == 0.5
    np.testing.assert_allclose(Siren(omega=15.0).bound(linear(64, 96)), math.sqrt(6 / 96) / 15)
    width, signal = 400, fill("normal", (200, 400), 1).astype(np.float64)
    for layer in range(12):
        weight = Siren().draw(linear(width, width), layer).astype(np.float64)
        pre = 30.0 * signal @ weight.T
        signal = np.sin(pre)
    # Inputs of one net share its weights: the unit means of 400 units are the independent values.
    assert_mean((pre**2).mean(axis=0), SIREN_FIXED_POINT)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean((pre**2).mean(axis=0), 1.0)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Sparse(0), "nonzero must be an integer >= 1; got 0"),
        (lambda: Sparse(True), "nonzero must be an integer >= 1; got True"),
        (lambda: Sparse(5, "column"), "per must be one of the known ones; got 'column'"),
        (lambda: Siren(omega=0.0), "omega must be a finite number >="),
        (lambda: Modular(-1.0), "gain must be a finite number >= 0; got -1"),
    ],
)
def test_bad_parameters_are_errors(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()
