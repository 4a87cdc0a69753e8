"""An audit leaves nothing behind, also when it fails: no change of the model, of random states, of PyTorch."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from audit.broken import CASES, General, Mixer, Resettable, Scale
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.utils._python_dispatch import _get_current_dispatch_mode

import penstock
from penstock.errors import ArgumentError, ModelError, UnsupportedError


def state() -> list[object]:
    """Everything global that building and initializing a model could change."""
    return [
        torch.get_rng_state().tolist(),
        random.getstate(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state(legacy=True)],  # noqa: NPY002
        {name: getattr(nn.init, name) for name in dir(nn.init)},
        {name: getattr(nn.Linear, name) for name in dir(nn.Linear)},
        dict(module_hooks._global_forward_hooks),
        _get_current_dispatch_mode(),
        torch.get_default_device(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    ]


def snapshot(model: nn.Module) -> dict[str, object]:
    return {
        **{f"{n} bits": p.detach().clone() for n, p in model.state_dict(keep_vars=True).items()},
        **{f"{n} id": id(p) for n, p in model.named_parameters()},
        **{f"{n} marks": dict(vars(p)) for n, p in model.named_parameters()},
        **{f"{n} hooks": len(m._forward_hooks) for n, m in model.named_modules()},
    }


def same(first: dict[str, object], second: dict[str, object]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(a, second[k]) if isinstance(a, torch.Tensor) else a == second[k] for k, a in first.items()
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_global_changes(case):
    before = state()
    penstock.audit(case.broken)
    assert state() == before


def test_the_comparison_sees_a_change():
    """Control of the test above."""
    before = state()
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        assert state() != before
    assert state() == before


def test_a_built_model_stays_as_it_is():
    torch_model = nn.Sequential(General(heeds=False), Scale("made"))
    torch_model[0].mixer.step.weight._mark = "x"
    torch_model.eval()
    before = snapshot(torch_model)
    report = penstock.audit(torch_model)
    assert same(before, snapshot(torch_model))
    assert not torch_model.training
    assert report.audited.paths == ("meta",)
    assert "was built before" in report.audited.notes[0]
    with torch.no_grad():
        torch_model[1].scale.mul_(2)
    assert not same(before, snapshot(torch_model))


def test_a_factory_that_hands_out_a_model_gets_it_back_as_it_was():
    model = nn.Sequential(Mixer(), Scale("made"))
    before = snapshot(model)
    report = penstock.audit(lambda: model)
    assert same(before, snapshot(model))
    assert report.audited.paths == ("meta",)


def test_a_factory_that_keeps_its_model_is_not_given_another_one():
    kept: list[nn.Module] = []

    def build() -> nn.Module:
        if not kept:
            kept.append(nn.Linear(4, 4))
        return kept[0]

    report = penstock.audit(build)
    assert report.audited.paths == ("direct",)
    assert "the same one twice" in report.audited.notes[0]
    assert torch.isfinite(kept[0].weight).all()


def test_an_audit_is_the_same_each_time():
    first, second = (penstock.audit(lambda: General(heeds=False)).to_json() for _ in range(2))
    assert first == second


class Raises(nn.Module):
    def __init__(self, *, early: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        if early:
            raise KeyError("width")

    def init_weights(self) -> None:
        raise ValueError("no config")


@pytest.mark.parametrize(
    ("thing", "error", "match"),
    [
        (3, UnsupportedError, r"audit: model_or_factory must be a model, or a function that builds one; got int"),
        ("hf:bert", UnsupportedError, r"got str"),
        (torch.ones(3), UnsupportedError, r"got Tensor"),
        (lambda: Raises(early=True), ModelError, r"audit: the factory raised KeyError: 'width'"),
        (
            lambda width: nn.Linear(width, 4),
            ArgumentError,
            r"must need no arguments; .*'width'.*\nHint: penstock.audit",
        ),
        (nn.Linear, ArgumentError, r"Linear\(in_features.*\nHint: penstock.audit\(lambda: Linear"),
        (lambda: None, UnsupportedError, r"must return a torch.nn.Module; it returned NoneType"),
        (Raises(early=False), ModelError, r"audit: Raises.init_weights raised ValueError: no config"),
        (lambda: nn.LazyLinear(4), UnsupportedError, r"'weight' gets its shape in the first forward pass"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing_behind(thing, error, match):
    before = state()
    with pytest.raises(error, match=match):
        penstock.audit(thing)
    assert state() == before


def test_a_module_that_cannot_be_copied():
    model = nn.Linear(2, 2)
    model.lock = (i for i in range(3))
    with pytest.raises(UnsupportedError, match=r"must be one that can be copied; copying Linear raised TypeError"):
        penstock.audit(model)


def test_a_path_that_cannot_be_taken_is_told():
    report = penstock.audit(lambda: Raises(early=False))
    assert report.audited.paths == ("direct",)
    assert report.audited.notes == (
        "Only the direct path was taken. audit: Raises.init_weights raised ValueError: no config",
    )


def test_a_model_without_any_initialization_is_told():
    report = penstock.audit(lambda: Scale("made"))
    assert report.audited.own == ()
    assert any(note.startswith("The model has no initialization of its own") for note in report.audited.notes)
    assert penstock.audit(Resettable).audited.own == ("Resettable.reset_parameters",)


def test_a_model_without_parameters():
    report = penstock.audit(nn.ReLU)
    assert report.ok
    assert report.audited.notes == ("The model has no parameters and no buffers.",)
    assert "0 parameters" in str(report)
