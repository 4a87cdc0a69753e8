"""From the meta device to a start: what is drawn, what is computed, what is refused; and how little memory it takes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import penstock
from penstock.errors import ArgumentError, UnsupportedError
from penstock.recipes import Constant, Normal
from penstock.torch.materialize.structure import plan_from_structure
from zoo.hf import FAMILIES


def meta(build) -> nn.Module:
    with torch.device("meta"):
        return build()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.embed(ids))


class Rope(nn.Module):
    """Keeps its arguments: its buffer can be computed again."""

    def __init__(self, dim: int, base: float = 100.0) -> None:
        super().__init__()
        self.dim, self.base = dim, base
        self.register_buffer("inv_freq", base ** -(torch.arange(0, dim, 2) / dim), persistent=False)
        self.doubled = self.inv_freq * 2


class Forgetful(nn.Module):
    """Does not keep its base: nobody can know it."""

    def __init__(self, dim: int, base: float = 100.0) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("inv_freq", base ** -(torch.arange(0, dim, 2) / dim), persistent=False)


class Gemma(nn.Module):
    """A norm that multiplies by one plus its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = OnePlusNorm()


class OnePlusNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(16))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1.0 + self.weight)


def everything() -> nn.Module:
    return nn.ModuleDict(
        {
            "conv": nn.Conv2d(3, 8, 3),
            "bn": nn.BatchNorm2d(8),
            "ln": nn.LayerNorm(8),
            "lstm": nn.LSTM(8, 6),
            "attention": nn.MultiheadAttention(8, 2),
            "deconv": nn.ConvTranspose1d(8, 4, 3, stride=2),
            "tied": Tied(),
            "prelu": nn.Sequential(nn.Linear(8, 8), nn.GELU()),
        }
    )


def test_a_model_of_every_layer_has_values_and_the_laws_that_its_ledger_says():
    model = meta(everything)
    ledger = penstock.materialize(model, seed=0)
    for name, parameter in model.named_parameters():
        record = ledger[name]
        assert torch.isfinite(parameter).all()
        # Five standard errors of the std of n independent elements; exact for constants and orthogonal gates.
        spread = 5 / math.sqrt(2 * parameter.numel())
        assert record.measured.std == pytest.approx(record.requested.std, rel=spread, abs=1e-7), name
    assert torch.equal(model["bn"].running_var, torch.ones(8))
    assert model["bn"].num_batches_tracked.item() == 0
    assert model["tied"].head.weight is model["tied"].embed.weight
    forget = model["lstm"].bias_ih_l0.reshape(4, 6)
    assert forget.tolist() == [[0.0] * 6, [1.0] * 6, [0.0] * 6, [0.0] * 6]
    assert ledger["conv.weight"].requested.std == pytest.approx(1 / math.sqrt(27))


def test_the_same_seed_gives_the_same_bits_and_another_others():
    first, second, third = meta(Tied), meta(Tied), meta(Tied)
    penstock.materialize(first, seed=1)
    penstock.materialize(second, seed=1)
    penstock.materialize(third, seed=2)
    assert torch.equal(first.embed.weight, second.embed.weight)
    assert not torch.equal(first.embed.weight, third.embed.weight)


def test_no_global_random_state_is_read_or_changed():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    penstock.materialize(meta(lambda: nn.Sequential(Rope(8), nn.Linear(4, 4))), seed=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_gain_is_that_of_the_activation_where_no_norm_sets_the_scale():
    build = lambda *more: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), *more, nn.Linear(64, 64))  # noqa: E731
    assert plan_from_structure(build())["2.weight"].recipe.gain == pytest.approx(math.sqrt(2.0))
    assert plan_from_structure(build(nn.LayerNorm(64)))["3.weight"].recipe.gain == 1.0


def test_a_norm_starts_where_its_output_has_rms_1():
    model = meta(Gemma)
    penstock.materialize(model, seed=0)
    assert torch.equal(model.norm.weight, torch.zeros(16))
    x = torch.randn(5, 16)
    assert model.norm(x).square().mean().item() == pytest.approx(1.0, abs=1e-4)


def test_buffers_are_computed_by_their_class_and_plain_tensors_too():
    model = meta(lambda: nn.Sequential(Rope(8, base=500.0), nn.Linear(2, 2))).bfloat16()
    penstock.materialize(model, seed=0)
    wanted = Rope(8, base=500.0)
    assert torch.equal(model[0].inv_freq, wanted.inv_freq.bfloat16())
    assert torch.equal(model[0].doubled, wanted.doubled)


def test_a_buffer_that_cannot_be_known_is_an_error_and_nothing_is_written():
    model = meta(lambda: nn.Sequential(Forgetful(8), nn.Linear(2, 2)))
    with pytest.raises(UnsupportedError, match=r"1 buffers cannot be computed again: 0\.inv_freq"):
        penstock.materialize(model, seed=0)
    assert model[1].weight.is_meta
    penstock.materialize(model, seed=0, skip=["0.inv_freq"])
    assert model[0].inv_freq.isnan().all()
    assert torch.isfinite(model[1].weight).all()


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(3, 8, 4))


