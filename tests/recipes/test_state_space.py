from __future__ import annotations

import math

import numpy as np
import pytest
from standard_error import assert_mean, assert_std

from penstock.errors import ArgumentError, ShapeError
from penstock.geometry import Geometry
from penstock.recipes import (
    S4D,
    Hippo,
    LogIndex,
    LogOfUniform,
    Ring,
    StepSize,
    families,
    hippo_legs,
    hippo_legs_diagonal,
    s4d_eigenvalues,
)
from penstock.recipes.from_values import lru_gamma_log, s5_arrays

MANY = Geometry((200, 200))


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_hippo_has_the_eigenvalues_minus_one_to_minus_n_and_a_skew_normal_part(size):
    a, b, p = hippo_legs(size)
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(a).real), -np.arange(size, 0, -1.0), atol=1e-6)
    normal = a + np.outer(p, p) + 0.5 * np.eye(size)
    np.testing.assert_allclose(normal, -normal.T, atol=1e-12)
    np.testing.assert_allclose(b, math.sqrt(2) * p)


def test_hippo_remembers_a_constant_signal_in_its_first_coefficient():
    # The scaled-Legendre operator x' = (A x + B u) / t has the projection of the past as its solution: of the
    # constant 1, the first normalised polynomial alone.
    a, b, _ = hippo_legs(6)
    np.testing.assert_allclose(np.linalg.solve(-a, b), np.eye(6)[0], atol=1e-10)


def test_the_diagonal_form_gives_the_normal_part_back():
    a, _, p = hippo_legs(10)
    values, v = hippo_legs_diagonal(10)
    np.testing.assert_allclose(v @ np.diag(values) @ v.conj().T, a + np.outer(p, p), atol=1e-10)
    np.testing.assert_allclose(values.real, -0.5)
    np.testing.assert_allclose(v.conj().T @ v, np.eye(10), atol=1e-12)


def test_hippo_is_repeated_over_leading_axes():
    drawn = Hippo("A", 2.0).draw(Geometry((3, 4, 4)), 0)
    np.testing.assert_array_equal(drawn[2], (2.0 * hippo_legs(4)[0]).astype(np.float32))
    with pytest.raises(ShapeError, match=r"part='A' needs the shape \(..., N, N\); got \(3, 4\)"):
        Hippo("A").draw(Geometry((3, 4)), 0)
    with pytest.raises(ArgumentError, match="part must be one of the known ones; got 'C'"):
        Hippo("C")


def test_s4d_in_closed_form():
    np.testing.assert_allclose(s4d_eigenvalues(3), -0.5 + 1j * np.pi * np.arange(3))
    np.testing.assert_allclose(s4d_eigenvalues(2, law="inv"), [-0.5 + 12j / np.pi, -0.5 + 4j / np.pi * (1 / 3)])
    np.testing.assert_allclose(s4d_eigenvalues(4, law="real"), -np.arange(1.0, 5.0))
    legs = s4d_eigenvalues(32, law="legs")
    inv = s4d_eigenvalues(32, law="inv")
    # "inv" is the published fit of the largest frequencies of "legs"; "lin" is no fit of them.
    np.testing.assert_allclose(np.sort(legs.imag)[-3:], np.sort(inv.imag)[-3:], rtol=0.1)
    assert abs(legs.imag.max() / s4d_eigenvalues(32).imag.max() - 1) > 1


def test_s4d_parts():
    shape = Geometry((2, 4))
    eigenvalues = S4D("inv", "real").draw(shape, 0) + 1j * S4D("inv", "imag").draw(shape, 0)
    np.testing.assert_allclose(eigenvalues[1], s4d_eigenvalues(4, law="inv"), rtol=1e-6)
    np.testing.assert_allclose(-np.exp(S4D("real", "log_decay").draw(shape, 0)[0]), [-1, -2, -3, -4], rtol=1e-6)
    for recipe in (S4D(), LogIndex(), Hippo("B")):
        with pytest.raises(ShapeError, match=r"must be \(..., N\)|needs the shape \(..., N\)"):
            recipe.draw(Geometry(()), 0)


def test_s5_is_the_real_system_in_another_basis():
    eigenvalues, b, c = s5_arrays(12, features=3, key=5)
    whole, v = hippo_legs_diagonal(12)
    np.testing.assert_allclose(eigenvalues, whole[6:])
    # From the kept half: the real B and C.
    real_b = 2 * (v[:, 6:] @ b).real
    real_c = 2 * (c @ v[:, 6:].conj().T).real
    a, _, p = hippo_legs(12)
    normal = a + np.outer(p, p)
    for steps in (0, 1, 5):
        expected = real_c @ np.linalg.matrix_power(np.eye(12) + 0.01 * normal, steps) @ real_b
        ours = 2 * (c @ np.diag((1 + 0.01 * eigenvalues) ** steps) @ b).real
        np.testing.assert_allclose(ours, expected, atol=1e-10)
    with pytest.raises(ArgumentError, match="state must be even; got 5"):
        s5_arrays(5, features=3, key=5)


