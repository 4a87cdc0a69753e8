"""A check hands the model back bit for bit, whatever happens in it; and the comparison that says so sees each leak."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.nn.utils import parametrizations
from torch_models import normal, seeded

import penstock
from penstock.errors import ArgumentError, ModelError

X = normal(8, 6)


class Net(nn.Module):
    """Everything that a forward pass can change: statistics, buffers, attributes, caches, its own weights."""

    def __init__(self, *, fails: str = "") -> None:
        super().__init__()
        self.fails = fails
        self.calls = 0
        self.cache: dict[str, Tensor] = {}
        self.register_buffer("running", torch.zeros(6))
        self.first = parametrizations.spectral_norm(nn.Linear(6, 6))
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.3)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.last = nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.running = self.running * 0.9 + x.detach().mean(0) * 0.1  # rebinds the buffer
        with torch.no_grad():
            self.scale.mul_(1.01)  # writes into a parameter
            self.last.weight.data[0] += torch.randn(6)
        h = self.drop(self.norm(self.first(x))) * self.scale
        self.cache["h"] = h
        if self.fails == "forward":
            raise RuntimeError("layer 3 is broken")
        if self.fails == "backward":
            h = Broken.apply(h)
        return self.last(torch.tanh(self.frozen(h)))


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        raise RuntimeError("no way back")


class Fired:
    """A hook that counts its calls."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *args: Any) -> None:
        self.count += 1


def build(fails: str = "") -> tuple[Net, Fired]:
    """The network with gradients, mixed training flags and every kind of hook."""
    model = seeded(lambda: Net(fails=fails))
    assert isinstance(model, Net)
    model.norm.eval()
    fired = Fired()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
            parameter.register_hook(fired)
            parameter.register_post_accumulate_grad_hook(fired)
    model.last.register_forward_hook(lambda *a: None)
    model.last.register_full_backward_hook(fired)
    return model, fired