def test_a_parameter_that_no_rule_places_is_an_error_and_takes_a_recipe():
    model = meta(Experts)
    with pytest.raises(UnsupportedError, match=r"1 parameters have no values and no rule that places them: w"):
        penstock.materialize(model, seed=0)
    assert model.w.is_meta
    penstock.materialize(model, seed=0, plan={"w": Normal(0.1)})
    assert abs(model.w.std().item() / 0.1 - 1) < 5 / math.sqrt(2 * 96)


def test_what_a_checkpoint_loads_is_not_drawn():
    model = meta(Tied)
    ledger = penstock.materialize(model, seed=0, skip=["head.*"])
    assert model.embed.weight.isnan().all(), "tied: one name in skip is enough"
    assert ledger["embed.weight"].recipe is None
    model.load_state_dict({"embed.weight": torch.ones(11, 8), "head.weight": torch.ones(11, 8)})
    assert torch.equal(model.embed.weight, torch.ones(11, 8))


def test_parameters_with_memory_are_drawn_in_place_unless_skipped():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    first, place = model[0].weight.detach().clone(), model[1].weight.data_ptr()
    penstock.materialize(model, seed=0, skip=["0.*"])
    assert torch.equal(model[0].weight, first)
    assert model[1].weight.data_ptr() == place
    fresh = meta(lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    penstock.materialize(fresh, seed=0)
    assert torch.equal(fresh[1].weight, model[1].weight)


def test_marks_on_parameters_and_gradients_flags_stay():
    model = meta(lambda: nn.Linear(4, 4))
    model.weight.tensor_model_parallel = True
    model.bias.requires_grad_(False)
    penstock.materialize(model, seed=0, plan=plan_from_structure(meta(lambda: nn.Linear(4, 4))))
    assert model.weight.tensor_model_parallel is True
    assert not model.bias.requires_grad


def test_progress_is_told_and_an_error_in_the_middle_leaves_the_model_as_it_was():
    model = meta(Tied)
    model.add_module("real", nn.Linear(3, 3))
    before, told = model.real.weight.detach().clone(), []
    penstock.materialize(meta(Tied), seed=0, progress=lambda *said: told.append(said))
    assert told == [(352, 352, "embed.weight")]

    def fail(done: int, total: int, name: str) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        penstock.materialize(model, seed=0, progress=fail)
    assert model.embed.weight.is_meta
    assert model.head.weight is model.embed.weight
    assert torch.equal(model.real.weight, before)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"seed": -1}, r"materialize: seed must be an integer"),
        ({"seed": 0, "skip": "head.*"}, r"skip must be a list"),
        ({"seed": 0, "skip": ["body.*"]}, r"skip must be a list of names or patterns"),
        ({"seed": 0, "plan": {"embed.weight": 0.02}}, r"must map names to recipes; got 0.02"),
        ({"seed": 0, "plan": {"embd.weight": Normal(1.0)}}, r"fits no parameter"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_written(arguments, match):
    model = meta(Tied)
    with pytest.raises(ArgumentError, match=match):
        penstock.materialize(model, **arguments)
    assert model.embed.weight.is_meta


def test_a_plan_of_another_model_is_refused():
    plan = plan_from_structure(nn.Linear(4, 4))
    with pytest.raises(ArgumentError, match=r"materialize: model must have the parameters that were planned"):
        penstock.materialize(meta(lambda: nn.Linear(5, 4)), seed=0, plan=plan)
    with pytest.raises(UnsupportedError, match=r"penstock\.materialize\(model, seed=0, plan=plan\)"):
        plan.apply(meta(lambda: nn.Linear(4, 4)))


def test_lazy_layers_have_to_be_run_first():
    with pytest.raises(UnsupportedError, match="has no shape yet"):
        penstock.materialize(nn.LazyLinear(3), seed=0)


def test_one_process_has_no_ranks_to_check():
    with pytest.raises(UnsupportedError, match=r"torch\.distributed must be set up"):
        penstock.check_ranks(nn.Linear(2, 2))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_hugging_face_family_begins_on_the_meta_device(family):
    """No parameter and no buffer is left out; buffers are those that the library computes; the model runs."""
    row = family.row()
    torch.manual_seed(0)
    usual, model = row.make(), meta(row.make)
    ledger = penstock.materialize(model, seed=0)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert {n for n, _ in model.named_parameters()} == {r.name for r in ledger if r.kind == "parameter"}
    theirs = dict(usual.named_buffers())
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer.nan_to_num(), theirs[name].nan_to_num()), name
    batch = row.sample(torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = model.eval()(**batch) if isinstance(batch, dict) else model.eval()(batch)
    assert all(torch.isfinite(t).all() for t in out.values() if isinstance(t, torch.Tensor))


def test_ties_that_accelerate_breaks_are_tied_again():
    accelerate = pytest.importorskip("accelerate")
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50)
    with accelerate.init_empty_weights(include_buffers=True):
        model = transformers.GPT2LMHeadModel(config)
    penstock.materialize(model, seed=0)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert model(torch.arange(5)[None]).logits.isfinite().all()


def test_a_mapping_decides_for_tied_names_too():
    model = meta(Tied)
    penstock.materialize(model, seed=0, plan={"head.weight": Constant(0.5)})
    assert torch.equal(model.embed.weight, torch.full((11, 8), 0.5))
