"""What each rule decides, on small real models, through the public door."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_models import Residual, Written, integers, normal, seeded

import penstock
from penstock.planning.plan import Entry, Plan
from penstock.planning.rounding import rounded
from penstock.recipes import Blocks, Constant, LooksLinear, Normal, Orthogonal, PerBlock, VarianceScaling

X = normal(16, 12)
SEQUENCE = normal(16, 5, 12) / normal(16, 5, 12).pow(2).mean().sqrt()  # branches are sized against it
IDS = integers(16, 5, high=20)


def plan_of(make: Callable[[], nn.Module], batch: Any = X, **options: Any) -> Plan:
    return penstock.plan(seeded(make), batch, **options)


def gain_of(entry: Entry) -> float:
    assert isinstance(entry.recipe, VarianceScaling | Orthogonal), entry
    return entry.recipe.gain


def mlp(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 24), *middle, nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))


def test_norms_start_as_the_identity():
    for norm in (nn.LayerNorm(24), nn.BatchNorm1d(24), nn.GroupNorm(2, 24)):
        plan = plan_of(lambda norm=norm: mlp(norm))
        assert plan["1.weight"].recipe == Constant(1.0)
        assert plan["1.bias"].recipe == Constant(0.0)
        assert plan["1.weight"].rule == "norms"


def test_the_weight_before_a_norm_is_not_calibrated():
    assert plan_of(lambda: mlp(nn.LayerNorm(24)))["0.weight"].calibration is None
    assert plan_of(lambda: mlp(nn.ReLU()))["0.weight"].calibration is not None


def test_biases_are_zero():
    plan = plan_of(lambda: mlp(nn.ReLU()))
    assert [plan[n].recipe for n in ("0.bias", "2.bias", "4.bias")] == [Constant(0.0)] * 3


# A hand-written activation has the gain of the name that it has in penstock.gain.
GAINS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "relu": ("relu", torch.relu),
    "gelu": ("gelu", F.gelu),
    "swish by hand": ("silu", lambda x: x * torch.sigmoid(x)),
    "relu by where": ("relu", lambda x: torch.where(x > 0, x, torch.zeros_like(x))),
    "leaky": ("leaky_relu_0.3", lambda x: F.leaky_relu(x, 0.3)),
    "prelu": ("leaky_relu_0.25", nn.PReLU()),
}


@pytest.mark.parametrize("case", GAINS)
def test_the_gain_is_that_of_the_function_before(case: str):
    name, function = GAINS[case]

    def make() -> nn.Module:
        model = Written(lambda m, x: torch.relu(function(x @ m.a) @ m.b) @ m.c, **WEIGHTS)
        if isinstance(function, nn.Module):
            model.activation = function
        return model

    entry = plan_of(make)["b"]
    assert gain_of(entry) == pytest.approx(float(penstock.gain(name)), rel=1e-6)
    assert entry.calibration is not None
    assert entry.calibration.target == 1.0


WEIGHTS = {"a": normal(12, 24), "b": normal(24, 24, seed=1), "c": normal(24, 3, seed=2)}


def test_the_first_weight_makes_up_for_the_scale_of_the_data():
    assert gain_of(plan_of(lambda: mlp(nn.ReLU()), 5 * X)["0.weight"]) == pytest.approx(
        rounded(1 / float((5 * X).pow(2).mean().sqrt())), rel=1e-12
    )


@pytest.mark.parametrize(
    ("function", "second"),
    [
        (lambda g, u: F.silu(g) * u, 0.355775519817),  # E[silu^2]
        (lambda g, u: torch.sigmoid(g) * u, 0.293379035858),  # E[sigmoid^2]
        (lambda g, u: F.glu(torch.cat([u, g], -1)), 0.293379035858),
        (lambda g, u: g * u, 1.0),
    ],
)
def test_a_gate_multiplies_second_moments(function: Callable[[Tensor, Tensor], Tensor], second: float):
    weights = {"g": normal(12, 24), "u": normal(12, 24, seed=1), "d": normal(24, 24, seed=2), "o": normal(24, 3)}
    plan = plan_of(lambda: Written(lambda m, x: torch.relu(function(x @ m.g, x @ m.u) @ m.d) @ m.o, **weights))
    assert gain_of(plan["d"]) == pytest.approx(1 / math.sqrt(second), rel=1e-4)


def test_heads_make_outputs_of_rms_one():
    entry = plan_of(lambda: mlp(nn.ReLU()))["4.weight"]
    assert entry.rule == "heads"
    assert gain_of(entry) == pytest.approx(math.sqrt(2), rel=1e-6)
    softmax = plan_of(lambda: nn.Sequential(mlp(nn.ReLU()), nn.LogSoftmax(-1)))["0.4.weight"]
    assert softmax.rule == "heads"


class Block(nn.Module):
    """A transformer block, pre-norm or post-norm."""

    def __init__(self, *, post: bool) -> None:
        super().__init__()
        self.post = post
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.norms = nn.ModuleList([nn.LayerNorm(12), nn.LayerNorm(12)])

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.norms
        if self.post:
            x = first(x + self.attention(x, x, x, need_weights=False)[0])
            return second(x + self.mlp(x))
        h = first(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(second(x))


def transformer(blocks: int, *, post: bool) -> nn.Sequential:
    return nn.Sequential(*(Block(post=post) for _ in range(blocks)), nn.LayerNorm(12), nn.Linear(12, 3))


@pytest.mark.parametrize(("blocks", "post", "sums"), [(2, False, 4), (8, False, 16), (4, True, 1)])
def test_residual_branches_share_their_stream(blocks: int, post: bool, sums: int):
    plan = plan_of(lambda: transformer(blocks, post=post), SEQUENCE)
    share = 1 / math.sqrt(sums)
    for i in range(blocks):
        out, down = plan[f"{i}.attention.out_proj.weight"], plan[f"{i}.mlp.2.weight"]
        assert (out.rule, down.rule) == ("residual", "residual")
        assert gain_of(out) == pytest.approx(share, rel=1e-6)
        assert gain_of(down) == pytest.approx(share * float(penstock.gain("gelu")), rel=1e-6)
        assert plan[f"{i}.mlp.0.weight"].rule == "contractions"


def test_attention_is_drawn_block_by_block():
    entry = plan_of(lambda: transformer(2, post=False), SEQUENCE)["0.attention.in_proj_weight"]
    assert isinstance(entry.recipe, Blocks)
    assert len(entry.recipe.parts) == 3
    assert entry.recipe.std(entry.geometry) == pytest.approx(1 / math.sqrt(12), rel=1e-6)
    weights = {n: normal(12, 12, seed=i) for i, n in enumerate("qkv")} | {"o": normal(12, 3)}

    def separate(m: Any, x: Tensor) -> Tensor:
        return ((x @ m.q) @ (x @ m.k).transpose(-1, -2) / 12**0.5).softmax(-1) @ (x @ m.v) @ m.o

    plan = plan_of(lambda: Written(separate, **weights), SEQUENCE)
    assert [plan[n].rule for n in "qkvo"] == ["attention", "attention", "attention", "heads"]


@pytest.mark.parametrize("layers", [1, 2])
def test_the_lstms_forget_gate_is_open_once(layers: int):
    model = Written(lambda m, x: m.layer(x)[0] @ m.o, o=normal(8, 3))
    model.layer = seeded(lambda: nn.LSTM(12, 8, num_layers=layers, batch_first=True))
    plan = penstock.plan(model, SEQUENCE)
    plan.apply(model)
    for i in range(layers):
        assert plan[f"layer.bias_ih_l{i}"].recipe == PerBlock((0.0, 1.0, 0.0, 0.0), (8, 8, 8, 8))
        total = getattr(model.layer, f"bias_ih_l{i}") + getattr(model.layer, f"bias_hh_l{i}")
        assert total.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
        for gate in getattr(model.layer, f"weight_hh_l{i}").detach().split(8):
            torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("make", "gates"), [(nn.GRU, 3), (nn.RNN, 0)])
def test_other_recurrent_layers_have_no_forget_bias(make: Callable[..., nn.Module], gates: int):
    model = Written(lambda m, x: m.layer(x)[0] @ m.o, o=normal(8, 3))
    model.layer = seeded(lambda: make(12, 8, batch_first=True))
    plan = penstock.plan(model, SEQUENCE)
    hidden = plan["layer.weight_hh_l0"].recipe
    assert (hidden.parts if isinstance(hidden, Blocks) else ()) == (Orthogonal(1.0),) * gates or gates == 0
    assert plan["layer.bias_ih_l0"].recipe == plan["layer.bias_hh_l0"].recipe == Constant(0.0)


class LanguageModel(nn.Module):
    """Tokens and positions, one MLP, a head that may be the table itself."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(20, 12), nn.Embedding(9, 12)
        self.body = Residual(nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 12), nn.GELU(), nn.Linear(12, 12)))
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 20, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.body(x)))