def snapshot(model: nn.Module) -> dict[str, Any]:
    """All that must come back; tensors as copies, objects by identity."""
    parameters = dict(model.named_parameters())
    return {
        "state": {k: v.detach().clone() for k, v in model.state_dict().items()},
        "parameters": {k: id(p) for k, p in parameters.items()},
        "buffers": {k: id(b) for k, b in model.named_buffers()},
        "grads": {k: None if p.grad is None else (id(p.grad), p.grad.clone()) for k, p in parameters.items()},
        "requires_grad": {k: p.requires_grad for k, p in parameters.items()},
        "training": {k: m.training for k, m in model.named_modules()},
        "attributes": {k: sorted((n, id(v)) for n, v in vars(m).items()) for k, m in model.named_modules()},
        "contents": {k: dict(m.cache) for k, m in model.named_modules() if isinstance(m, Net)},
        "hooks": {
            k: [list(getattr(m, n)) for n in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")]
            for k, m in model.named_modules()
        },
        "tensor hooks": {
            k: [list(h.values()) if (h := getattr(p, n, None)) else [] for n in HOOKS] for k, p in parameters.items()
        },
        "global hooks": [len(getattr(module_hooks, n)) for n in GLOBAL_HOOKS],
        "torch random": torch.get_rng_state(),
        # The global state is what is looked at: its words and its position.
        "numpy random": (np.random.get_state()[1].tolist(), np.random.get_state()[2]),  # noqa: NPY002
        "python random": random.getstate(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Places where two snapshots differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(k for k in after if k not in before)]
        return [d for k in keys for d in differences(before.get(k), after.get(k), f"{path}/{k}")]
    if isinstance(before, tuple | list) and isinstance(after, type(before)) and len(before) == len(after):
        return [d for i, (b, a) in enumerate(zip(before, after, strict=True)) for d in differences(b, a, f"{path}/{i}")]
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        same = before.shape == after.shape and torch.equal(_bits(before), _bits(after))
    else:
        same = type(before) is type(after) and before == after
    return [] if same else [path]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.view(torch.uint8) if tensor.dim() else tensor


def test_a_check_leaves_no_trace():
    model, fired = build()
    before = snapshot(model)
    report = penstock.check(model, X, loss=lambda output: output.square().mean())
    assert differences(before, snapshot(model)) == []
    assert fired.count == 0
    assert any(p.grad_rms for p in report.measured.parameters.values())


def test_the_hooks_still_work_afterwards():
    model, fired = build()
    penstock.check(model, X)
    model.last(X.clone().requires_grad_()).sum().backward()
    assert fired.count == 2 * 2 + 1  # two hooks on each of two parameters, one on the module


FAILURES: dict[str, tuple[str, Callable[[Tensor], Any] | None, type[Exception], str]] = {
    "forward": ("forward", None, ModelError, "layer 3 is broken"),
    "backward": ("backward", None, ModelError, "no way back"),
    "loss raises": ("", lambda output: output @ output, ModelError, "loss must take the model's output"),
    "loss no scalar": ("", lambda output: output, ArgumentError, "loss must return a scalar tensor"),
    "loss detached": ("", lambda output: output.detach().sum(), ArgumentError, "requires no gradient"),
    "loss a number": ("", lambda output: 3.0, ArgumentError, "loss must return a scalar tensor; got float"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_leaves_no_trace(case: str):
    fails, loss, error, text = FAILURES[case]
    model, fired = build(fails)
    before = snapshot(model)
    with pytest.raises(error, match=text):
        penstock.check(model, X, loss=loss)
    assert differences(before, snapshot(model)) == []
    assert fired.count == 0


def test_a_wrong_batch_leaves_no_trace():
    model, _ = build()
    before = snapshot(model)
    with pytest.raises(
        ModelError, match=r"Net must run on the batch; it raised RuntimeError(.|\n)*0: \(8, 7\) float32"
    ):
        penstock.check(model, normal(8, 7))
    assert differences(before, snapshot(model)) == []


def test_an_interrupt_leaves_no_trace():
    model, _ = build()
    before = snapshot(model)

    def interrupt(output: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        penstock.check(model, X, loss=interrupt)
    assert differences(before, snapshot(model)) == []


def test_a_plan_leaves_no_trace():
    model, fired = build()
    before = snapshot(model)
    penstock.plan(model, X)
    assert differences(before, snapshot(model)) == []
    assert fired.count == 0


def _rebind(model: Net) -> None:
    model.running = model.running.clone()


def _hook(model: Net) -> None:
    model.last.register_forward_hook(lambda *a: None)


def _parameter_hook(model: Net) -> None:
    model.last.weight.register_hook(lambda g: g)


LEAKS: dict[str, Callable[[Net], Any]] = {
    "state": lambda m: m.last.weight.data.add_(1e-7),
    "buffers": _rebind,
    "grads": lambda m: m.last.weight.grad.add_(1),
    "requires_grad": lambda m: m.frozen.requires_grad_(True),
    "training": lambda m: m.train(),
    "attributes": lambda m: setattr(m, "calls", 7),
    "contents": lambda m: m.cache.update(h=X),
    "hooks": _hook,
    "tensor hooks": _parameter_hook,
    "torch random": lambda m: torch.rand(1),
    "numpy random": lambda m: np.random.rand(1),  # noqa: NPY002
    "python random": lambda m: random.random(),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_the_comparison_sees_each_leak(kind: str):
    """Control."""
    state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    model, _ = build()
    before = snapshot(model)
    LEAKS[kind](model)
    found = {d.split("/")[1] for d in differences(before, snapshot(model))}
    torch.set_rng_state(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
    random.setstate(state[2])
    assert kind in found


def test_a_plain_run_leaks():
    """Control: the network really does all that, when nobody protects it."""
    model, _ = build()
    before = snapshot(model)
    with torch.random.fork_rng():
        model(X).sum().backward()
    found = {d.split("/")[1] for d in differences(before, snapshot(model))}
    assert {"state", "buffers", "grads", "attributes", "contents"} <= found


def test_not_a_number_comes_back_as_the_same_bits():
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)))
    with torch.no_grad():
        model[1].running_mean[0] = float("nan")
    before = snapshot(model)
    penstock.check(model, X)
    assert differences(before, snapshot(model)) == []


def test_the_global_random_state_of_numpy_and_python_used_by_a_model_comes_back():
    class Noisy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * random.random() * np.random.rand()  # noqa: NPY002

    model = seeded(lambda: Noisy(6, 3))
    before = snapshot(model)
    penstock.check(model, X)
    assert differences(before, snapshot(model)) == []


def test_two_checks_are_equal():
    model, _ = build()
    first, second = (penstock.check(model, X).to_json() for _ in range(2))
    assert first == second
    other = seeded(Net, seed=1)
    assert penstock.check(other, X).to_json() != first


def test_inputs_that_want_a_gradient_get_none_of_ours():
    model, batch = build()[0], X.clone().requires_grad_()
    made = batch * 2  # not a leaf: the user's own graph hangs on it
    for given in (batch, made):
        penstock.check(model, given)
    assert batch.grad is None
    assert made.requires_grad
