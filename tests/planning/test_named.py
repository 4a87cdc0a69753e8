"""Named plans draw what they say: the frameworks' own layers, the published codes, the papers' formulas."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conventions.framework_laws import assert_same_law, assert_same_law_and_power
from standard_error import assert_std
from torch import Tensor, nn
from torch_models import Residual, Written, integers, normal, seeded

import penstock
from penstock.errors import ArgumentError
from penstock.planning.named.table import NAMED, ROWS
from penstock.planning.plan import Entry, Plan
from penstock.planning.site import Decision, Site
from penstock.recipes import Blocks, Constant, DeltaOrthogonal, LogIndex, Normal, Orthogonal, PerBlock
from penstock.recipes.schemes import GPT2, MuP
from zoo.hf import HF
from zoo.modules import SelfAttention
from zoo.plain import PLAIN, STRUCTURES
from zoo.structures import skip_init, transformer

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

X = normal(8, 120)


class Layers(nn.Module):
    """One of each layer of torch.nn that draws weights, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(120, 200)
        self.conv = nn.Conv2d(40, 60, 5, groups=2, padding=2)
        self.transposed = nn.ConvTranspose2d(60, 40, 4, 2)
        self.table = nn.Embedding(300, 60)
        self.rnn, self.gru = nn.RNN(60, 80), nn.GRU(60, 80)
        self.lstm = nn.LSTM(60, 80, proj_size=30)
        self.attention = nn.MultiheadAttention(120, 4)
        self.bilinear = nn.Bilinear(30, 40, 20)
        self.norm = nn.LayerNorm(120)

    def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        image = self.transposed(self.conv(x.reshape(-1, 40, 1, 3)))
        words = self.table(ids)
        mixed = self.attention(x[:, None], x[:, None], x[:, None], need_weights=False)[0]
        pair = self.bilinear(x[:, :30], x[:, 30:70])
        return (
            self.linear(x),
            image,
            self.rnn(words)[0],
            self.gru(words)[0],
            self.lstm(words)[0],
            mixed,
            pair,
            self.norm(x),
        )


IDS = integers(4, 8, high=300)


def plan_of_layers(recipe: str) -> tuple[nn.Module, Plan]:
    model = seeded(Layers)
    return model, penstock.plan(model, (X, IDS), recipe=recipe)


def test_torch_is_what_torch_draws():
    model, plan = plan_of_layers("torch")
    assert {e.rule for e in plan.entries} == {"torch"}
    for entry in plan.entries:
        assert entry.recipe is not None
        values = model.get_parameter(entry.name).detach().numpy()
        law = assert_same_law_and_power if values.size > 4000 else assert_same_law
        law(values, entry.recipe, entry.geometry)


def test_no_other_framework_is_torch():
    """Control: the comparison above finds the plan of another framework."""
    for other in ("keras", "flax", "haiku"):
        model, plan = plan_of_layers(other)
        entry = plan["linear.weight"]
        assert entry.recipe is not None
        with pytest.raises(AssertionError):
            assert_same_law(model.get_parameter("linear.weight").detach().numpy(), entry.recipe, entry.geometry)


