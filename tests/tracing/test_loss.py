"""The best constant guess against answers that are known in closed form; and what is said of a loss that cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from penstock.errors import ArgumentError, ModelError
from penstock.tracing import loss as of_loss
from penstock.tracing.loss import best_constant, called, check_loss, no_scalar

N, CLASSES = 64, 5
RNG = np.random.default_rng(0)
LABELS = RNG.choice(CLASSES, N, p=[0.5, 0.2, 0.15, 0.1, 0.05])
SHARES = np.bincount(LABELS, minlength=CLASSES) / N
ENTROPY = -float((SHARES * np.log(SHARES)).sum())


def cross_entropy(x):
    """Of logits that are spread over the inputs, and its gradient."""
    logits = np.broadcast_to(x, (N, CLASSES))
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    slope = (np.exp(log_p) - np.eye(CLASSES)[LABELS]) / N
    return float(-log_p[np.arange(N), LABELS].mean()), slope.sum(0, keepdims=True)


def absolute(target):
    def slope(x):
        miss = x - target
        return float(np.abs(miss).mean()), np.sign(miss).sum(0, keepdims=True) / miss.size

    return slope


def test_of_cross_entropy_it_is_the_entropy_of_the_labels():
    found = best_constant((N, CLASSES), lambda x: cross_entropy(x)[0], cross_entropy)
    assert found == pytest.approx(ENTROPY, rel=1e-5)
    # Control: zeros alone cost log(classes), which is more.
    assert cross_entropy(np.zeros((1, CLASSES)))[0] == pytest.approx(math.log(CLASSES))
    assert 0.9 * math.log(CLASSES) > ENTROPY


def test_of_absolute_errors_it_is_that_of_the_median_whatever_the_scale():
    for scale in (1e-3, 1.0, 1e4):
        target = scale * (RNG.standard_normal((N, 2)) ** 3 + 1.0)
        slope = absolute(target)
        best = float(np.abs(target - np.median(target, axis=0)).mean())
        found = best_constant(target.shape, lambda x, slope=slope: slope(x)[0], slope)
        assert found == pytest.approx(best, rel=0.01)
        assert found is not None
        assert found >= best * (1.0 - 1e-12)
        # Control: the mean is another constant, and worse.
        assert float(np.abs(target - target.mean(0)).mean()) > 1.01 * best


def test_a_batch_of_fewer_inputs_than_units_is_not_learned_by_heart():
    target = RNG.standard_normal((3, 8))
    zeros, tall = float((target**2).mean()), np.tile(target, (8, 1))

    def slope(target):
        return lambda x: (float(((x - target) ** 2).mean()), 2.0 * (x - target).sum(0, keepdims=True) / target.size)

    def value(target):
        return lambda x: float(((x - target) ** 2).mean())

    assert best_constant((3, 8), value(target), slope(target)) == pytest.approx(zeros, rel=1e-12)
    # Control: of enough inputs the means are fitted.
    assert best_constant((24, 8), value(tall), slope(tall)) == pytest.approx(float(target.var(0).mean()), rel=1e-6)


def test_channels_may_lie_on_the_second_axis():
    target = np.arange(4.0)[None, :, None, None] + np.zeros((6, 4, 5, 5))

    def slope(x):
        miss = np.broadcast_to(x - target, target.shape)
        axes = tuple(a for a in range(4) if x.shape[a] == 1)
        return float((miss**2).mean()), 2.0 * miss.sum(axis=axes, keepdims=True) / miss.size

    assert best_constant(target.shape, lambda x: slope(x)[0], slope) == pytest.approx(0.0, abs=1e-9)


def test_there_is_none_of_what_is_too_large_has_no_axis_or_raises(monkeypatch):
    def broken(x):
        raise TypeError("the loss wants an image")

    assert best_constant((), lambda x: 1.0, lambda x: (1.0, x)) is None
    assert best_constant((N, 2), broken, broken) is None
    assert best_constant((N, 2), lambda x: math.nan, lambda x: (math.nan, x)) is None
    slope = absolute(np.ones((N, 2)))
    assert best_constant((N, 2), lambda x: slope(x)[0], slope) is not None
    monkeypatch.setattr(of_loss, "CONSTANT_ELEMENTS", 2 * N - 1)
    assert best_constant((N, 2), lambda x: slope(x)[0], slope) is None


def test_a_loss_that_is_none_or_fails_is_told_of():
    check_loss(None, example="")
    check_loss(abs, example="")
    with pytest.raises(ArgumentError, match=r"(?s)loss must be a function of the model's output; got float.*loss=abs"):
        check_loss(0.5, example="loss=abs")

    def broken(output):
        raise ValueError("no target")

    assert called(abs, -2.0, shown="-2", example="") == 2.0
    with pytest.raises(ModelError, match=r"(?s)it raised ValueError: no target.*output 3 x 4.*loss=abs") as caught:
        called(broken, 1.0, shown="3 x 4", example="loss=abs")
    assert isinstance(caught.value.__cause__, ValueError)
    assert "must return a scalar tensor; got shape (3,)" in str(no_scalar("tensor", "shape (3,)"))
