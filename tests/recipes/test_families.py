from __future__ import annotations

import math

import numpy as np
import pytest

from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.recipes import Constant, Recipe, catalogue, families
from penstock.recipes.families.adapters import lora_scaling

EVERY = {
    "irnn": families.irnn(),
    "lstm": families.lstm(hidden=8),
    "s4": families.s4(),
    "s4d": families.s4d(law="inv"),
    "s5": families.s5(),
    "mamba": families.mamba(dt_rank=4),
    "mamba2": families.mamba2(),
    "lru": families.lru(features=4, state=8),
    "rg_lru": families.rg_lru(width=16),
    "bert": families.bert(),
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
