"""Every family of JAX's models: read without a gap, planned, initialized, and without an error after; broken, found."""

from __future__ import annotations

import pytest

pytest.importorskip("jax.numpy", reason="jax is not installed")
pytest.importorskip("flax.linen", reason="flax is not installed")
pytest.importorskip("equinox", reason="equinox is not installed")
pytest.importorskip("haiku", reason="haiku is not installed")

import jax
import numpy as np
from adapters.jax.zoo import MODELS

import penstock


def errors(report: penstock.Report) -> list[str]:
    return [f"{f.code} {f.place}: {f.observation}" for f in report.findings if f.severity == "error"]


def arrays(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


@pytest.mark.parametrize("name", MODELS)
def test_a_family_starts_well(name):
    model, batch = MODELS[name]()
    done = penstock.initialize(*model, batch, seed=0)
    graph = done.after.measured.graph
    assert errors(done.before) == []
    assert errors(done.after) == []
    assert graph.unknown_ops == ()
    assert [e.name for e in done.plan.entries if e.rule == "left over"] == []
    assert all(p.uses for p in done.after.measured.parameters.values())
    assert [f.place for f in (*done.before.findings, *done.after.findings) if f.code == "G101"] == []


@pytest.mark.parametrize("name", ["flax transformer", "equinox mlp", "haiku cnn"])
def test_a_broken_one_is_found(name):
    model, batch = MODELS[name]()
    broken = jax.tree.map(lambda w: 0.0 * w if isinstance(w, jax.Array) and w.ndim > 1 else w, model[-1])
    assert errors(penstock.check(*model[:-1], broken, batch))
