from __future__ import annotations

import numpy as np
import pytest
from standard_error import assert_mean, assert_share

from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import Orthogonal, householder
from penstock.recipes.householder import haar


def gaussian_rows(n: int, m: int, key: int = 5):
    rows = fill("normal", (n, m), key)
    return rows, lambda start, stop: rows[start:stop, start:]


def one_by_one(rows: np.ndarray) -> np.ndarray:
    """The definition in float64: reflections multiplied out one after the other."""
    n, m = rows.shape
    q = np.eye(m, n)
    for k in reversed(range(n)):
        x = np.zeros(m)
        x[k:] = rows[k, k:]
        sign = -1.0 if x[k] < 0 else 1.0
        v = x.copy()
        v[k] += sign * np.linalg.norm(x)
        v *= np.sqrt(2.0) / np.linalg.norm(v)
        q[:, k] *= -sign
        q -= np.outer(v, v @ q)
    return q


@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 1), (6, 6), (40, 17), (300, 290)])
def test_blocks_of_reflections_are_the_reflections_one_by_one(m, n):
    rows, normal = gaussian_rows(n, m)
    reference = one_by_one(rows)
    np.testing.assert_allclose(haar((m, n), normal), reference, atol=3e-6)
    if m > n:
        np.testing.assert_allclose(haar((n, m), normal), reference.T, atol=3e-6)
    # The control: without the sign correction the columns differ.
    signs = np.where(rows[np.arange(n), np.arange(n)] < 0, 1.0, -1.0)
    if (signs < 0).any():
        assert np.abs(haar((m, n), normal) - reference * signs).max() > 0.01


@pytest.mark.parametrize("block", [2, 4, 64])
def test_the_size_of_blocks_and_tiles_changes_only_the_rounding(monkeypatch, block):
    _, normal = gaussian_rows(90, 120)
    whole = haar((120, 90), normal)
    monkeypatch.setattr(householder, "_BLOCK", block)
    monkeypatch.setattr(householder, "_TILE", 7)
    np.testing.assert_allclose(haar((120, 90), normal), whole, atol=3e-6)


@pytest.mark.parametrize("shape", [(700, 140), (140, 700), (1100, 1030)])
def test_orthonormal_to_one_in_a_hundred_thousand(shape):
    weight = Orthogonal().draw(Geometry(shape, in_axes=(1,), out_axes=(0,)), 3)
    wide = (weight if shape[0] < shape[1] else weight.T).astype(np.float64) * min(1.0, (shape[1] / shape[0]) ** 0.5)
    error = np.abs(wide @ wide.T - np.eye(len(wide))).max()
    assert error < 1e-5
    # The control: rounded to half precision it is not.
    half = wide.astype(np.float16).astype(np.float64)
    assert np.abs(half @ half.T - np.eye(len(wide))).max() > 1e-5


def test_stacked_matrices_are_the_single_ones():
    stack = fill("normal", (3, 20, 30), 8)
    together = haar((3, 30, 20), lambda start, stop: stack[:, start:stop, start:])
    for rows, q in zip(stack, together, strict=True):
        alone = haar((30, 20), lambda start, stop, rows=rows: rows[start:stop, start:])
        np.testing.assert_allclose(q, alone, atol=2e-6)


def test_a_window_is_cut_from_its_whole():
    geometry = Geometry((4, 30, 20), in_axes=(2,), out_axes=(1,), batch_axes=(0,))
    whole = Orthogonal(1.3).draw(geometry, 2)
    window = (slice(1, 3), slice(4, 30), slice(0, 7))
    np.testing.assert_allclose(Orthogonal(1.3).draw(geometry, 2, window=window), whole[window], atol=2e-6)


@pytest.mark.parametrize("shape", [(6, 6), (7, 4), (4, 7)])
def test_haar_moments_of_every_shape(monkeypatch, shape):
    monkeypatch.setattr(householder, "_BLOCK", 6)  # blocks of 3
    count, (n, m) = 20_000, sorted(shape)
    draws = fill("normal", (count, n, m), 31)
    q = haar((count, *shape), lambda start, stop: draws[:, start:stop, start:]).astype(np.float64)
    for place in ((0, 0), (shape[0] - 1, shape[1] - 1), (1, 3)):
        entry = q[:, place[0], place[1]]
        assert_mean(entry, 0.0)
        assert_mean(entry**2, 1 / m)
        assert_mean(entry**4, 3 / (m * (m + 2)))
    if n == m:
        assert_mean(np.trace(q, axis1=1, axis2=2) ** 2, 1.0)
        assert_share(np.linalg.det(q) > 0, 0.5)
    # The control: LAPACK's own signs.
    raw = np.linalg.qr(draws.swapaxes(-1, -2))[0].astype(np.float64)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(raw[:, 0, 0], 0.0)