def test_embeddings():
    free, tied = (plan_of(lambda tied=tied: LanguageModel(tied=tied), IDS) for tied in (False, True))
    assert free["tokens.weight"].recipe == Normal(1.0)
    assert free["head.weight"].rule == "heads"
    assert tied["tokens.weight"].recipe == Normal(1 / math.sqrt(12))
    assert tied["tokens.weight"].ties == ("head.weight",)
    assert tied["head.weight"] is tied["tokens.weight"]
    # Half of what tokens have.
    assert free["positions.weight"].recipe == Normal(0.5)


def test_deep_plain_stacks_are_shaped_and_shallow_ones_are_not():
    def stack(depth: int) -> nn.Sequential:
        return nn.Sequential(*(m for _ in range(depth) for m in (nn.Linear(12, 12), nn.GELU())), nn.Linear(12, 3))

    shallow, deep = plan_of(lambda: stack(4)), plan_of(lambda: stack(20))
    assert {shallow[f"{2 * i}.weight"].rule for i in range(4)} == {"contractions"}
    assert {deep[f"{2 * i}.weight"].rule for i in range(20)} == {"shaped"}
    assert isinstance(deep["2.weight"].recipe, LooksLinear)
    assert deep["40.weight"].rule == "heads"


def test_weight_norms_length_is_the_gain():
    def make() -> nn.Module:
        model = mlp(nn.ReLU())
        for i in (0, 2, 4):
            nn.utils.parametrizations.weight_norm(model[i])
        return model

    plan = plan_of(make)
    length = plan["2.parametrizations.weight.original0"]
    assert isinstance(length.recipe, Constant)
    assert length.recipe.value == pytest.approx(math.sqrt(2.0))
    assert plan["2.parametrizations.weight.original1"].calibration.knob == length.name  # type: ignore[union-attr]
    head = plan["4.parametrizations.weight.original0"].recipe
    assert isinstance(head, Constant)
    assert head.value == pytest.approx(math.sqrt(2.0))


