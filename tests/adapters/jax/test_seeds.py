"""The same seed, batch and names start PyTorch and Flax with the same bits; no plan has to be handed over."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("flax.nnx", reason="flax is not installed")

import jax_pairs
from adapters.jax.test_pairs import flat, made
from flax import nnx

import penstock
from penstock.planning import rounding

SEED = 3
PAIRS = jax_pairs.PAIRS


def started(pair: jax_pairs.Pair, *, seed: int = SEED) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The weights of both, in Flax's layout; PyTorch's first."""
    model, twin = made(pair), pair.flax(nnx.Rngs(1))
    x, y = pair.inputs()
    names = {name: jax_pairs.torch_name(name) for name in flat(twin)}
    penstock.initialize(model, x, seed=SEED)
    penstock.initialize(twin, y, seed=seed, names=names)
    values = {name: p.detach().numpy() for name, p in model.named_parameters()}
    return {n: jax_pairs.to_flax(n, values[own]) for n, own in names.items()}, flat(twin)


@pytest.mark.parametrize("name", PAIRS)
def test_a_seed_alone_starts_both_alike(name):
    first, second = started(PAIRS[name])
    for parameter, values in first.items():
        np.testing.assert_array_equal(second[parameter], values, err_msg=parameter)


def test_another_seed_or_no_rounding_does_not(monkeypatch):
    """Controls: the comparison sees another seed, and the last digits of what was measured."""
    first, second = started(PAIRS["mlp"], seed=4)
    assert any(not np.array_equal(second[n], values) for n, values in first.items())
    for module in ("torch.calibrate", "planning.correcting"):
        monkeypatch.setattr(f"penstock.{module}.rounded", lambda value: value)
    monkeypatch.setattr("penstock.planning.correcting.rounded_within", lambda xp, values: values)
    monkeypatch.setattr("penstock.planning.rules.gains.rounded", lambda value: value)
    first, second = started(PAIRS["mlp"])
    assert any(not np.array_equal(second[n], values) for n, values in first.items())
    for parameter, values in first.items():
        np.testing.assert_allclose(second[parameter], values, rtol=2e-6, atol=1e-9, err_msg=parameter)


def test_numbers_are_rounded_to_what_they_say():
    numbers = np.geomspace(1e-3, 1e3, 1001)
    near = rounding.rounded_each(numbers)
    assert np.abs(near / numbers - 1).max() <= 0.5 * 10.0 ** (1 - rounding.DIGITS) * (1 + 1e-9)
    assert [float(f"{v:.2e}") for v in numbers] == near.tolist()
    # A compiled program in float32 comes to the same decimal, once NumPy has read it again.
    within = rounding.rounded_each(np.float32(rounding.rounded_within(np, numbers.astype(np.float32))))
    assert np.mean(within != near) < 1e-3
    assert rounding.rounded(float("inf")) == float("inf")
