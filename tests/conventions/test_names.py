from __future__ import annotations

import pytest

from penstock.conventions import as_seen_by, layer_defaults, names_of, recipe_of
from penstock.errors import ArgumentError
from penstock.geometry import Geometry

LINEAR = Geometry((300, 100), in_axes=(1,), out_axes=(0,))
FRAMEWORKS = ["torch", "keras", "jax", "flax", "haiku"]
CUT = 0.8796256610342398


@pytest.mark.parametrize(
    ("convention", "name", "arguments", "std", "law"),
    [
        ("torch", "he_normal", {}, (2 / 100) ** 0.5, "fan_in normal"),
        ("torch", "kaiming_normal_", {"a": 1.0}, 0.1, "fan_in normal"),
        ("keras", "he_normal", {}, (2 / 100) ** 0.5, "fan_in truncated_normal"),
        ("jax", "he_normal", {}, (2 / 100) ** 0.5, "fan_in truncated_normal"),
        ("torch", "glorot_normal", {}, (2 / 400) ** 0.5, "fan_avg normal"),
        ("flax", "xavier_normal", {}, (2 / 400) ** 0.5, "fan_avg truncated_normal"),
        ("torch", "trunc_normal", {"std": 0.02}, 0.02, "normal(std=0.02)"),
        ("torch", "trunc_normal", {}, CUT, "truncated_normal"),
        ("jax", "truncated_normal", {"stddev": 0.02}, 0.02 * CUT, "truncated_normal"),
        ("keras", "truncated_normal", {}, 0.05 * CUT, "truncated_normal"),
        (
            "haiku",
            "truncated_normal",
            {"stddev": 0.02, "lower": -3.0, "upper": 3.0},
            0.02 * 0.986578392558109,
            "bounded",
        ),
        ("jax", "uniform", {}, 0.01 / 12**0.5, "uniform(0 to 0.01)"),
        ("keras", "random_uniform", {}, 0.05 / 3**0.5, "uniform(bound=0.05)"),
        ("torch", "uniform", {}, 1 / 12**0.5, "uniform(0 to 1)"),
        ("keras", "random_normal", {}, 0.05, "normal"),
        ("jax", "normal", {}, 0.01, "normal"),
        ("haiku", "random_normal", {}, 1.0, "normal"),
        ("keras", "variance_scaling", {"scale": 2.0, "distribution": "normal"}, 0.02**0.5, "fan_in truncated_normal"),
        ("jax", "variance_scaling", {"scale": 2.0, "distribution": "normal"}, 0.02**0.5, "fan_in normal"),
        ("jax", "variance_scaling", {"mode": "fan_geo_avg"}, 30000**-0.25, "fan_geo truncated_normal"),
        ("torch", "orthogonal", {"gain": 2.0}, 2 / 300**0.5, "semi_orthogonal(gain=2)"),
        ("jax", "orthogonal", {"scale": 2.0}, 2 / 300**0.5, "semi_orthogonal(gain=2)"),
        ("keras", "constant", {"value": 0.5}, 0.0, "constant(0.5)"),
    ],
)
def test_what_a_name_means(convention, name, arguments, std, law):
    recipe = recipe_of(name, convention=convention, **arguments)
    assert recipe.describe().startswith(law)
    assert recipe.std(LINEAR) == pytest.approx(std, rel=1e-7)


@pytest.mark.parametrize("convention", FRAMEWORKS)
def test_every_name_can_be_asked_for_and_drawn(convention):
    geometry = Geometry((6, 4, 3), in_axes=(1,), out_axes=(0,), window_axes=(2,))
    for name in names_of(convention):
        assert recipe_of(name, convention=convention).draw(geometry, 1).shape == (6, 4, 3)


@pytest.mark.parametrize("convention", FRAMEWORKS)
def test_every_layer_default_can_be_drawn(convention):
    for layer, parameters in layer_defaults(convention).items():
        for parameter, rule in parameters.items():
            recipe = rule(LINEAR)
            assert recipe.describe(), (layer, parameter)


def test_unknown_frameworks_names_and_arguments_are_errors():
    with pytest.raises(ArgumentError, match=r"unknown convention: 'mxnet'.\nHint: "):
        recipe_of("he_normal", convention="mxnet")
    with pytest.raises(ArgumentError, match=r"unknown name \(of keras\): 'he_norml'.\nHint: Did you mean 'he_normal'"):
        recipe_of("he_norml", convention="keras")
    with pytest.raises(
        ArgumentError, match=r"'truncated_normal', convention='keras'.* unexpected keyword argument 'std'"
    ):
        recipe_of("truncated_normal", convention="keras", std=0.02)
    with pytest.raises(ArgumentError, match="unexpected keyword argument 'gain'"):
        recipe_of("orthogonal", convention="jax", gain=2.0)
    with pytest.raises(ArgumentError, match="unknown mode: 'fan_geo_avg'"):
        recipe_of("variance_scaling", convention="keras", mode="fan_geo_avg")
    with pytest.raises(ArgumentError, match="unknown convention"):
        layer_defaults("mxnet")
    with pytest.raises(ArgumentError, match="unknown convention"):
        as_seen_by("mxnet", LINEAR)


def test_transposed_convolutions_are_seen_swapped_by_torch_and_keras_only():
    kernel = Geometry((16, 6, 4, 4), (0,), (1,), (2, 3), groups=2, split="out", stride=4, transposed=True)
    fans = kernel.fans
    assert (fans.fan_in, fans.fan_out) == (8 * 16 / 4, 6 * 16)
    assert as_seen_by("torch", kernel).fans.fan_in == as_seen_by("keras", kernel).fans.fan_in == 6 * 16
    assert as_seen_by("flax", kernel).fans.fan_in == 16 * 16