def test_what_is_kept():
    model = seeded(lambda: mlp(nn.ReLU()))
    model[0].requires_grad_(False)
    plan = penstock.plan(model, X, keep=["2.*"])
    assert [plan[n].recipe for n in ("0.weight", "0.bias", "2.weight", "2.bias")] == [None] * 4
    assert "frozen" in plan["0.weight"].reason
    assert "you named it" in plan["2.weight"].reason
    assert plan["4.weight"].recipe is not None


def test_lora_is_kept():
    weights = {"base": normal(12, 12), "lora_A": normal(12, 2), "lora_B": torch.zeros(2, 12), "o": normal(12, 3)}
    plan = plan_of(
        lambda: Written(lambda m, x: torch.relu(x @ m.base + x @ m.lora_A @ m.lora_B) @ m.o, **weights), keep=["base"]
    )
    assert plan["lora_A"].recipe is None
    assert plan["lora_B"].recipe is None


def test_layer_scales_and_unused_parameters_are_kept_and_said_so():
    weights = {"w": normal(12, 12), "g": torch.full((12,), 1e-4), "o": normal(12, 3), "spare": normal(4, 4)}
    plan = plan_of(lambda: Written(lambda m, x: (x + m.g * (x @ m.w)) @ m.o, **weights))
    assert plan["g"].recipe is None
    assert "multiplier of a residual branch" in plan["g"].reason
    assert "never used" in plan["spare"].reason
    assert any("spare" in note for note in plan.notes)
