"""What cannot be checked is refused in words that say what to do, and what can be is, with a note."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_models import Written, integers, normal, seeded

import penstock
from penstock.errors import ArgumentError, ModelError, PenstockError, UnsupportedError

X = normal(8, 4)


def net() -> nn.Sequential:
    made = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    assert isinstance(made, nn.Sequential)
    return made


def bits(model: nn.Module) -> dict[str, Any]:
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in model.state_dict().items()}


def same(model: nn.Module, before: dict[str, Any]) -> bool:
    after = model.state_dict()
    return list(after) == list(before) and all(
        torch.equal(v, before[k]) for k, v in after.items() if isinstance(v, Tensor) and not v.is_meta
    )


def raising(m: Any, x: Tensor) -> Tensor:
    raise KeyError("tokens")


# model, batch, options, error, message.
REFUSED: dict[str, tuple[Callable[[], Any], Any, dict[str, Any], type[PenstockError], str]] = {
    "a model that raises": (
        lambda: Written(raising, w=normal(4, 4)),
        X,
        {},
        ModelError,
        r"check: Written must run on the batch; it raised KeyError: 'tokens'\n  at: batch 0: \(8, 4\) float32\n"
        r"Hint: call model\(batch\) alone first",
    ),
    "a batch of the wrong shape": (net, normal(8, 5), {}, ModelError, r"must run on the batch; it raised RuntimeError"),
    "a batch of the wrong type": (net, 3.0, {}, ArgumentError, r"batch must be a tensor, a tuple .*; got float\."),
    "a batch without tensors": (net, ("a", 1), {}, ArgumentError, "batch must hold at least one tensor"),
    "an array": (net, X.numpy(), {}, ArgumentError, r"batch must be a tensor, .*; got ndarray\."),
    "NaN in the batch": (
        net,
        torch.full((8, 4), float("nan")),
        {},
        ArgumentError,
        r"batch must be finite; 32 of 32 elements of input '0' are NaN or infinite\.",
    ),
    "an empty batch": (net, torch.zeros(0, 4), {}, ArgumentError, r"batch must hold at least one element; .*\(0, 4\)"),
    "a loss that is no scalar": (
        net,
        X,
        {"loss": lambda o: o},
        ArgumentError,
        r"loss must return a scalar tensor; got a tensor of shape \(8, 3\) and dtype float32\.",
    ),
    "a detached loss": (net, X, {"loss": lambda o: o.detach().sum()}, ArgumentError, "requires no gradient"),
    "a loss that raises": (
        net,
        X,
        {"loss": lambda o: F.cross_entropy(o, integers(9, high=3))},
        ModelError,
        r"loss must take the model's output; it raised ValueError",
    ),
    "a loss that is none": (net, X, {"loss": 1.0}, ArgumentError, r"loss must be a function of the model's output"),
    "the meta device": (
        lambda: nn.Linear(4, 3, device="meta"),
        X,
        {},
        UnsupportedError,
        "every parameter must have memory; 'weight' is on the meta device",
    ),
    "a lazy layer": (lambda: nn.LazyLinear(3), X, {}, UnsupportedError, "'weight' belongs to a lazy layer"),
    "a class": (lambda: nn.Linear, X, {}, UnsupportedError, r"check: model must be .*; got the class Linear\."),
    "no model": (lambda: "gpt2", X, {}, UnsupportedError, r"check: model must be .*; got str\."),
    "a function": (lambda: lambda x: x * 2, X, {}, UnsupportedError, r"check: model must be"),
    "a tensor": (lambda: X, X, {}, UnsupportedError, r"check: model must be a torch\.nn\.Module; got Tensor\."),
    "in-place change of a saved signal": (
        lambda: Written(lambda m, x: (x @ m.w).exp().add_(1), w=normal(4, 4)),
        X,
        {},
        ModelError,
        r"the model must be differentiable; its backward pass raised RuntimeError: .*inplace operation",
    ),
}


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_words(case: str):
    make, batch, options, error, text = REFUSED[case]
    model = make()
    module = model if isinstance(model, nn.Module) and case != "a lazy layer" else nn.Linear(1, 1)
    before = bits(module)
    with pytest.raises(error, match=text):
        penstock.check(model, batch, **options)
    assert same(module, before)


@pytest.mark.parametrize("function", [penstock.plan, penstock.initialize])
@pytest.mark.parametrize("case", ["a model that raises", "NaN in the batch", "the meta device", "a detached loss"])
def test_plan_and_initialize_refuse_it_too(function: Callable[..., Any], case: str):
    make, batch, options, error, _ = REFUSED[case]
    model = make()
    before = bits(model)
    with pytest.raises(error, match=r"must"):
        function(model, batch, **options)
    assert same(model, before)


class NoParameters(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


class Quantised(nn.Module):
    """An ordinary layer before one with integer weights, as `quantize_dynamic` makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.register_buffer("packed", torch.randint(-127, 127, (3, 6), dtype=torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.fake_quantize_per_tensor_affine(self.first(x), 0.1, 0, -128, 127)
        return h @ (self.packed.float() * 0.01).T


def frozen() -> nn.Module:
    return net().requires_grad_(False)


# model, batch, what a note says.
NOTED: dict[str, tuple[Callable[[], nn.Module], Any, str]] = {
    "no parameters": (NoParameters, X, "The model has no parameters"),
    "frozen": (frozen, X, "No parameter requires a gradient"),
    "one input": (net, X[:1], "The batch holds one input"),
    "DataParallel": (lambda: nn.DataParallel(net()), X, "inside DataParallel was run"),
    "torch.compile": (lambda: compiled(net()), X, "was run without torch.compile"),
    "no tensor": (lambda: Written(lambda m, x: float((x @ m.w).sum().detach()), w=normal(4, 4)), X, "No output tensor"),
    "integers": (lambda: Written(lambda m, x: (x @ m.w).argmax(-1), w=normal(4, 4)), X, "No output tensor"),
    "detached": (lambda: Written(lambda m, x: (x @ m.w).detach(), w=normal(4, 4)), X, "requires a gradient"),
    "quantised": (Quantised, X, "uantised"),
}


def compiled(model: nn.Module) -> nn.Module:
    made = torch.compile(model, backend="eager")
    assert isinstance(made, nn.Module)
    return made


@pytest.mark.parametrize("case", NOTED)
def test_it_is_checked_with_a_note(case: str):
    make, batch, text = NOTED[case]
    model = seeded(make)
    before = bits(model)
    report = penstock.check(model, batch)
    assert any(text in note for note in report.measured.notes), report.measured.notes
    assert same(model, before)


def test_an_ordinary_model_has_no_note():
    """Control."""
    assert penstock.check(net(), X).measured.notes == ()


def test_what_is_inside_a_wrapper_is_measured_under_the_wrappers_names():
    plain = penstock.check(net(), X).measured
    for model, prefix in ((nn.DataParallel(net()), "module."), (compiled(net()), "_orig_mod.")):
        measured = penstock.check(model, X).measured
        assert [p.rms for p in measured.parameters.values()] == [p.rms for p in plain.parameters.values()]
        assert list(measured.parameters) == [prefix + name for name in plain.parameters]
        assert all(p.grad_rms for p in measured.parameters.values())
        assert [n.kind for n in measured.graph.nodes] == [n.kind for n in plain.graph.nodes]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_the_callers_mode_does_not_matter(mode: Callable[[], Any]):
    plain = penstock.check(net(), X)
    model = net()
    with mode():
        report = penstock.check(model, X)
        made_inside = penstock.check(model, X.clone())
    assert report.to_json() == plain.to_json() == made_inside.to_json()


def test_a_batch_of_another_mode_in_a_dict():
    with torch.inference_mode():
        batch = {"input": {"deep": [X.clone()]}}
    model = Written(lambda m, x: x, w=normal(4, 4))
    model.forward = lambda input: input["deep"][0] @ model.w  # type: ignore[method-assign]
    assert penstock.check(model, batch).measured.parameters["w"].grad_rms


def test_a_model_made_in_inference_mode_is_refused_in_words():
    with torch.inference_mode():
        model = net()
    with pytest.raises(UnsupportedError, match=r"inference mode"):
        penstock.check(model, X)


def test_quantize_dynamic():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, dtype=torch.qint8)
            model(X)
        except (RuntimeError, AttributeError):
            pytest.skip("this build of PyTorch has no quantised kernels")
        report = penstock.check(model, X)
    assert any("uantised" in note for note in report.measured.notes)


def test_initialize_of_a_wrapped_model_writes_the_inner_weights():
    inner = net()
    model = nn.DataParallel(inner)
    before = inner[0].weight.detach().clone()
    penstock.initialize(model, X)
    assert not torch.equal(inner[0].weight, before)


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_lazy_layers_work_after_their_first_call():
    model = nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(3))
    model(X)
    assert penstock.check(model, X).measured.parameters["0.weight"].shape == (6, 4)
