"""`layer_defaults("torch")` and `recipe_of(..., convention="torch")` against PyTorch's own layers and initializers."""

from __future__ import annotations

import pytest
from conventions.framework_laws import assert_same_law, assert_same_law_and_power

from penstock.conventions import as_seen_by, layer_defaults, recipe_of
from penstock.geometry import Geometry

torch = pytest.importorskip("torch")
nn = torch.nn

LAYERS = [
    ("Linear", "weight", lambda: nn.Linear(300, 200), "weight", "weight"),
    ("Linear", "bias", lambda: nn.Linear(300, 20_000), "bias", "weight"),
    ("Conv", "weight", lambda: nn.Conv2d(40, 60, 5, groups=2, stride=2), "weight", "weight"),
    ("Conv", "bias", lambda: nn.Conv2d(4, 20_000, 3, groups=2), "bias", "weight"),
    ("ConvTranspose", "weight", lambda: nn.ConvTranspose2d(40, 60, 5, groups=2, stride=2), "weight", "weight"),
    ("ConvTranspose", "bias", lambda: nn.ConvTranspose1d(2, 20_000, 2), "bias", "weight"),
    ("Embedding", "weight", lambda: nn.Embedding(500, 80), "weight", "weight"),
    ("RNN", "input", lambda: nn.RNN(200, 150), "weight_ih_l0", "weight_ih_l0"),
    ("RNN", "recurrent", lambda: nn.RNN(20, 150), "weight_hh_l0", "weight_hh_l0"),
    ("LSTM", "input", lambda: nn.LSTM(60, 80), "weight_ih_l0", "weight_ih_l0"),
    ("LSTM", "recurrent", lambda: nn.LSTM(20, 100), "weight_hh_l0", "weight_hh_l0"),
    ("LSTM", "bias", lambda: nn.LSTM(2, 2000), "bias_hh_l0", "weight_hh_l0"),
    ("GRU", "recurrent", lambda: nn.GRU(20, 100), "weight_hh_l0", "weight_hh_l0"),
    ("Attention", "in_proj", lambda: nn.MultiheadAttention(120, 4), "in_proj_weight", "in_proj_weight"),
    ("Attention", "in_proj_bias", lambda: nn.MultiheadAttention(12, 4), "in_proj_bias", "in_proj_weight"),
    ("Attention", "out_proj", lambda: nn.MultiheadAttention(180, 4).out_proj, "weight", "weight"),
    ("Attention", "out_proj_bias", lambda: nn.MultiheadAttention(12, 4), "out_proj.bias", "in_proj_weight"),
    ("Norm", "weight", lambda: nn.LayerNorm(9), "weight", "weight"),
    ("Norm", "bias", lambda: nn.LayerNorm(9), "bias", "weight"),
]
INITIALIZERS = [
    ("normal", {"std": 0.3, "mean": 0.1}),
    ("uniform", {"a": -0.2, "b": 0.6}),
    ("trunc_normal", {}),
    ("trunc_normal", {"std": 0.5, "a": -0.4, "b": 1.4}),
    ("kaiming_normal", {"a": 0.3, "mode": "fan_out"}),
    ("kaiming_uniform", {}),
    ("xavier_normal", {"gain": 2.0}),
    ("xavier_uniform", {}),
    ("orthogonal", {"gain": 0.7}),
]


@pytest.fixture(autouse=True)
def same_start():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("layer", "parameter", "make", "name", "weight"), LAYERS, ids=[f"{case[0]} {case[1]}" for case in LAYERS]
)
def test_layers(layer, parameter, make, name, weight):
    from penstock.torch.roles import layer_geometry

    module = make()
    values = module.get_parameter(name).detach().numpy()
    geometry = layer_geometry(module)[weight]
    recipe = layer_defaults("torch")[layer][parameter](geometry)
    if name != weight:
        geometry = Geometry(values.shape)
    assert_same_law_and_power(values, recipe, geometry)


@pytest.mark.parametrize(("name", "arguments"), INITIALIZERS)
def test_initializers(name, arguments):
    for shape in ((400, 300), (60, 40, 5, 5)):
        geometry = Geometry(shape, (1,), (0,), window_axes=tuple(range(2, len(shape))))
        values = getattr(torch.nn.init, f"{name}_")(torch.empty(shape), **arguments).numpy()
        recipe = recipe_of(name, convention="torch", **arguments)
        assert_same_law_and_power(values, recipe, geometry)


def test_grouped_and_transposed_weights_by_the_fans_that_torch_sees():
    from penstock.torch.roles import layer_geometry

    for module in (nn.Conv2d(60, 90, 5, groups=3), nn.ConvTranspose2d(60, 90, 5, groups=3, stride=2)):
        true = layer_geometry(module)["weight"]
        seen = as_seen_by("torch", true)
        for name in ("kaiming_normal", "xavier_uniform"):
            values = getattr(torch.nn.init, f"{name}_")(torch.empty(true.shape)).numpy()
            recipe = recipe_of(name, convention="torch")
            assert_same_law(values, recipe, seen)
            if name == "xavier_uniform":
                with pytest.raises(AssertionError, match="std"):
                    assert_same_law(values, recipe, true)


def test_the_distance_finds_another_law_with_the_same_moments():
    values = torch.nn.init.kaiming_uniform_(torch.empty(400, 300)).numpy()
    geometry = Geometry((400, 300), (1,), (0,))
    with pytest.raises(AssertionError, match="distribution"):
        assert_same_law(values, recipe_of("kaiming_normal", convention="torch"), geometry)
    assert_same_law(values, recipe_of("kaiming_uniform", convention="torch"), geometry)
