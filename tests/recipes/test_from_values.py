from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ArgumentError, ShapeError
from penstock.randomness import fill
from penstock.recipes.from_values import (
    admin,
    eva,
    eva_ranks,
    loftq,
    lora_ga,
    low_rank,
    mimetic_query_key,
    mimetic_value_output,
    olora,
    pissa,
    weight_selection,
)


def normal(*shape: int, key: int = 1) -> np.ndarray:
    return fill("normal", shape, key).astype(np.float64)


def adapted(method: str, weight: np.ndarray, rank: int, scaling: float):
    if method == "lora_ga":
        return lora_ga(weight, normal(*weight.shape, key=2), rank=rank, scaling=scaling)
    return {"pissa": pissa, "olora": olora}[method](weight, rank=rank, scaling=scaling)


@pytest.mark.parametrize("method", ["pissa", "olora", "lora_ga"])
@settings(max_examples=15, deadline=None)
@given(rows=st.integers(4, 20), columns=st.integers(4, 20), rank=st.integers(1, 2), scaling=st.floats(0.1, 8))
def test_the_effective_weight_is_unchanged(method, rows, columns, rank, scaling):
    weight = normal(rows, columns)
    rest, a, b = adapted(method, weight, rank, scaling)
    assert (a.shape, b.shape) == ((rank, columns), (rows, rank))
    np.testing.assert_allclose(rest + scaling * b @ a, weight, atol=1e-10)
    # The control: the adapter is not nothing.
    assert np.abs(scaling * b @ a).max() > 1e-3


@pytest.mark.parametrize("method", ["pissa", "olora", "lora_ga"])
def test_float32_weights_stay_float32(method):
    weight = normal(12, 10).astype(np.float32)
    rest, a, b = adapted(method, weight, 2, 2.0)
    assert rest.dtype == a.dtype == b.dtype == np.float32
    np.testing.assert_allclose(rest + 2.0 * b @ a, weight, atol=1e-5)


def test_pissa_takes_the_largest_singular_values():
    weight = normal(12, 8)
    rest, a, b = pissa(weight, rank=3, scaling=4.0)
    values = np.linalg.svd(weight, compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(4.0 * b @ a, compute_uv=False)[:3], values[:3])
    np.testing.assert_allclose(np.linalg.norm(rest, 2), values[3])
    np.testing.assert_allclose(np.diag(a @ a.T), np.diag(b.T @ b))


def test_olora_and_lora_ga_have_orthogonal_factors():
    _, _, b = olora(normal(12, 8), rank=3)
    np.testing.assert_allclose(b.T @ b, np.eye(3), atol=1e-12)
    gradient = normal(16, 8, key=3)
    _, a, b = lora_ga(normal(16, 8), gradient, rank=3, gamma=4.0)
    np.testing.assert_allclose(a @ a.T, 16**0.5 / 4 * np.eye(3), atol=1e-12)
    np.testing.assert_allclose(b.T @ b, 16**0.5 / 4 * np.eye(3), atol=1e-12)
    # The first step of W + B A is B B^T grad + grad A^T A: the best rank 2 r part of the gradient.
    step = (b @ b.T @ gradient + gradient @ a.T @ a) / (16**0.5 / 4)
    values = np.linalg.svd(gradient, compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(step, compute_uv=False)[:6], values[:6])
    np.testing.assert_allclose(np.linalg.norm(gradient - step, 2), values[6])