def test_s5_has_lecun_normal_matrices():
    arrays = [s5_arrays(32, features=8, key=key) for key in range(20)]
    _, v = hippo_legs_diagonal(32)
    assert_std(np.stack([2 * (v[:, 16:] @ each.b).real for each in arrays]), 8**-0.5)
    assert_std(np.stack([2 * (each.c @ v[:, 16:].conj().T).real for each in arrays]), 32**-0.5)


@pytest.mark.parametrize("stored", ["log", "inverse_softplus"])
def test_time_steps_are_spread_evenly_over_their_logarithm(stored):
    values = StepSize(1e-3, 0.1, stored).draw(MANY, 3).astype(np.float64)
    step = np.exp(values) if stored == "log" else np.log1p(np.exp(values))
    assert 0.999e-3 < step.min() < step.max() < 0.1001
    place = (np.log(step) - math.log(1e-3)) / math.log(100)
    assert_mean(place, 0.5)
    assert_std(place, 12**-0.5)
    # The control: steps that are spread evenly themselves.
    with pytest.raises(AssertionError, match="mean"):
        assert_mean((step - 1e-3) / 0.099, 0.5)


def test_mambas_floor_raises_small_steps():
    values = StepSize(1e-5, 0.1, "log", 1e-4).draw(MANY, 3)
    np.testing.assert_allclose(values.min(), math.log(1e-4), rtol=1e-6)


@pytest.mark.parametrize("stored", ["log_log", "inverse_softplus"])
def test_eigenvalues_are_uniform_over_the_ring(stored):
    values = Ring(0.4, 0.99, stored).draw(MANY, 3).astype(np.float64)
    rate = np.exp(values) if stored == "log_log" else np.log1p(np.exp(values))
    area = (np.exp(-2 * rate) - 0.4**2) / (0.99**2 - 0.4**2)
    assert area.min() > -1e-6
    assert area.max() < 1 + 1e-6
    assert_mean(area, 0.5)
    assert_std(area, 12**-0.5)
    # The control: the magnitude itself is not uniform.
    with pytest.raises(AssertionError, match="mean"):
        assert_mean((np.exp(-rate) - 0.4) / 0.59, 0.5)


def test_gamma_gives_every_state_variance_one():
    nu = Ring(0.5, 0.95).draw(Geometry((6,)), 1)
    magnitude = np.exp(-np.exp(nu.astype(np.float64)))
    # x <- lambda x + gamma u has the variance gamma^2 / (1 - |lambda|^2).
    np.testing.assert_allclose(np.exp(lru_gamma_log(nu)) ** 2 / (1 - magnitude**2), 1.0, rtol=1e-9)


def test_mamba_decays_and_mamba_2_rates():
    decays = np.exp(families.mamba(dt_rank=4)["A_log"].draw(Geometry((3, 16)), 0)[2])
    np.testing.assert_allclose(decays, np.arange(1, 17), rtol=1e-6)
    rates = np.exp(families.mamba2()["A_log"].draw(MANY, 1).astype(np.float64))
    assert_mean(rates, 8.5)
    assert_std(rates, 15 / math.sqrt(12))
    assert families.mamba(dt_rank=4)["dt_proj.weight"].draw(MANY, 1).max() < 0.5


def test_phases_are_uniform():
    phases = np.exp(families.lru(features=4, state=8, max_phase=3.0)["theta_log"].draw(MANY, 1).astype(np.float64))
    assert_mean(phases, 1.5)
    assert_std(phases, 3 / math.sqrt(12))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: LogOfUniform(2.0, 1.0), "high must be larger than low"),
        (lambda: LogOfUniform(-1.0, 1.0), "low must be a finite number >= 0; got -1"),
        (lambda: StepSize(0.1, 0.01), "low and high must be 0 < low < high"),
        (lambda: StepSize(stored="softplus"), "Did you mean 'inverse_softplus'"),
        (lambda: Ring(0.5, 1.5), r"must be 0 <= inner < outer <= 1(.|\n)*a magnitude above 1 explodes"),
        (lambda: s4d_eigenvalues(4, law="linear"), "law must be one of the known ones; got 'linear'"),
        (lambda: hippo_legs(0), "size must be an integer >= 1; got 0"),
    ],
)
def test_bad_parameters_are_errors(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()
