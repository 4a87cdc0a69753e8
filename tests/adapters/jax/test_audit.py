"""`penstock.audit` for JAX: parameters under two keys, copies, numbers that are none; and whose model it is."""

from __future__ import annotations

import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")

import jax
import jax.numpy as jnp
import torch

import penstock
from penstock.report.audit_report import AuditReport

linen = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")


def codes(report: AuditReport) -> list[str]:
    return sorted(f.code for f in report.findings)


def one_key(key):
    return {"a": jax.random.normal(key, (4, 8)), "b": jax.random.normal(key, (4, 8)), "c": jnp.zeros(8)}


def split_keys(key):
    first, second = jax.random.split(key)
    return {"a": jax.random.normal(first, (4, 8)), "b": jax.random.normal(second, (4, 8)), "c": jnp.zeros(8)}


def test_a_key_that_is_used_twice_makes_copies():
    report = penstock.audit(one_key)
    assert codes(report) == ["S102"]
    assert report.findings[0].place == "b"
    assert "jax.random.split" in report.findings[0].hint
    assert report.audited.tensors["b"].shown.twin == "a"
    # Control: keys of their own.
    assert codes(penstock.audit(split_keys)) == []


def test_numbers_that_are_none():
    report = penstock.audit(lambda key: {**split_keys(key), "d": jnp.log(jnp.array([0.0, 1.0]))})
    assert codes(report) == ["U102"]
    assert "50 %" in report.findings[0].observation
    assert "jnp.log" in report.findings[0].hint


def test_what_no_key_decides_is_told_and_is_no_copy():
    def init(key):
        fixed = jax.random.normal(jax.random.key(0), (4, 8))
        return {**split_keys(key), "table": jnp.sin(jnp.arange(32.0)), "fixed": fixed, "again": fixed}

    report = penstock.audit(init)
    assert codes(report) == []
    assert [n for n in report.audited.notes if "again, fixed, table" in n]
    assert report.audited.tensors["a"].shown.last.asked == "a draw"
    assert report.audited.tensors["c"].shown.last.asked == "constant 0"
    # Under one key nothing can be said of keys, and equal values are copies.
    report = penstock.audit(lambda: (jnp.matmul, init(jax.random.key(1))))
    assert codes(report) == ["S102"]
    assert [n for n in report.audited.notes if "one key alone" in n]


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(linen.relu(linen.Dense(8)(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.a, self.b = nnx.Linear(6, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.b(nnx.relu(self.a(x)))


@pytest.mark.parametrize(
    ("make", "draws"),
    [
        (lambda: penstock.audit(Linen(), jnp.ones((2, 6))), 2),
        (lambda: penstock.audit(lambda: Linen(), jnp.ones((2, 6))), 2),  # noqa: PLW0108  a factory, not a class
        (lambda: penstock.audit(lambda key: Nnx(nnx.Rngs(key))), 2),
        (lambda: penstock.audit(lambda: Nnx(nnx.Rngs(0))), 0),
        (lambda: penstock.audit(Nnx(nnx.Rngs(0))), 0),
    ],
)
def test_modules_are_clean(make, draws):
    report = make()
    assert codes(report) == []
    asked = [t.shown.last.asked for t in report.audited.tensors.values()]
    assert (asked.count("a draw"), asked.count("constant 0")) == (draws, 2)
    assert "jax" in report.audited.library
    assert "constant 0" in str(report)


def test_a_function_without_arguments_is_of_the_framework_that_it_builds():
    state = torch.random.get_rng_state()
    assert "torch" in penstock.audit(lambda: torch.nn.Linear(4, 2)).audited.library
    assert torch.equal(state, torch.random.get_rng_state())


BAD = {
    "no batch": (lambda: penstock.audit(Linen()), penstock.ArgumentError, "batch must be given: Linen"),
    "a bad batch": (lambda: penstock.audit(Linen(), jnp.ones(())), penstock.ModelError, "init of Linen must run on"),
    "raises": (lambda: penstock.audit(lambda key: 1 / 0), penstock.ModelError, "raised ZeroDivisionError"),
    "no model": (lambda: penstock.audit(lambda key: 3), penstock.UnsupportedError, "it returned int"),
    "an argument": (lambda: penstock.audit(lambda depth: Linen()), penstock.ArgumentError, "must need no arguments"),
    "a number": (lambda: penstock.audit(3), penstock.UnsupportedError, "got int"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_audited(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()
