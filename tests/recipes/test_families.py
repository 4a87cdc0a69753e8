from __future__ import annotations

import math

import numpy as np
import pytest
from standard_error import assert_mean, assert_std

from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.recipes import Constant, Recipe, catalogue, families
from penstock.recipes.families.adapters import lora_scaling

EVERY = {
    "irnn": families.irnn(),
    "lstm": families.lstm(hidden=8),
    "gru": families.gru(),
    "urnn": families.urnn(hidden=8),
    "exp_rnn": families.exp_rnn(),
    "xlstm": families.xlstm(width=32, layers=2, heads=4),
    "vit_moco": families.vit_moco(width=32, patch=4),
    "weight_norm": families.weight_norm(fan_in=32, fan_out=16, blocks=4),
    "s4": families.s4(),
    "s4d": families.s4d(law="inv"),
    "s5": families.s5(),
    "mamba": families.mamba(dt_rank=4),
    "mamba2": families.mamba2(),
    "lru": families.lru(features=4, state=8),
    "rg_lru": families.rg_lru(width=16),
    "bert": families.bert(),
    "transformer": families.transformer(width=64),
    "t5": families.t5(width=32, head_dim=8, heads=2, feed_forward=64),
    "vit_jax": families.vit_jax(),
    "dit": families.dit(),
    "resnet": families.resnet(),
    "efficientnet": families.efficientnet(),
    "dcgan": families.dcgan(),
    "siren": families.siren(),
    "kan": families.kan(fan_in=16, grid=5),
    "ppo": families.ppo(),
    "lora": families.lora(rank=4),
}


def linear(outputs: int, inputs: int) -> Geometry:
    return Geometry((outputs, inputs), in_axes=(1,), out_axes=(0,))


def test_every_family_is_here_and_in_the_catalogue():
    assert set(EVERY) == set(families.__all__)
    listed = {entry.name.removeprefix("families.") for entry in catalogue() if entry.kind == "family"}
    assert listed == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_every_family_holds_recipes(name):
    assert EVERY[name]
    assert all(isinstance(recipe, Recipe) for recipe in EVERY[name].values())


def test_lora_starts_at_zero_with_pefts_laws():
    a = families.lora(rank=8)["A"].draw(linear(8, 400), 1)
    assert 0.99 / 20 < np.abs(a).max() < 1 / 20
    assert families.lora(rank=8)["B"] == Constant(0.0)
    assert families.lora(rank=8, law="gaussian")["A"].std(linear(8, 400)) == 1 / 8
    embedding = families.lora(rank=8, law="embedding")
    assert embedding["A"] == Constant(0.0)
    assert embedding["B"].std(linear(8, 8)) == 1.0
    assert (lora_scaling(32, rank=16), lora_scaling(32, rank=16, stabilized=True)) == (2.0, 8.0)
    with pytest.raises(ArgumentError, match="law must be one of the known ones; got 'normal'"):
        families.lora(rank=8, law="normal")


def test_irnn_copies_its_state():
    torch = pytest.importorskip("torch")
    cell = torch.nn.RNNCell(3, 5, nonlinearity="relu")
    with torch.no_grad():
        cell.weight_ih.copy_(torch.from_numpy(families.irnn()["input"].draw(linear(5, 3), 1)))
        cell.weight_hh.copy_(torch.from_numpy(families.irnn()["recurrent"].draw(linear(5, 5), 1)))
        cell.bias_ih.zero_(), cell.bias_hh.zero_()
        state = torch.arange(5.0)[None]
        for _ in range(50):
            state = cell(torch.zeros(1, 3), state)
    assert state.tolist() == [[0, 1, 2, 3, 4]]