def compare(plan: Plan, name: str, values: Any) -> None:
    """The entry's law is that of another framework's values of the same size."""
    entry = plan[name]
    theirs = np.asarray(values)
    assert theirs.size == math.prod(entry.shape), name
    assert entry.recipe is not None
    law = assert_same_law_and_power if theirs.size > 4000 else assert_same_law
    law(theirs, entry.recipe, entry.geometry)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_keras_is_what_keras_draws():
    pytest.importorskip("keras.layers")
    keras = importlib.import_module("keras")
    keras.utils.set_random_seed(0)
    layers, values = keras.layers, keras.ops.convert_to_numpy
    _, plan = plan_of_layers("keras")

    def built(layer: Any, *shapes: Any) -> Any:
        layer.build(*shapes)
        return layer

    compare(plan, "linear.weight", values(built(layers.Dense(200), (1, 120)).kernel))
    compare(plan, "linear.bias", values(built(layers.Dense(200), (1, 120)).bias))
    compare(plan, "conv.weight", values(built(layers.Conv2D(60, 5, groups=2), (1, 9, 9, 40)).kernel))
    compare(plan, "transposed.weight", values(built(layers.Conv2DTranspose(40, 4, 2), (1, 9, 9, 60)).kernel))
    compare(plan, "table.weight", values(built(layers.Embedding(300, 60), (1, 3)).embeddings))
    compare(plan, "norm.weight", values(built(layers.LayerNormalization(), (1, 120)).gamma))
    for name, cell in (("rnn", layers.SimpleRNNCell), ("gru", layers.GRUCell)):
        made = built(cell(80), (1, 60))
        compare(plan, f"{name}.weight_ih_l0", values(made.kernel))
        compare(plan, f"{name}.weight_hh_l0", values(made.recurrent_kernel))
    attention = layers.MultiHeadAttention(4, 30)
    attention.build((1, 3, 120), (1, 3, 120))
    projections = [values(getattr(attention, f"{n}_dense").kernel) for n in ("query", "key", "value")]
    compare(plan, "attention.in_proj_weight", np.concatenate([p.ravel() for p in projections]))
    compare(plan, "attention.out_proj.weight", values(attention.output_dense.kernel))
    forget = plan["lstm.bias_ih_l0"].recipe
    assert forget == PerBlock((0.0, 1.0, 0.0, 0.0), (80,) * 4)
    assert plan["lstm.bias_hh_l0"].recipe == Constant(0.0)
    # One orthogonal matrix over all gates, as Keras draws it: its columns are orthonormal.
    entry = plan["gru.weight_hh_l0"]
    assert entry.recipe is not None
    drawn = entry.recipe.draw(entry.geometry, 1)
    np.testing.assert_allclose(drawn.T @ drawn, np.eye(80), atol=1e-5)


def test_flax_is_what_flax_draws():
    pytest.importorskip("jax.numpy")
    jax = importlib.import_module("jax")
    pytest.importorskip("flax.linen")
    linen = importlib.import_module("flax.linen")
    _, plan = plan_of_layers("jax")

    def kernel(layer: Any, shape: tuple[int, ...], *path: str) -> Any:
        found = layer.init(jax.random.key(0), np.zeros(shape, np.float32))["params"]
        for name in path:
            found = found[name]
        return found

    compare(plan, "linear.weight", kernel(linen.Dense(200), (1, 120), "kernel"))
    compare(plan, "conv.weight", kernel(linen.Conv(60, (5, 5), feature_group_count=2), (1, 9, 9, 40), "kernel"))
    compare(plan, "transposed.weight", kernel(linen.ConvTranspose(40, (4, 4), (2, 2)), (1, 9, 9, 60), "kernel"))
    table = linen.Embed(300, 60).init(jax.random.key(0), np.zeros((1,), np.int32))["params"]["embedding"]
    compare(plan, "table.weight", table)
    attention = linen.MultiHeadDotProductAttention(4)
    parts = [kernel(attention, (1, 3, 120), n, "kernel") for n in ("query", "key", "value")]
    compare(plan, "attention.in_proj_weight", np.concatenate([np.asarray(p).ravel() for p in parts]))
    compare(plan, "attention.out_proj.weight", kernel(attention, (1, 3, 120), "out", "kernel"))
    gru = linen.GRUCell(features=80)
    inputs = np.zeros((1, 60), np.float32)
    cell = gru.init(jax.random.key(0), gru.initialize_carry(jax.random.key(0), inputs.shape), inputs)["params"]
    compare(plan, "gru.weight_ih_l0", np.concatenate([np.asarray(cell[f"i{g}"]["kernel"]).ravel() for g in "rzn"]))
    compare(plan, "gru.weight_hh_l0", np.concatenate([np.asarray(cell[f"h{g}"]["kernel"]).ravel() for g in "rzn"]))
    for gate in np.split(drawn(plan["gru.weight_hh_l0"]), 3):
        np.testing.assert_allclose(gate @ gate.T, np.eye(80), atol=1e-5)


def drawn(entry: Entry) -> Any:
    assert entry.recipe is not None
    return entry.recipe.draw(entry.geometry, 1)


