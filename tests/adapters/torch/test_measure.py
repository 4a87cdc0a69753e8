"""The numbers of a check equal those of an independent computation: module hooks, retain_grad and float64."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_models import Written, integers, normal, seeded, trace

from penstock.signals import Measured

STANDARD_ERRORS = 5.0


def network(dtype: torch.dtype = torch.float32, scale: float = 1.0) -> nn.Sequential:
    made = seeded(
        lambda: nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 5))
    ).to(dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(scale)
    assert isinstance(made, nn.Sequential)
    return made


def default_loss(output: Tensor) -> Tensor:
    """The inner product that a check differentiates when no loss is given."""
    wide = torch.float64 if output.dtype == torch.float64 else torch.float32
    g = torch.randn(output.shape, generator=torch.Generator().manual_seed(0), dtype=wide).to(output.dtype)
    return (output * g).sum()


def by_hooks(model: nn.Module, batch: Tensor) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Numbers of each leaf module's output, and the RMS of each parameter's gradient, in float64."""
    kept: list[Tensor] = []

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handles = [m.register_forward_hook(hook) for m in model.modules() if not list(m.children())]
    default_loss(model(batch)).backward()
    for handle in handles:
        handle.remove()
    signals = []
    for t in kept:
        x = t.detach().double()
        unit = x / x.norm(dim=1, keepdim=True).clamp_min(1e-300)
        n = len(x)
        signals.append(
            {
                "rms": _rms(x),
                "mean": x.mean().item(),
                "zero_share": (x == 0).double().mean().item(),
                "correlation": ((unit @ unit.T).sum().item() - n) / (n * (n - 1)),
                "grad_rms": _rms(t.grad),
            }
        )
    return signals, {n: _rms(p.grad) for n, p in model.named_parameters()}


def _rms(tensor: Tensor | None) -> float:
    assert tensor is not None
    return tensor.detach().double().pow(2).mean().sqrt().item()


# The dtype's own rounding enters where the gradient passes through other kernels; the statistics are float32 or wider.
PRECISION = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


@pytest.mark.parametrize("dtype", PRECISION, ids=str)
def test_signals_and_gradients_are_those_of_hooks(dtype: torch.dtype):
    model, batch = network(dtype), normal(32, 6, dtype=dtype)
    signals, gradients = by_hooks(network(dtype), batch)
    measured = trace(model, batch)
    assert len(measured.graph.nodes) == 1 + len(signals)
    for stats, wanted in zip(measured.signals[1:], signals, strict=True):
        assert stats is not None
        for key, value in wanted.items():
            tolerance = PRECISION[dtype] if key == "grad_rms" else min(PRECISION[dtype], 1e-5)
            assert getattr(stats, key) == pytest.approx(value, rel=tolerance, abs=tolerance * 1e-1), key
    for name, value in gradients.items():
        assert measured.parameters[name].grad_rms == pytest.approx(value, rel=PRECISION[dtype])


def test_the_comparison_sees_another_network():
    """Control."""
    signals, _ = by_hooks(network(scale=1.1), normal(32, 6))
    stats = trace(network(), normal(32, 6)).signals[1]
    assert stats is not None
    assert stats.rms != pytest.approx(signals[0]["rms"], rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [1e25, 1e-25])
def test_squares_neither_overflow_nor_underflow(dtype: torch.dtype, size: float):
    values = normal(64, 8, std=1.0)
    model = Written(lambda m, x: x * m.size, size=torch.tensor(size, dtype=dtype))
    before, stats = trace(model, values.to(dtype)).signals
    assert before is not None
    assert stats is not None
    assert stats.rms == pytest.approx(size * _rms(values.to(dtype)), rel=1e-2)
    assert stats.nonfinite_share == 0
    assert stats.correlation == pytest.approx(before.correlation, abs=1e-2)
    parameter = trace(Written(lambda m, x: x @ m.w, w=values.T.to(dtype) * size), normal(4, 8, dtype=dtype))
    assert parameter.parameters["w"].rms == pytest.approx(size * _rms(values.to(dtype)), rel=1e-2)


def test_single_numbers_of_one_sign_are_not_the_same_number():
    """The cosine of two positive numbers is 1 however they differ; constants have to stay at 1."""
    model = Written(lambda m, x: (x @ m.w).abs() + m.b, w=normal(6, 1), b=torch.zeros(1))
    differing = trace(model, normal(32, 6)).signals[-1]
    constant = trace(Written(lambda m, x: 0 * (x @ m.w) + m.b, w=normal(6, 1), b=torch.ones(1)), normal(32, 6)).signals[
        -1
    ]
    assert differing is not None
    assert constant is not None
    assert differing.correlation is not None
    assert differing.correlation < 0.9
    assert constant.correlation == pytest.approx(1.0, abs=1e-12)


def test_not_finite_elements_are_counted():
    divisor = (torch.arange(32) >= 4).float().reshape(4, 8)
    stats = trace(Written(lambda m, x: (x @ m.w) / divisor, w=normal(6, 8)), normal(4, 6)).signals[-1]
    assert stats is not None
    assert stats.nonfinite_share == pytest.approx(4 / 32)


def test_dead_and_saturated_shares():
    dead = Written(lambda m, x: torch.relu(x @ m.w + m.b), w=normal(6, 8), b=torch.tensor([-1e3] * 6 + [0.0, 0.0]))
    stats = trace(dead, normal(32, 6)).signals[-1]
    assert stats is not None
    assert (stats.dead_units, stats.units) == (6, 8)
    for std, saturated in ((100.0, True), (0.1, False)):
        share = trace(Written(lambda m, x: torch.tanh(x @ m.w), w=normal(6, 8, std=std)), normal(32, 6)).signals[-1]
        assert share is not None
        assert share.saturated_share is not None
        assert (share.saturated_share > 0.9) is saturated