def test_an_lstm_bias_opens_the_forget_gate_alone():
    bias = families.lstm(hidden=3)["bias"].draw(Geometry((12,)), 0)
    np.testing.assert_array_equal(bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_t5_stds():
    t5 = {name: recipe.std(linear(4, 4)) for name, recipe in EVERY["t5"].items()}
    np.testing.assert_allclose(t5["query"], (32 * 8) ** -0.5)
    np.testing.assert_allclose([t5["key"], t5["value"], t5["feed_forward_in"]], 32**-0.5)
    np.testing.assert_allclose((t5["attention_out"], t5["feed_forward_out"]), (16**-0.5, 64**-0.5))


def test_vision_rules_take_the_fan_of_one_group():
    depthwise = Geometry((64, 1, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3), groups=64)
    for name in ("resnet", "efficientnet"):
        np.testing.assert_allclose(EVERY[name]["conv"].std(depthwise) ** 2, 2 / 9)
    head = EVERY["efficientnet"]["head"].draw(linear(100, 40), 1)
    assert 0.099 < np.abs(head).max() < 0.1
    assert families.resnet(zero_last_norm=False)["last_norm"] == Constant(1.0)


def test_bert_is_cut_at_two_hundredths():
    values = EVERY["bert"]["weight"].draw(linear(200, 200), 1)
    assert 0.0395 < np.abs(values).max() <= 0.04


def test_vit_and_ppo_heads():
    assert families.vit_jax(classes=1000)["head_bias"] == Constant(-math.log(1000))
    assert EVERY["vit_jax"]["head_bias"] == Constant(0.0)
    np.testing.assert_allclose(EVERY["ppo"]["policy"].std(linear(4, 64)), 0.01 / 8)


def test_kan_scales():
    spline = EVERY["kan"]["spline"].draw(linear(50, 50), 1)
    assert 0.0495 < np.abs(spline).max() < 0.05
    assert EVERY["kan"]["scale_spline"] == Constant(0.25)


def test_a_gru_of_orthogonal_gates_keeps_the_length_of_a_state():
    weight = families.gru()["recurrent"].draw(Geometry((24, 8), in_axes=(1,), out_axes=(0,), blocks=(8, 8, 8)), 1)
    for gate in np.split(weight.astype(np.float64), 3):
        np.testing.assert_allclose(gate @ gate.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize(("law", "angles"), [("henaff", (-math.pi, math.pi)), ("cayley", (0.0, math.pi / 2))])
def test_exp_rnn_rotates_pairs_by_uniform_angles(law, angles):
    torch = pytest.importorskip("torch")
    skew = torch.from_numpy(families.exp_rnn(law=law)["skew"].draw(linear(4000, 4000), 3)[:2000, :2000]).double()
    pairs = torch.stack([skew[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] for i in range(1000)])
    eye = torch.eye(2, dtype=torch.float64)
    turned = torch.matrix_exp(pairs) if law == "henaff" else torch.linalg.solve(eye + pairs, eye - pairs)
    torch.testing.assert_close(turned @ turned.mT, eye.expand(1000, 2, 2))
    angle = torch.atan2(turned[:, 0, 1], turned[:, 0, 0]).numpy()
    assert angles[0] < angle.min() < angle.max() < angles[1]
    assert_mean(angle, sum(angles) / 2)
    assert_std(angle, (angles[1] - angles[0]) / math.sqrt(12))


def test_a_unitary_recurrence_keeps_the_length_of_its_state():
    urnn = families.urnn(hidden=64)
    d1, d2, d3 = np.exp(1j * urnn["phases"].draw(Geometry((3, 64)), 1).astype(np.float64))
    real = urnn["reflections"].draw(Geometry((2, 128)), 2).astype(np.float64)
    r1, r2 = real[:, :64] + 1j * real[:, 64:]
    state = start = np.exp(1j * np.arange(64.0))
    for _ in range(100):
        state = np.fft.fft(d1 * state, norm="ortho")
        state = state - 2 * r1 * (r1.conj() @ state) / (r1.conj() @ r1)
        state = np.fft.ifft(d2 * state[::-1], norm="ortho")
        state = d3 * (state - 2 * r2 * (r2.conj() @ state) / (r2.conj() @ r2))
    np.testing.assert_allclose(np.linalg.norm(state), np.linalg.norm(start))
    assert not np.allclose(state, start)


def test_xlstm_gates_and_moco_patches():
    np.testing.assert_allclose(EVERY["xlstm"]["forget_bias"].draw(Geometry((4,)), 0), [3, 4, 5, 6])
    np.testing.assert_allclose(EVERY["xlstm"]["down"].std(linear(4, 4)), 2 / (2 * math.sqrt(32)))
    patch = EVERY["vit_moco"]["patch"].draw(Geometry((32, 3, 4, 4)), 1)
    bound = math.sqrt(6 / (48 + 32))
    assert 0.99 * bound < np.abs(patch).max() < bound
    packed = Geometry((96, 32), in_axes=(1,), out_axes=(0,), blocks=(32, 32, 32))
    np.testing.assert_allclose(EVERY["vit_moco"]["qkv"].std(packed), math.sqrt(2 / 64))


def test_weight_normalised_relu_layers_keep_the_gradient_and_the_signal_on_average():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(1)
    for width in (64, 256):
        lengths = families.weight_norm(fan_in=64, fan_out=width)
        layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(64, width, bias=False))
        with torch.no_grad():
            direction = lengths["direction"].draw(linear(width, 64), 1)
            layer.parametrizations.weight.original1.copy_(torch.from_numpy(direction))
            layer.parametrizations.weight.original0.fill_(lengths["length"].value)
            signal = torch.randn(4096, 64, generator=generator)
            out = torch.relu(layer(signal))
        # Rows of length sqrt(2 fan_in / fan_out) keep the squared length of the whole signal, not of one unit.
        assert_mean((out.double() ** 2).sum(1).numpy(), 64.0)
        assert abs(float((out**2).sum(1).mean()) / 64.0 - 2.0) > 0.5  # the control: twice as much is told apart


def test_rows_of_the_first_transformers_have_length_one():
    rows = families.transformer(width=64)["embedding"].draw(Geometry((4000, 64)), 3).astype(np.float64)
    assert_mean((rows**2).sum(axis=1), 1.0)
    np.testing.assert_allclose(families.transformer(width=64)["weight"].std(linear(40, 10)), (2 / 50) ** 0.5)