def test_eva_finds_where_the_inputs_vary():
    basis, _ = np.linalg.qr(normal(10, 10))
    inputs = normal(500, 10, key=4) * np.array([5.0, 3.0, *[0.01] * 8]) @ basis.T
    a, share = eva(inputs, rank=2)
    np.testing.assert_allclose(np.abs(a @ basis[:, :2]), np.eye(2), atol=0.2)
    np.testing.assert_allclose(a @ a.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(((inputs @ a.T) ** 2).sum(axis=0) / (inputs**2).sum(), share)
    assert share.sum() > 0.99
    assert eva_ranks({"a": [0.9, 0.05], "b": [0.5, 0.4], "c": [0.01]}, budget=3) == {"a": 1, "b": 2, "c": 0}
    assert sum(eva_ranks({"a": [0.9, 0.05]}, budget=9).values()) == 2


def test_low_rank_factors_are_the_best_and_balanced():
    weight = normal(12, 9)
    left, right = low_rank(weight, rank=4)
    values = np.linalg.svd(weight, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(weight - left @ right, 2), values[4])
    np.testing.assert_allclose(left.T @ left, right @ right.T, atol=1e-12)
    full = low_rank(weight, rank=9)
    np.testing.assert_allclose(full[0] @ full[1], weight, atol=1e-12)


def test_mimetic_queries_and_keys_look_like_identities():
    queries, keys = mimetic_query_key(64, heads=1, key=3)
    logits = queries.T.astype(np.float64) @ keys - 0.7 * np.eye(64)
    # What is left is 0.7 Z with Z ~ N(0, 1/64): 4096 values, SE(std) = std / sqrt(2 n).
    np.testing.assert_allclose(logits.std(), 0.7 / 8, rtol=5 / np.sqrt(2 * 4096))
    np.testing.assert_allclose(np.diag(logits).mean(), 0.0, atol=5 * 0.7 / 64)
    queries, keys = mimetic_query_key(64, heads=4, key=3)
    for head in range(4):
        rows = slice(16 * head, 16 * head + 16)
        assert np.linalg.matrix_rank(queries[rows].T @ keys[rows]) == 16
        assert np.trace(queries[rows].T @ keys[rows]) > 0
    # The control: the heads differ.
    assert np.abs(queries[:16] - queries[16:32]).max() > 0.01


def test_mimetic_values_push_tokens_apart():
    values, output = mimetic_value_output(64, key=3)
    product = output.astype(np.float64) @ values + 0.4 * np.eye(64)
    np.testing.assert_allclose(product.std(), 0.4 / 8, rtol=5 / np.sqrt(2 * 4096))
    assert np.trace(output @ values) < 0


@pytest.mark.parametrize(
    ("old", "new", "places"), [(6, 3, [0, 2, 4]), (7, 3, [0, 3, 6]), (5, 5, range(5)), (4, 1, [0])]
)
def test_weight_selection_places(old, new, places):
    np.testing.assert_array_equal(weight_selection(np.arange(old), (new,)), places)


def test_weight_selection_of_all_axes_is_a_copy():
    teacher = normal(8, 6, 3)
    student = weight_selection(teacher, (4, 3, 3))
    np.testing.assert_array_equal(student, teacher[::2, ::2])
    assert not np.shares_memory(student, teacher)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: pissa(np.ones(4), rank=1), ShapeError, "weight must be a matrix with both sides >= 1; got shape"),
        (lambda: pissa(np.ones((4, 2)), rank=3), ShapeError, "both sides >= 3"),
        (lambda: pissa(np.full((4, 4), np.nan), rank=1), ArgumentError, "weight must be finite; got infinities or NaN"),
        (lambda: pissa(np.eye(4), rank=1, scaling=0.0), ArgumentError, "scaling must be positive; got 0"),
        (lambda: olora(np.eye(4), rank=0), ArgumentError, "rank must be an integer >= 1; got 0"),
        (lambda: lora_ga(np.eye(4), np.eye(5), rank=1), ShapeError, r"must have the weight's shape \(4, 4\)"),
        (lambda: lora_ga(np.eye(4), np.eye(4), rank=3), ShapeError, "both sides >= 6"),
        (lambda: eva(np.zeros((4, 4)), rank=1), ArgumentError, "inputs must not all be zero"),
        (lambda: mimetic_query_key(10, heads=3, key=1), ArgumentError, "width must be a multiple of heads"),
        (
            lambda: weight_selection(np.eye(4), (5, 4)),
            ShapeError,
            r"shape must have 2 sizes from 1 to those of \(4, 4\)",
        ),
        (lambda: weight_selection(np.eye(4), (2,)), ShapeError, r"got \(2,\)"),
    ],
)
def test_bad_arguments_are_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()


def four_levels(weight: np.ndarray) -> np.ndarray:
    return np.clip(np.round(weight), -2, 1)


def test_loftq_is_nearer_to_the_weight_than_quantising_alone_and_more_steps_do_not_hurt():
    weight = normal(32, 24)
    errors = []
    for steps in (1, 2, 5):
        frozen, a, b = loftq(weight, rank=4, quantize=four_levels, steps=steps, scaling=2.0)
        np.testing.assert_array_equal(four_levels(frozen), frozen)
        errors.append(np.linalg.norm(weight - frozen - 2.0 * b @ a))
    assert errors[0] < 0.9 * np.linalg.norm(weight - four_levels(weight))
    assert errors[-1] <= errors[0]


def test_loftq_without_loss_by_quantising_changes_nothing():
    weight = normal(12, 10)
    frozen, a, b = loftq(weight, rank=2, quantize=lambda w: w)
    np.testing.assert_allclose(frozen + b @ a, weight, atol=1e-12)
    with pytest.raises(ShapeError, match=r"quantize must keep the shape \(12, 10\); it gave \(10, 12\)"):
        loftq(weight, rank=2, quantize=np.transpose)


def test_admin_gives_every_branch_the_same_say():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(2)
    variances = [0.5, 2.0, 1.0, 4.0]
    omega = admin(variances)
    x = torch.randn(20_000, generator=generator, dtype=torch.float64)
    shares = []
    for factor, variance in zip(omega, variances, strict=True):
        branch = torch.randn(20_000, generator=generator, dtype=torch.float64) * variance**0.5
        total = factor * x + branch
        shares.append(float(branch.var() / total.var()))
        x = total / total.std()
    # Branch i has the share v_i of the sum of the first i, as in a pre-norm stream; the first one meets an input of 1.
    wanted = np.array(variances) / np.cumsum(variances)
    wanted[0] = variances[0] / (1.0 + variances[0])
    np.testing.assert_allclose(shares, wanted, rtol=5 * np.sqrt(4 / 20_000))
    assert abs(variances[3] / (1.0 + variances[3]) - wanted[3]) > 0.2  # the control: omega = 1 everywhere
    with pytest.raises(ArgumentError, match="branch_variances must be finite numbers >= 0"):
        admin([1.0, -1.0])
