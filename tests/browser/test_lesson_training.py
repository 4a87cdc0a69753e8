"""Training in the page against PyTorch: odd shapes, networks in turn, and buffers that are used again."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from penstock.lesson.page import lesson_page
from penstock.randomness import fill, key_for


@pytest.fixture
def page(watched, tmp_path):
    path = tmp_path / "lesson.html"
    path.write_text(lesson_page(), encoding="utf-8")
    one = watched()
    one.open(path)
    return one.page


# Widths and numbers of rows that are no multiples of the three by three tiles; two networks in turn, and a batch
# that shrinks, so that a buffer of the step before would show.
STEPS = """
([networks, batches, rate]) => {
  const act = penstock.activationOf("tanh"), last = penstock.activationOf("linear");
  const layers = networks.map((widths) => penstock.network({ widths, start: "xavier", seed: 3, act, last }));
  return batches.map((n) => layers.map((one, i) => {
    const classes = networks[i].at(-1), x = penstock.raw("normal", 1, "x", n * networks[i][0]);
    const labels = Array.from({ length: n }, (_, r) => r % classes);
    return penstock.step(one, x, labels, n, rate, classes).loss;
  }));
}
"""
NETWORKS = [[5, 7, 1, 4], [8, 3, 2]]
BATCHES = [7, 7, 2, 1, 7]
RATE = 0.3


def trained(widths: list[int], rate: float) -> list[float]:
    weights = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        scale = float(np.float32(math.sqrt(2 / (inputs + outputs))))
        values = fill("normal", (outputs, inputs), key_for(3, f"{i}.weight"), scale=scale)
        weights += [torch.from_numpy(values).double(), torch.zeros(outputs, dtype=torch.float64)]
    for weight in weights:
        weight.requires_grad_()
    losses = []
    for n in BATCHES:
        h = torch.from_numpy(fill("normal", (n, widths[0]), key_for(1, "x"))).double()
        for i in range(0, len(weights), 2):
            h = h @ weights[i].T + weights[i + 1]
            h = torch.tanh(h) if i + 2 < len(weights) else h
        loss = torch.nn.functional.cross_entropy(h, torch.arange(n) % widths[-1])
        grads = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, grad in zip(weights, grads, strict=True):
                weight.sub_(rate * grad)
        losses.append(loss.item())
    return losses


def test_training_is_pytorchs_for_odd_shapes_and_networks_in_turn(page):
    told = np.array(page.evaluate(STEPS, [NETWORKS, BATCHES, RATE])).T
    for ours, widths in zip(told, NETWORKS, strict=True):
        np.testing.assert_allclose(ours, trained(widths, RATE), rtol=1e-6)
        assert abs(ours[-1] - trained(widths, RATE * 1.1)[-1]) > 1e-4  # the control: a step of another size is seen


def test_erf_is_pythons_in_each_of_its_ranges(page):
    points = [*np.linspace(-7, 7, 281), 0.46875, np.nextafter(0.46875, 1), 1e-300, -1e-9, 6.0]
    told = page.evaluate("xs => xs.map(penstock.erf)", [float(x) for x in points])
    np.testing.assert_allclose(told, [math.erf(x) for x in points], rtol=4e-15)