@pytest.mark.parametrize(("family", "recipe"), [("gpt2", "gpt2"), ("t5", "t5"), ("mamba", "mamba")])
def test_families_are_what_their_library_draws(family: str, recipe: str):
    row = next(r for r in HF if r.name == f"hf_{family}")
    model = row.build(0)
    plan = penstock.plan(model, row.batch(0), recipe=recipe)
    compared = 0
    for entry in plan.entries:
        values = model.get_parameter(entry.name).detach().double().numpy()
        if entry.recipe is None or "conv1d" in entry.name or "dt_proj" in entry.name or "embeddings" in entry.name:
            continue
        std = entry.recipe.std(entry.geometry)
        if std == 0.0 or isinstance(entry.recipe, LogIndex):
            np.testing.assert_allclose(values, entry.recipe.draw(entry.geometry, 0), rtol=1e-6)
        elif family != "mamba":
            padding = 0 if entry.shape[0] != 100 else 1  # the row of padding is zero
            assert_std(values[padding:].ravel(), std)
            compared += 1
    assert compared > 5 or family == "mamba"


def stds(plan: Plan) -> dict[str, float]:
    """Std of each drawn entry."""
    return {e.name: e.recipe.std(e.geometry) for e in plan.entries if e.recipe is not None}


TOKENS = normal(4, 6, 32)


def test_gpt2_and_llama_shrink_the_ends_of_branches():
    model = seeded(lambda: transformer("grouped", blocks=4))
    gpt2, llama = (stds(penstock.plan(model, TOKENS, recipe=name)) for name in ("gpt2", "llama"))
    assert gpt2["0.attention.q.weight"] == pytest.approx(0.02)
    assert gpt2["0.attention.o.weight"] == pytest.approx(0.02 / math.sqrt(8))
    assert gpt2["3.mlp.2.weight"] == pytest.approx(0.02 / math.sqrt(8))
    assert llama["0.attention.o.weight"] == pytest.approx(0.02 / math.sqrt(2))
    assert llama["3.mlp.2.weight"] == pytest.approx(0.02 / math.sqrt(8))
    assert llama["6.weight"] == pytest.approx(32**-0.5, rel=0.03)  # cut at three of them


def test_llamas_straight_gate_counts_as_the_end_of_a_branch():
    row = next(r for r in (*PLAIN, *STRUCTURES) if r.name == "swiglu")
    plan = stds(penstock.plan(row.build(0), row.batch(0), recipe="llama"))
    assert plan["2.body.1.up.weight"] == pytest.approx(0.02 / math.sqrt(4))
    assert plan["2.body.1.gate.weight"] == pytest.approx(0.02)


def test_deep_norm_and_t_fixup_scale_values_and_ends_alone():
    model = seeded(lambda: transformer("deep_norm", blocks=4))
    plan = penstock.plan(model, TOKENS, recipe="deepnorm")
    assert stds(plan)["0.mlp.0.weight"] == pytest.approx((8 * 4) ** -0.25 * math.sqrt(2 / (32 + 128)))
    assert any("alpha x + f(x)" in note for note in plan.notes)
    separate = seeded(lambda: transformer("grouped", blocks=4))
    fixed = stds(penstock.plan(separate, TOKENS, recipe="t_fixup"))
    assert fixed["1.attention.q.weight"] == pytest.approx(math.sqrt(2 / 64))
    assert fixed["1.attention.v.weight"] == pytest.approx(0.67 * 4**-0.25 * math.sqrt(2 / (32 + 16)))
    assert fixed["1.attention.o.weight"] == pytest.approx(0.67 * 4**-0.25 * math.sqrt(2 / 64))


def test_an_encoder_and_a_decoder_have_their_own_depths():
    row = next(r for r in HF if r.name == "hf_bart")
    plan = stds(penstock.plan(row.build(0), row.batch(0), recipe="deepnorm"))
    glorot = math.sqrt(2 / 64)
    assert plan["model.encoder.layers.1.self_attn.v_proj.weight"] == pytest.approx(
        0.87 * (2**4 * 2) ** -0.0625 * glorot
    )
    assert plan["model.decoder.layers.1.encoder_attn.v_proj.weight"] == pytest.approx((12 * 2) ** -0.25 * glorot)
    assert plan["model.decoder.layers.0.self_attn.q_proj.weight"] == pytest.approx(glorot)


