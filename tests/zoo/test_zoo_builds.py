"""Every row of the zoos builds and runs, and every break does what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from zoo import actions
from zoo.breaks import BREAKS, CASES, DEEP, Case
from zoo.hf import FAMILIES, HF, HF_SCALED
from zoo.plain import PLAIN, STRUCTURES
from zoo.probe import measure
from zoo.row import Row, run, scalar_of, tensors_of

HEALTHY = (*PLAIN, *STRUCTURES, *HF, *DEEP)
MEASURED = tuple(case for case in CASES if case.broken.symptom is not None)
# "sigmoid" is broken as it is built. Of "no_grad" the rows' own test is the control: there each gradient arrives.
NO_CONTROL = {"sigmoid", "no_grad"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower on several threads; and the number is set back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def by_name(items: tuple[Row, ...] | tuple[Case, ...]) -> list[object]:
    """One test a row."""
    return [pytest.param(item, id=item.name) for item in items]


def values(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, copied."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict(keep_vars=True).items()}


def restore(parameters: dict[str, nn.Parameter], clean: dict[str, Tensor], names: tuple[str, ...]) -> None:
    """Set these parameters back."""
    for name in names:
        parameters[name].copy_(clean[name])


def same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(torch.nan_to_num(a, 7.0), torch.nan_to_num(b, 7.0))


def test_names_are_unique() -> None:
    for names in ([row.name for row in HEALTHY], [b.name for b in BREAKS], [case.name for case in CASES]):
        assert len(names) == len(set(names))


def test_zoos_are_large_enough() -> None:
    codes = "U102 U103 S101 S102 S103 F101 F102 F103 B101 B102 B103 B104 A101 A102 G101 G102 L101 L102 L103 P101 P102"
    assert len(HF) >= 28
    assert {b.code for b in BREAKS} == set(codes.split())


@pytest.mark.parametrize("row", by_name(HEALTHY))
def test_healthy_row(row: Row) -> None:
    state = torch.get_rng_state()
    model, again, other = row.build(0), row.build(0), row.build(1)
    batch = row.batch(0)
    first, second = values(model), values(again)
    assert all(same(first[name], second[name]) for name in first)
    assert any(not same(first[name], tensor) for name, tensor in values(other).items())

    output = run(model, batch)
    outputs = tensors_of(output)
    repeated = tensors_of(run(again, row.batch(0)))
    assert len(outputs) > 0
    assert all(same(a, b) for a, b in zip(outputs, repeated, strict=True))
    scalar = scalar_of(output, row.loss)
    scalar.backward()
    assert torch.isfinite(scalar)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name, p in trainable.items() if p.grad is None} == set(row.unused)
    assert all(torch.isfinite(p.grad).all() for p in trainable.values() if p.grad is not None)
    assert all(p.dtype == row.dtype for p in model.parameters())
    in_eval_mode = tensors_of(run(other.eval(), batch))
    scalar_of(in_eval_mode).backward()
    assert all(torch.isfinite(tensor).all() for tensor in in_eval_mode)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("row", by_name(HF_SCALED))
def test_scaled_row_has_the_gain_of_the_real_width(row: Row) -> None:
    plain = next(other for other in HF if other.name == row.name.removesuffix("_scaled"))
    std, wide = (actions.middle(r.build(0))[1].std().item() for r in (plain, row))
    # Two samples of at least 512 elements: 5 standard errors of their ratio, 5 * sqrt(2) / sqrt(2 * 512).
    assert wide / std == pytest.approx(0.1 / 0.02, rel=5 / math.sqrt(512))


def test_gain_that_ignores_the_width_is_not_scaled() -> None:
    family = next(f for f in FAMILIES if f.name == "t5")
    std, same_std = (
        actions.middle(r.build(0))[1].std().item() for r in (family.row(), family.row(initializer_range=0.1))
    )
    assert same_std == std


@pytest.mark.parametrize("row", by_name(HEALTHY))
def test_breaks_change_what_they_say_and_nothing_else(row: Row) -> None:
    model = row.build(0)
    clean = values(model)
    own = dict(model.named_parameters())
    for case in (case for case in CASES if case.row is row):
        with torch.no_grad():
            said = case.broken.action(model)
            assert {name for name, p in own.items() if not same(p, clean[name])} == set(said), case.name
            after = {name: own[name].clone() for name in said}
            restore(own, clean, said)
            if said:
                assert case.broken.action(model) == said
                assert all(same(own[name], after[name]) for name in said), f"{case.name} is not deterministic"
                restore(own, clean, said)
            else:
                # The structure changed, or the loss: the measurement shows it, and the next break needs a new model.
                assert case.broken.symptom is not None, case.name
                model = row.build(0)
                own = dict(model.named_parameters())


@pytest.mark.parametrize("case", by_name(MEASURED))
def test_break_shows_its_symptom_and_the_healthy_row_does_not(case: Case) -> None:
    symptom = case.broken.symptom
    assert symptom is not None
    assert symptom(measure(case.build(0), case.batch(0), case.loss))
    if case.broken.name not in NO_CONTROL:
        assert not symptom(measure(case.row.build(0), case.batch(0), case.row.loss))


def test_garbage_is_garbage_and_finite() -> None:
    for action in (actions.garbage_integers, actions.garbage_pointers):
        model = PLAIN[0].build(0)
        with torch.no_grad():
            (name,) = action(model)
        weight = model.get_parameter(name).detach().abs()
        strange = (weight < torch.finfo(torch.float32).tiny) | (weight > 1e10)
        assert strange.float().mean() > 0.4
        assert torch.isfinite(weight).all()


def test_copying_needs_two_weights_of_one_shape() -> None:
    lonely = next(row for row in PLAIN if row.name == "cnn_he").build(0)
    with pytest.raises(ValueError, match="no two weights have the same shape"):
        actions.copy_to_twin(lonely)