def test_the_default_backward_signal_starts_at_one():
    """The RMS of n unit normals is 1 within 1/sqrt(2n)."""
    model = network()
    for batch in (normal(400, 6), normal(64, 6)):
        stats = trace(model, batch).signals[-1]
        assert stats is not None
        assert stats.grad_rms == pytest.approx(1.0, abs=STANDARD_ERRORS / math.sqrt(2 * stats.shape[0] * 5))
    with pytest.raises(AssertionError, match="assert"):
        assert stats.grad_rms == pytest.approx(2.0, abs=STANDARD_ERRORS / math.sqrt(2 * 64 * 5))


def test_a_given_loss_is_the_one_that_is_differentiated():
    batch, labels = normal(32, 6), integers(32, high=5)
    model = network()
    measured = trace(model, batch, loss=lambda output: F.cross_entropy(output, labels))
    value = F.cross_entropy(model(batch), labels)
    value.backward()
    assert measured.loss.given
    assert measured.loss.value == pytest.approx(value.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        assert measured.parameters[name].grad_rms == pytest.approx(_rms(parameter.grad), rel=1e-5)


def entropy(labels: Tensor, classes: int) -> float:
    p = torch.bincount(labels, minlength=classes).double() / labels.numel()
    return float(-(p[p > 0] * p[p > 0].log()).sum())


def test_the_best_constant_of_cross_entropy_is_the_entropy_of_the_labels():
    labels = torch.tensor([0] * 20 + [1] * 6 + [2] * 3 + [3] * 2 + [4])
    constant = trace(network(), normal(32, 6), loss=lambda o: F.cross_entropy(o, labels)).loss.constant
    assert constant == pytest.approx(entropy(labels, 5), rel=1e-3)
    assert constant != pytest.approx(math.log(5), rel=1e-1)


def test_the_best_constant_does_not_know_the_labels_of_a_small_batch_by_heart():
    """Four inputs, five classes: a fitted constant would reach log 4 without knowing anything."""
    labels = torch.tensor([0, 1, 2, 3])
    constant = trace(network(), normal(4, 6), loss=lambda o: F.cross_entropy(o, labels)).loss.constant
    assert constant == pytest.approx(math.log(5), rel=1e-6)


def test_the_best_constant_of_pixels_finds_the_axis_of_classes():
    labels = torch.randint(0, 3, (8, 4, 4), generator=torch.Generator().manual_seed(0)).clamp(max=1)
    model = torch.nn.Conv2d(2, 3, 1)
    constant = trace(model, normal(8, 2, 4, 4), loss=lambda o: F.cross_entropy(o, labels)).loss.constant
    assert constant == pytest.approx(entropy(labels.flatten(), 3), rel=1e-3)


def test_the_best_constant_of_a_square_is_the_variance():
    target = normal(32, 5, seed=3) * 2 + 7
    constant = trace(network(), normal(32, 6), loss=lambda o: F.mse_loss(o, target)).loss.constant
    variance = float((target - target.mean(0)).pow(2).mean())
    assert constant == pytest.approx(variance, rel=1e-4)


def test_the_best_constant_of_a_language_model_is_one_row():
    ids = integers(8, 12, high=7)
    model = seeded(lambda: nn.Sequential(nn.Embedding(7, 6), nn.Linear(6, 7)))
    loss = lambda o: F.cross_entropy(o.flatten(0, 1), ids.flatten())  # noqa: E731
    constant = trace(model, ids, loss=loss).loss.constant
    assert constant is not None
    assert constant <= entropy(ids.flatten(), 7) * 1.001


def test_activations_die_as_without_a_check():
    """Nothing but autograd keeps a signal: a tensor that backward does not need is gone before the next layer."""
    alive: list[int] = []
    seen: list[weakref.ref[Tensor]] = []

    def forward(m: Any, x: Tensor) -> Tensor:
        for _ in range(6):
            x = x @ m.w + 1.0  # its own result is needed by the next product only under grad
            seen.append(weakref.ref(x))
            gc.collect()
            alive.append(sum(r() is not None for r in seen))
        return x

    model = Written(forward, w=normal(4, 4)).requires_grad_(False)
    trace(model, normal(8, 4))
    assert max(alive) <= 3  # the running one, its predecessor, and one that waits for its hook
    gc.collect()
    assert all(r() is None for r in seen)


def test_nothing_is_kept_after_a_check():
    kept: list[weakref.ref[Tensor]] = []
    model = network()
    handle = model[2].register_forward_hook(lambda module, inputs, output: kept.append(weakref.ref(output)))
    measured = trace(model, normal(32, 6))
    handle.remove()
    gc.collect()
    assert len(kept) == 1
    assert kept[0]() is None
    assert isinstance(measured, Measured)


def test_ties_blocks_and_uses_are_measured():
    lstm = seeded(lambda: nn.LSTM(4, 6))
    with torch.no_grad():
        lstm.weight_hh_l0[6:12] *= 3
    stats = trace(lstm, normal(5, 8, 4)).parameters["weight_hh_l0"]
    assert stats.block_rms[1] == pytest.approx(_rms(lstm.weight_hh_l0[6:12]), rel=1e-5)
    assert stats.block_rms[0] == pytest.approx(_rms(lstm.weight_hh_l0[:6]), rel=1e-5)