def test_packed_projections_of_the_framework_are_drawn_part_by_part():
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 3))
    entry = penstock.plan(model, TOKENS, recipe="deepnorm")["0.layers.0.self_attn.in_proj_weight"]
    assert isinstance(entry.recipe, Blocks)
    q, k, v = (part.std(entry.geometry.block(i)) for i, part in enumerate(entry.recipe.parts))
    assert q == k == pytest.approx(math.sqrt(2 / 64))
    assert v == pytest.approx(16**-0.25 * math.sqrt(2 / 64))


def test_fixup_uses_the_scalars_of_the_model():
    plan = penstock.plan(seeded(lambda: skip_init(start=0.3)), normal(8, 64), recipe="fixup")
    assert plan["0.alpha"].recipe == Constant(1.0)
    assert plan["0.bias1"].recipe == plan["0.bias2"].recipe == Constant(0.0)
    assert plan["0.last.weight"].recipe == plan["6.weight"].recipe == Constant(0.0)
    assert stds(plan)["0.first.weight"] == pytest.approx(math.sqrt(2 / 64) * 6**-0.5)


def test_skipinit_and_rezero_set_the_multiplier_or_fold_it_into_the_branch():
    owned = penstock.plan(seeded(lambda: skip_init(start=1.0)), normal(8, 64), recipe="skipinit")
    assert owned["0.alpha"].recipe == Constant(0.0)
    assert stds(owned)["0.last.weight"] > 0.1
    body = [Residual(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))) for _ in range(2)]
    folded = penstock.plan(nn.Sequential(*body, nn.Linear(16, 3)), normal(8, 16), recipe="stable_resnet")
    usual = penstock.plan(nn.Sequential(*body, nn.Linear(16, 3)), normal(8, 16), recipe="exact")
    assert stds(folded)["0.body.2.weight"] == pytest.approx(stds(usual)["0.body.2.weight"] / math.sqrt(2))
    assert "no multiplier" in folded["0.body.2.weight"].reason


def test_multipliers_that_a_model_lacks_are_in_its_weights():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    for name in ("ntk", "mup"):
        plan = penstock.plan(model, normal(8, 16), recipe=name)
        assert stds(plan)["2.weight"] == pytest.approx(1 / 8)
    assert stds(penstock.plan(model, normal(8, 16), recipe="unit_mup"))["4.weight"] == pytest.approx(1 / 64)


def chain(*widths: int) -> nn.Sequential:
    """Linear layers with a ReLU between them."""
    model = nn.Sequential()
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        model.append(seeded(lambda i=inputs, o=outputs: nn.Linear(i, o), seed=index)).append(nn.ReLU())
    return nn.Sequential(*list(model)[:-1])


def test_lsuv_and_krahenbuhl_are_corrected_on_data():
    model = chain(12, 32, 16, 4)
    x = 3.0 * normal(64, 12) + 1.0
    penstock.initialize(model, x, recipe="lsuv")
    for end in (1, 3, 5):
        # Factors have three digits.
        assert model[:end](x).detach().pow(2).mean().sqrt().item() == pytest.approx(1.0, rel=5.1e-3)
    units = model[:3](x).detach()
    assert not torch.allclose(units.std(0, correction=0), torch.ones(16), rtol=1e-2)  # control for the next method
    penstock.initialize(model, x, recipe="krahenbuhl")
    for end in (1, 3, 5):
        units = model[:end](x).detach()
        torch.testing.assert_close(units.std(0, correction=0), torch.ones(units.shape[1]), rtol=5.1e-3, atol=0)
        torch.testing.assert_close(units.mean(0), torch.zeros(units.shape[1]), rtol=0, atol=5.1e-3)


@pytest.mark.parametrize("name", ["he", "xavier", "lecun", "orthogonal", "gpt2", "bert"])
def test_weight_norms_length_is_that_of_the_weights_it_replaces(name: str):
    model = chain(16, 64, 64, 4)
    plain = stds(penstock.plan(model, normal(8, 16), recipe=name))["2.weight"]
    nn.utils.parametrizations.weight_norm(model[2])
    plan = penstock.plan(model, normal(8, 16), recipe=name)
    plan.apply(model)
    weight = model[2].weight
    assert isinstance(weight, Tensor)
    assert weight.detach().pow(2).mean().sqrt().item() == pytest.approx(plain, rel=1e-4)


