"""What the auto plan makes of unusual structure, seen in the graph, in the plan and in the signals afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_models import Residual, Written, normal, seeded, trace

import penstock
from penstock.planning.plan import Plan
from penstock.recipes import Chrono, Constant, Normal, Orthogonal, PerBlock, Siren, Uniform
from zoo.hf import HF
from zoo.plain import PLAIN, STRUCTURES
from zoo.structures import Fourier, SkipInitBlock, siren, skip_init, spectral, transformer

TOKENS = normal(4, 6, 32)


def residual_sums(function: Callable[..., Any], x: Tensor | None = None) -> int:
    weights = {"a": normal(32, 32, std=0.2), "b": normal(32, 32, std=0.2, seed=1)}
    measured = trace(Written(function, **weights), TOKENS if x is None else x)
    return sum(n.residual for n in measured.graph.nodes)


SUMS: dict[str, tuple[Callable[..., Any], int]] = {
    "plain": (lambda m, x: x + torch.relu(x @ m.a) @ m.b, 1),
    "scaled stream": (lambda m, x: 2.2 * x + torch.relu(x @ m.a) @ m.b, 1),
    "scaled branch": (lambda m, x: x + 0.3 * (x @ m.a), 1),
    "divided": (lambda m, x: x / 3 + x @ m.a, 1),
    "one after the other, from one input": (lambda m, x: (x + x @ m.a) + x @ m.b, 2),
    "branches first": (lambda m, x: (x @ m.a + x @ m.b) + x, 1),
    "two weights side by side": (lambda m, x: x @ m.a + x @ m.b, 0),
    "multiples of one signal": (lambda m, x: (x @ m.a) + 2 * (x @ m.a), 0),
    "turned by angles": (lambda m, x: x @ m.a * torch.linspace(0, 1, 32) + (x @ m.a).flip(-1) * torch.ones(32), 0),
}


@pytest.mark.parametrize("case", SUMS)
def test_residual_sums_are_seen_also_where_the_stream_is_scaled(case: str):
    function, expected = SUMS[case]
    assert residual_sums(function) == expected


def target(plan: Plan, name: str) -> float:
    calibration = plan[name].calibration
    assert calibration is not None
    return calibration.target


@pytest.mark.parametrize(("kind", "branches"), [("free", 8), ("parallel", 8), ("parallel_chain", 8), ("grouped", 8)])
def test_every_branch_on_a_stream_counts(kind: str, branches: int):
    model = seeded(lambda: transformer(kind, blocks=4))
    plan = penstock.plan(model, TOKENS / TOKENS.pow(2).mean().sqrt())
    end = "o" if kind == "grouped" else "out"
    for name in (f"0.attention.{end}.weight", "3.mlp.2.weight"):
        assert plan[name].rule == "residual"
        assert target(plan, name) == pytest.approx(branches**-0.5, rel=1e-5)


def test_the_size_of_a_deep_norm_s_stream_is_not_that_of_its_branches():
    plan = penstock.plan(seeded(lambda: transformer("deep_norm", blocks=4)), TOKENS)
    assert target(plan, "2.mlp.2.weight") == pytest.approx(1.0)
    assert plan["2.mlp.2.weight"].rule == "residual"


def test_the_last_norm_of_a_branch_shares_the_stream():
    plan = penstock.plan(seeded(lambda: transformer("sandwich", blocks=4)), TOKENS / TOKENS.pow(2).mean().sqrt())
    last, first = plan["2.norms.1.weight"].recipe, plan["2.norms.0.weight"].recipe
    assert isinstance(last, Constant)
    assert last.value == pytest.approx(8**-0.5, rel=1e-5)
    assert first == Constant(1.0)
    assert plan["2.attention.out.weight"].rule != "residual"


def test_zero_gamma_is_kept_where_the_model_has_it():
    rows = {r.name: r for r in (*PLAIN, *STRUCTURES)}
    zero, usual = (penstock.plan(rows[n].build(0), rows[n].batch(0)) for n in ("resnet_zero_gamma", "resnet"))
    assert zero["3.bn2.weight"].recipe == Constant(0.0)
    assert zero["3.bn1.weight"].recipe == Constant(1.0)
    # Alone on its stream, which begins behind a ReLU: RMS sqrt(1/2).
    alone = usual["3.bn2.weight"].recipe
    assert isinstance(alone, Constant)
    assert alone.value == pytest.approx(0.5**0.5, rel=1e-5)
    side = usual["4.bn2.weight"].recipe, usual["4.short.1.weight"].recipe
    assert side == (Constant(2**-0.5),) * 2


def test_branches_are_sized_against_the_stream_that_tied_embeddings_begin():
    row = next(r for r in HF if r.name == "hf_gpt2")
    plan = penstock.plan(row.build(0), row.batch(0))
    begins = math.hypot(32**-0.5, 0.5 * 32**-0.5)
    assert target(plan, "transformer.h.0.mlp.c_proj.weight") == pytest.approx(begins / 2)
    assert plan["transformer.wpe.weight"].recipe.sigma == pytest.approx(0.5 * 32**-0.5)  # type: ignore[union-attr]


def test_branches_are_sized_against_what_begins_the_stream():
    function = {
        "relu": (lambda m, x: torch.relu(x @ m.a), 0.5**0.5),
        "two norms": (lambda m, x: F.layer_norm(x @ m.a, (32,)) + F.layer_norm(x @ m.c, (32,)), 2**0.5),
        "two weights": (lambda m, x: x @ m.a + x @ m.c, 1.0),
        "weight": (lambda m, x: x @ m.a, 1.0),
    }
    weights = {name: normal(32, 32, seed=i) for i, name in enumerate("abcdo")}
    for begin, size in function.values():

        def block(m: nn.Module, x: Tensor, begin: Callable[..., Tensor] = begin) -> Tensor:
            stream = begin(m, x)
            return (stream + torch.relu(stream @ m.d) @ m.b) @ m.o  # type: ignore[operator]

        plan = penstock.plan(Written(block, **weights), TOKENS)
        assert plan["b"].rule == "residual"
        assert target(plan, "b") == pytest.approx(size, rel=1e-5)


def test_queries_take_over_the_factor_that_t5_leaves_out():
    row = next(r for r in HF if r.name == "hf_t5")
    plan = penstock.plan(row.build(0), row.batch(0))
    queries = plan["encoder.block.0.layer.0.SelfAttention.q.weight"]
    assert target(plan, queries.name) == pytest.approx(8**-0.5, rel=5e-6)  # a gain has six digits
    assert plan["encoder.block.0.layer.0.SelfAttention.k.weight"].recipe != queries.recipe
    usual = next(r for r in HF if r.name == "hf_bart")
    other = penstock.plan(usual.build(0), usual.batch(0))["model.encoder.layers.0.self_attn.q_proj.weight"]
    assert "no 1/sqrt(d)" not in other.reason


def test_skip_inits_multiplier_is_kept_and_the_branch_sized_with_it():
    x = normal(8, 64)
    x /= x.pow(2).mean().sqrt()
    ends = {}
    for start in (0.0, 0.01, 1.0, 4.0):
        plan = penstock.plan(seeded(lambda start=start: skip_init(start=start)), x)
        assert plan["0.alpha"].rule == "multipliers"
        assert plan["0.bias1"].recipe == Constant(0.0)
        ends[start] = target(plan, "0.last.weight")
    assert ends == pytest.approx({0.0: 1.0, 0.01: 1.0, 1.0: 6**-0.5, 4.0: 6**-0.5 / 4}, rel=1e-5)


def test_zeros_by_design_are_kept_and_zeros_by_mistake_are_not():
    row = next(r for r in (*PLAIN, *STRUCTURES) if r.name == "diffusion")
    plan = penstock.plan(row.build(0), row.batch(0))
    for name in ("blocks.0.modulation.weight", "blocks.1.modulation.weight", "final.weight"):
        assert (plan[name].rule, plan[name].recipe) == ("zeros", Constant(0.0))
    mistaken = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    for index in (2, 4):
        nn.init.zeros_(mistaken.get_parameter(f"{index}.weight"))
    assert {penstock.plan(mistaken, normal(8, 8))[f"{i}.weight"].recipe == Constant(0.0) for i in (2, 4)} == {False}


def test_sines_have_the_law_of_siren():
    plan = penstock.plan(seeded(siren), torch.tanh(normal(64, 2)))
    assert plan["0.weight"].recipe == Siren(first=True, omega=30.0)
    assert plan["2.weight"].recipe == plan["4.weight"].recipe
    inner = plan["2.weight"].recipe
    assert isinstance(inner, Siren)
    assert (inner.first, inner.omega) == (False, 30.0)
    assert isinstance(plan["2.bias"].recipe, Uniform)
    assert plan["6.weight"].rule == "heads"
    usual = penstock.plan(
        seeded(lambda: siren(omega=1.0)), normal(64, 2)
    )  # control: sin(x) is an activation like others
    assert {usual[f"{i}.weight"].rule for i in (0, 2, 4)} == {"contractions"}


@pytest.mark.parametrize("trained", [False, True])
def test_fourier_features_keep_their_frequencies(trained: bool):
    plan = penstock.plan(seeded(lambda: Fourier(trained=trained)), normal(16, 2))
    assert plan["b"].recipe is None
    assert plan["b"].rule == ("sines" if trained else "kept")
    assert plan["body.0.weight"].recipe is not None


@pytest.mark.parametrize(("steps", "long"), [(12, False), (64, True)])
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_gates_remember_for_as_long_as_the_sequence_is(cell: Callable[..., nn.Module], steps: int, long: bool):
    model = Written(lambda m, x: m.layer(x)[0] @ m.o, o=normal(8, 3))
    model.layer = seeded(lambda: cell(12, 8, num_layers=2, batch_first=True))
    plan = penstock.plan(model, normal(16, steps, 12))
    for layer in range(2):
        recipe = plan[f"layer.bias_ih_l{layer}"].recipe
        if long and cell is nn.LSTM:
            assert recipe == Chrono(float(steps))
        elif long:
            assert recipe == Chrono(float(steps), gates=3, remember=1, write=None)
        else:
            assert isinstance(recipe, PerBlock | Constant)
        assert plan[f"layer.bias_hh_l{layer}"].recipe == Constant(0.0)


def test_state_space_parameters_keep_their_law():
    row = next(r for r in HF if r.name == "hf_mamba")
    model = row.build(0)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    plan = penstock.initialize(model, row.batch(0)).plan
    kept = [n for n in before if n.endswith(("A_log", ".D", "dt_proj.bias", "dt_proj.weight"))]
    assert len(kept) == 8
    for name in kept:
        assert "law of its own" in plan[name].reason
        assert torch.equal(model.get_parameter(name), before[name])
    assert not any("no rule placed" in note for note in plan.notes)


def test_a_spectral_norm_is_not_corrected():
    done = penstock.initialize(seeded(spectral), normal(8, 3, 8, 8))
    factors = {e.name: e.calibration.factor for e in done.plan.entries if e.calibration is not None}
    assert factors["0.parametrizations.weight.original"] is None
    assert factors["8.weight"] is not None
    assert done.after.errors == ()


def test_weights_under_a_spectral_norm_are_orthogonal():
    """The norm leaves the largest singular value 1: of a normal matrix most others are far below, here none is."""
    done = penstock.initialize(seeded(spectral), normal(8, 3, 8, 8))
    assert isinstance(done.plan["2.parametrizations.weight.original"].recipe, Orthogonal)
    flatness = {}
    for name, given in (("orthogonal", "auto"), ("normal", Normal(0.05))):
        model = seeded(spectral)
        penstock.initialize(model, normal(8, 3, 8, 8), recipe=given)
        assert isinstance(model, nn.Sequential)
        layer: Any = model[2]
        values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
        flatness[name] = float(values.min() / values.max())
    assert flatness["orthogonal"] == pytest.approx(1.0, abs=1e-4)
    assert flatness["normal"] < 0.8  # control


def test_weights_that_are_added_up_share_the_sum():
    weights = {"a": normal(32, 32), "b": normal(32, 32, seed=1), "o": normal(32, 4)}
    model = Written(lambda m, x: torch.relu(x @ m.a + x.flip(-1) @ m.b) @ m.o, **weights)
    done = penstock.initialize(model, normal(64, 32))
    assert target(done.plan, "a") == target(done.plan, "b") == pytest.approx(2**-0.5)
    total = next(n for n in done.after.measured.graph.nodes if n.kind == "sum")
    signal = done.after.measured.signals[total.index]
    assert signal is not None
    # Two independent parts of 32 units each over 64 inputs: the sum's RMS within 5 / sqrt(2 * 32).
    assert signal.rms == pytest.approx(1.0, abs=5 / 8)


def test_a_residual_block_with_a_multiplier_has_no_other_rule_for_it():
    block = seeded(lambda: nn.Sequential(SkipInitBlock(16, start=0.5), Residual(nn.Linear(16, 16)), nn.Linear(16, 3)))
    plan = penstock.plan(block, normal(8, 16))
    assert (plan["0.alpha"].rule, plan["0.last.weight"].rule, plan["1.body.weight"].rule) == (
        "multipliers",
        "residual",
        "residual",
    )
