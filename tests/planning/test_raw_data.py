"""Data in units of their own, such as pixels of 0 to 255: neither the plan nor the checks take them for a fault."""

from __future__ import annotations

import pytest
import torch
from checks.builder import stack, verdict, with_signal
from torch import Tensor, nn
from torch_models import normal, seeded

import penstock
from penstock.planning.plan import Entry
from penstock.recipes import Orthogonal, VarianceScaling

DEPTH = 20
PIXELS = (127.5 + 60.0 * normal(64, 12)).clamp(0.0, 255.0)


class Rescaled(nn.Module):
    """Divides its pixels by 127.5 and takes 1 away, as many published models do themselves."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x / 127.5 - 1.0)


class Scaled(Rescaled):
    """Divides by 255 alone."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x / 255.0)


def deep(depth: int, *, norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Linear(12, 32)]
    for _ in range(depth):
        layers += [nn.BatchNorm1d(32, eps=1e-3)] if norm else []
        layers += [nn.ReLU(), nn.Linear(32, 32)]
    return [*layers, nn.ReLU(), nn.Linear(32, 3)]


def gain_of(entry: Entry) -> float:
    assert isinstance(entry.recipe, VarianceScaling | Orthogonal), entry
    return entry.recipe.gain


def codes(report: penstock.Report) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity != "note"}


def test_weights_behind_rescaled_data_get_the_gain_of_what_they_read():
    plan = penstock.plan(seeded(lambda: Rescaled(*deep(1, norm=False))), PIXELS)
    rms = (PIXELS / 127.5 - 1.0).pow(2).mean().sqrt().item()
    assert gain_of(plan["layers.0.weight"]) * rms == pytest.approx(1.0, rel=2e-3)  # kept with three digits
    assert "data of RMS" in plan["layers.0.weight"].reason
    # A function of a signal is none of the data, whatever its size.
    assert gain_of(plan["layers.2.weight"]) == pytest.approx(2**0.5)


def test_weights_between_large_data_and_a_norm_are_not_made_small():
    model = seeded(lambda: nn.Sequential(*deep(4, norm=True)))
    data = 90.0 * normal(64, 12)
    done = penstock.initialize(model, data, seed=0)
    assert gain_of(done.plan["0.weight"]) == 1.0
    assert codes(done.after) == set()
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(1 / 90)
    assert "B104" in codes(penstock.check(model, data))


def test_weights_between_small_data_and_a_norm_are_made_large():
    plan = penstock.plan(seeded(lambda: nn.Sequential(*deep(1, norm=True))), 0.1 * normal(64, 12))
    assert gain_of(plan["0.weight"]) > 9.0


@pytest.mark.parametrize(("rms", "expected"), [(0.55, None), (0.35, ("error", "layers.8"))])
def test_large_data_are_no_signal_that_vanishes(rms, expected):
    """Nine layers lose what they lose; from 200 down to 1 nothing is lost."""
    assert verdict("F101", with_signal(stack(10, rms=rms), 0, rms=200.0)) == expected


def test_what_rescales_the_data_wants_no_gain_of_the_first_weights():
    model = seeded(lambda: Scaled(*deep(2, norm=False)))
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        if weight.ndim == 2:
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    assert "G102" not in codes(penstock.check(model, PIXELS))
    default = seeded(lambda: Scaled(*deep(9, norm=False)))
    (found,) = [f for f in penstock.check(default, PIXELS).findings if f.code == "G102"]
    assert not found.place.startswith("layers.0.")


@pytest.mark.parametrize(
    ("module", "flat", "good", "said", "hint"),
    [
        (Rescaled, normal(64, 12), PIXELS, "(sub#1) hardly differs: mean -1, standard deviation 0.00", "pixels"),
        (nn.Sequential, 0.005 * normal(64, 12), normal(64, 12), "the data hardly differ: mean ", "batch / batch.std()"),
    ],
)
def test_gradients_that_explode_over_flat_data_alone_are_the_batch_s_fault(module, flat, good, said, hint):
    model = seeded(lambda: module(*deep(DEPTH, norm=True)))
    (found,) = [f for f in penstock.check(model, flat).findings if f.code == "B102"]
    assert said in found.cause
    assert hint in found.hint
    assert "B102" not in codes(penstock.check(model, good))
    # Twice as deep, it explodes whatever the batch is.
    deeper = seeded(lambda: module(*deep(2 * DEPTH, norm=True)))
    (found,) = [f for f in penstock.check(deeper, flat).findings if f.code == "B102"]
    assert found.cause.startswith("weights too large")