SOME = ("transformer_pre_norm", "resnet", "lstm", "mlp_weight_norm", "experts_bmm", "cnn_autoencoder", "diffusion")


@pytest.mark.parametrize("name", SOME)
def test_every_name_places_every_parameter(name: str):
    row = next(r for r in (*PLAIN, *STRUCTURES) if r.name == name)
    model, batch = row.build(0), row.batch(0)
    for named in ROWS:
        plan = penstock.plan(model, batch, recipe=named.name)
        assert not [e.name for e in plan.entries if e.rule == "left over"], named.name
        assert all(e.reason for e in plan.entries)
        plan.apply(model)
        assert all(torch.isfinite(p).all() for p in model.parameters()), named.name


def test_names_are_unique_and_have_their_source():
    assert len(NAMED) == sum(1 + len(row.aliases) for row in ROWS)
    assert all(row.draws and row.source for row in ROWS)


def mlp() -> nn.Sequential:
    return chain(12, 24, 3)


def test_a_recipe_is_for_all_weights():
    plan = penstock.plan(mlp(), normal(8, 12), recipe=Orthogonal(0.5))
    assert plan["0.weight"].recipe == plan["2.weight"].recipe == Orthogonal(0.5)
    assert plan["0.bias"].recipe == Constant(0.0)
    assert plan["0.weight"].calibration is None
    packed = Written(lambda m, x: m.layer(x)[0], o=normal(2))
    packed.layer = nn.LSTM(12, 8, batch_first=True)
    recipe = penstock.plan(packed, normal(4, 5, 12), recipe=Orthogonal(0.5))["layer.weight_hh_l0"].recipe
    assert recipe == Blocks((Orthogonal(0.5),) * 4)


def test_a_scheme_keeps_its_parameters():
    plan = penstock.plan(mlp(), normal(8, 12), recipe=GPT2(std=0.3))
    assert plan["0.weight"].recipe == Normal(0.3)
    assert stds(penstock.plan(mlp(), normal(8, 12), recipe=MuP(gain=2.0)))["0.weight"] == pytest.approx(
        2 / math.sqrt(12)
    )


def test_a_function_decides_where_it_wants_and_auto_elsewhere():
    def mine(site: Site) -> Decision | Normal | None:
        if site.name == "0.weight":
            return Normal(0.5)
        return Decision(Constant(0.25), "a quarter") if site.stats.role == "bias" else None

    plan = penstock.plan(mlp(), normal(8, 12), recipe=mine)
    assert (plan["0.weight"].recipe, plan["0.weight"].reason) == (Normal(0.5), "chosen by mine")
    assert plan["2.bias"].recipe == Constant(0.25)
    assert plan["2.weight"].rule == "heads"
    kept = penstock.plan(mlp(), normal(8, 12), recipe=mine, keep=["0.*"])
    assert kept["0.weight"].recipe is None


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("gpt3", r"unknown recipe 'gpt3'(.|\n)*Did you mean 'gpt2'(.|\n)*Known: auto, (.|\n)*xavier"),
        (3, r"recipe must be a name, a recipe, a scheme or a function of a site; got int 3"),
        (lambda site: 3, r"must return a Recipe, a Decision or None; got int\.\n  at: 0.weight \(24, 12\)"),
        (DeltaOrthogonal(1.0), r"cannot draw this one(.|\n)*at: 2.weight"),
    ],
)
def test_what_is_no_recipe_is_refused_and_nothing_is_written(recipe: Any, message: str):
    model = mlp()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ArgumentError, match=message):
        penstock.initialize(model, normal(8, 12), recipe=recipe)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_named_plan_goes_to_json_and_back():
    for name in ("keras", "llama", "krahenbuhl"):
        model, plan = plan_of_layers(name)
        again = Plan.from_json(plan.to_json())
        assert again == plan
        again.apply(model)


def test_fused_attention_without_declared_blocks_is_drawn_whole():
    make: Callable[[], nn.Module] = lambda: nn.Sequential(Residual(SelfAttention(32, 4)), nn.Linear(32, 3))  # noqa: E731
    plan = stds(penstock.plan(seeded(make), TOKENS, recipe="deepnorm"))
    assert plan["0.body.qkv.weight"] == pytest.approx(8**-0.25 * math.sqrt(2 / (32 + 96)))
