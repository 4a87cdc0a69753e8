from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes.known_answers import DEEP_NORM_6

from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes import Spectral, catalogue
from penstock.recipes.schemes import (
    GPT2,
    NTK,
    SCHEMES,
    CompleteP,
    DeepNorm,
    DSInit,
    Factors,
    Fixup,
    LayerScale,
    Llama,
    MuP,
    Olmo,
    Place,
    ReZero,
    SkipInit,
    SpectralCondition,
    StableResNet,
    SubLN,
    TFixup,
    UnitMuP,
    depth_mup,
    scheme_from_dict,
)
from penstock.recipes.schemes.scheme import ROLES

ROWS = [
    NTK(),
    MuP(),
    CompleteP(),
    UnitMuP(),
    SpectralCondition(),
    GPT2(),
    Llama(),
    Olmo(),
    TFixup(),
    DSInit(),
    DeepNorm(encoder=6),
    SubLN(encoder=6),
    Fixup(),
    SkipInit(),
    ReZero(),
    LayerScale(),
    StableResNet(),
]
every_scheme = pytest.mark.parametrize("scheme", ROWS, ids=lambda scheme: scheme.name)


def test_every_scheme_has_a_row_and_a_catalogue_entry():
    assert {scheme.name for scheme in ROWS} == set(SCHEMES)
    assert set(SCHEMES) == {entry.name for entry in catalogue() if entry.kind == "scheme"}


@every_scheme
def test_json_and_back(scheme):
    again = scheme_from_dict(json.loads(json.dumps(scheme.to_dict())))
    assert again == scheme
    assert hash(again) == hash(scheme)


@every_scheme
@pytest.mark.parametrize("role", ROLES)
def test_factors_are_finite_for_every_role(scheme, role):
    place = Place(
        role=role,
        fan_in=512,
        fan_out=256,
        base_fan_in=64,
        base_fan_out=32,
        depth=12,
        base_depth=3,
        index=5,
        head_dim=64,
    )
    factors = scheme.factors(place)
    for name in ("multiplier", "skip", "lr_sgd", "lr_adam", "weight_decay", "epsilon"):
        assert 0.0 <= getattr(factors, name) < math.inf
    assert factors.std is None or 0.0 <= factors.std < math.inf


def test_mup_is_table_8_of_the_paper():
    m = 16.0
    wide = {"base_fan_in": 64, "base_fan_out": 64, "fan_in": 64 * m, "fan_out": 64 * m}
    hidden = MuP(2.0).factors(Place(role="hidden", **wide))
    assert (hidden.std, hidden.lr_adam, hidden.lr_sgd) == (2.0 / 32, 1 / m, 1.0)
    read_in = MuP().factors(Place(role="input", fan_in=3, base_fan_in=3, fan_out=64 * m, base_fan_out=64))
    np.testing.assert_allclose((read_in.std, read_in.lr_adam, read_in.lr_sgd), (3**-0.5, 1.0, m))
    output = MuP().factors(Place(role="output", fan_in=64 * m, base_fan_in=64, fan_out=10, base_fan_out=10))
    assert (output.std, output.multiplier, output.lr_adam, output.lr_sgd) == (0.125, 1 / m, 1.0, m)
    assert MuP().factors(Place(role="bias", fan_out=64 * m, base_fan_out=64)) == Factors(lr_sgd=m)
    assert MuP().factors(Place(role="attention", head_dim=64)).multiplier == 1 / 64
    assert MuP(zero_output=True).factors(Place(role="output", fan_in=9)).value == 0.0


@pytest.mark.parametrize("scheme", [MuP(), CompleteP(), depth_mup()], ids=str)
@pytest.mark.parametrize("role", ["input", "hidden", "output", "bias", "norm", "branch"])
def test_the_base_model_of_mup_keeps_its_rates(scheme, role):
    factors = scheme.factors(Place(role=role, fan_in=64, fan_out=64, depth=4))
    assert replace(factors, std=None) == Factors()


def updates(width: int, scheme: MuP | None, steps: int = 3) -> list[float]:
    """RMS of what steps like Adam's first change in the hidden and output signals of a three-layer MLP."""
    torch = pytest.importorskip("torch")
    places = [
        Place(role="input", fan_in=8, base_fan_in=8, fan_out=width, base_fan_out=32),
        Place(role="hidden", fan_in=width, base_fan_in=32, fan_out=width, base_fan_out=32),
        Place(role="output", fan_in=width, base_fan_in=32, fan_out=1, base_fan_out=1),
    ]
    factors = [scheme.factors(p) if scheme else Factors(std=p.fan_in**-0.5) for p in places]
    weights = [
        torch.from_numpy(fill("normal", (int(p.fan_out), int(p.fan_in)), i, scale=f.std)).requires_grad_()
        for i, (p, f) in enumerate(zip(places, factors, strict=True))
    ]
    inputs = torch.from_numpy(fill("normal", (64, 8), 9))
    target = inputs[:, :1] * inputs[:, 1:2]

    def run() -> list:
        hidden = torch.relu(inputs @ weights[0].T)
        second = torch.relu(hidden @ weights[1].T)
        return [second, factors[2].multiplier * second @ weights[2].T]

    before = [signal.detach() for signal in run()]
    for _ in range(steps):
        gradients = torch.autograd.grad(((run()[1] - target) ** 2).mean(), weights)
        with torch.no_grad():
            for weight, gradient, f in zip(weights, gradients, factors, strict=True):
                # The sign is Adam's own first step.
                weight.sub_(0.003 * f.lr_adam * gradient.sign())
    return [float((new - old).detach().square().mean().sqrt()) for new, old in zip(run(), before, strict=True)]


def test_coordinate_check_updates_do_not_grow_with_width():
    widths = [64, 256, 1024]
    for scheme, flat in ((MuP(2**0.5), True), (None, False)):
        changes = np.array([updates(width, scheme) for width in widths])
        slopes = np.polyfit(np.log2(widths), np.log2(changes), 1)[0]
        # One seed and three widths: a slope is uncertain by about 0.15; the standard parametrization's is near 1.
        assert bool((np.abs(slopes) < 0.4).all()) is flat, slopes


def test_complete_p_and_depth_mup():
    place = Place(role="hidden", fan_in=256, base_fan_in=64, fan_out=256, base_fan_out=64, depth=64, base_depth=4)
    full = CompleteP().factors(place)
    assert (full.lr_adam, full.epsilon, full.weight_decay) == (1 / 4, 1 / 64, 4.0)
    half = depth_mup().factors(place)
    assert (half.lr_adam, half.epsilon) == (1 / 16, 1 / 16)
    assert full.std == CompleteP().factors(replace(place, role="branch_out")).std == 1 / 16
    assert CompleteP().factors(replace(place, role="norm")).lr_adam == 1.0
    assert depth_mup().factors(replace(place, role="norm")).lr_adam == 0.25


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0.2, 4), st.floats(0.2, 4))
def test_unit_mup_sums_have_unit_variance_and_equal_branches(depth, residual, ratio):
    scheme, sums = UnitMuP(residual, ratio), 2 * depth
    parts = [1.0]
    for index in range(1, sums + 1):
        factors = scheme.factors(Place(role="branch", depth=depth, index=index))
        parts = [part * factors.skip**2 for part in parts] + [factors.multiplier**2]
    np.testing.assert_allclose(sum(parts), 1.0)
    # Of unit variance in all: equal attention branches, equal feed-forward ones, and the asked-for ratios.
    attention, feed_forward = np.array(parts[1::2]), np.array(parts[2::2])
    np.testing.assert_allclose(attention, attention[0])
    np.testing.assert_allclose(feed_forward, feed_forward[0])
    np.testing.assert_allclose(attention[0] / feed_forward[0], ratio**2)
    np.testing.assert_allclose((attention.sum() + feed_forward.sum()) / parts[0], 2 * residual**2)


def test_unit_mup_weights():
    hidden = UnitMuP().factors(Place(role="hidden", fan_in=64, fan_out=64, depth=4))
    assert (hidden.std, hidden.multiplier, hidden.lr_adam) == (1.0, 0.125, 0.0625)
    assert UnitMuP().factors(Place(role="output", fan_in=64)).multiplier == 1 / 64
    assert UnitMuP().factors(Place(role="embedding", fan_out=64)).lr_adam == 0.125


def test_the_spectral_condition_is_its_recipes_std():
    for outputs, inputs in ((10, 40), (40, 10)):
        geometry = Geometry((outputs, inputs), in_axes=(1,), out_axes=(0,))
        factors = SpectralCondition(0.5).factors(Place(fan_in=inputs, fan_out=outputs))
        np.testing.assert_allclose(factors.std, Spectral(0.5).std(geometry))
        np.testing.assert_allclose((factors.lr_sgd, factors.lr_adam), (outputs / inputs, 1 / inputs))


def test_ntk_has_the_size_of_variance_scaling():
    factors = NTK(2**0.5, 0.01).factors(Place(role="hidden", fan_in=50))
    np.testing.assert_allclose(factors.std * factors.multiplier, 0.2)
    np.testing.assert_allclose(factors.std, 100.0)
    with pytest.raises(ArgumentError, match="lr_multiplier must be positive; got 0"):
        NTK(lr_multiplier=0)


def test_depth_rules_of_transformers():
    place = Place(role="branch_out", fan_in=512, fan_out=512, depth=12, index=3)
    np.testing.assert_allclose(GPT2().factors(place).std, 0.02 / math.sqrt(24))
    np.testing.assert_allclose(GPT2(sums_per_layer=1).factors(place).std, 0.02 / math.sqrt(12))
    np.testing.assert_allclose(Llama().factors(place).std, 0.02 / math.sqrt(6))
    np.testing.assert_allclose(Llama().factors(replace(place, role="output")).std, 512**-0.5)
    olmo = {law: Olmo(law).factors(place).std for law in ("normal", "llama", "llama_depth", "normalized")}
    np.testing.assert_allclose(
        list(olmo.values()), [0.02, 0.02 / math.sqrt(24), 0.02 / math.sqrt(6), 512**-0.5 / math.sqrt(24)]
    )
    np.testing.assert_allclose(DSInit().factors(place).std, math.sqrt(2 / 1024 / 3))
    value = replace(place, role="value")
    np.testing.assert_allclose(TFixup().factors(value).std, 0.67 * 12**-0.25 * value.glorot)
    np.testing.assert_allclose(TFixup("decoder").factors(value).std, 108**-0.25 * value.glorot)
    np.testing.assert_allclose(TFixup().factors(replace(place, role="embedding")).std, (512**-0.5) * 108**-0.25)
    assert TFixup().factors(replace(place, role="query_key")).std == place.glorot


def test_deep_norm_numbers():
    alone = DeepNorm(encoder=6)
    np.testing.assert_allclose((alone.alpha, alone.beta), DEEP_NORM_6, rtol=1e-14)
    assert DeepNorm(decoder=6, part="decoder").alpha == alone.alpha
    encoder, decoder = DeepNorm(18, 6), DeepNorm(18, 6, "decoder")
    np.testing.assert_allclose(
        (encoder.alpha, encoder.beta), (0.81 * 18**0.25 * 6**0.0625, 0.87 / 18**0.25 / 6**0.0625)
    )
    np.testing.assert_allclose((decoder.alpha, decoder.beta), (18**0.25, 72**-0.25))
    assert alone.factors(Place(role="branch")).skip == alone.alpha
    with pytest.raises(ArgumentError, match=r"decoder must be the number of its layers(.|\n)*DeepNorm\(decoder=12"):
        DeepNorm(encoder=6, part="decoder")


def test_sub_ln_numbers():
    np.testing.assert_allclose(SubLN(encoder=12).gamma ** 2, math.log(24))
    np.testing.assert_allclose(SubLN(12, 6).gamma ** 2, math.log(18) * math.log(24) / 3)
    np.testing.assert_allclose(SubLN(12, 6, "decoder").gamma ** 2, math.log(18))
    with pytest.raises(ArgumentError, match="encoder must be the number of its layers"):
        SubLN()


@pytest.mark.parametrize(("layers", "power"), [(2, -1 / 2), (3, -1 / 4), (4, -1 / 6)])
def test_fixup_numbers(layers, power):
    place = Place(role="hidden", fan_in=100, fan_out=50, depth=27, branch_layers=layers)
    np.testing.assert_allclose(Fixup().factors(place).std, 0.2 * 27**power)
    np.testing.assert_allclose(Fixup("fan_in").factors(place).std, math.sqrt(0.02) * 27**power)
    assert Fixup().factors(replace(place, role="branch_out")).value == 0.0
    with pytest.raises(ArgumentError, match="branch_layers must be 2 or more"):
        Fixup().factors(replace(place, branch_layers=1))


@pytest.mark.parametrize("scheme", [SkipInit(), ReZero()], ids=lambda scheme: scheme.name)
def test_branches_add_nothing_at_the_start_and_can_learn(scheme):
    torch = pytest.importorskip("torch")
    factors = scheme.factors(Place(role="branch", depth=8))
    assert factors.trainable
    alpha = torch.tensor(factors.multiplier, requires_grad=True)
    x = torch.from_numpy(fill("normal", (4, 6), 1))
    y = x + alpha * torch.relu(x @ torch.from_numpy(fill("normal", (6, 6), 2)))
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert alpha.grad.abs() > 0.1


def test_branch_scales_by_depth():
    starts = [LayerScale().factors(Place(role="branch", depth=depth)).value for depth in (18, 19, 24, 25)]
    assert starts == [0.1, 1e-5, 1e-5, 1e-6]
    assert SkipInit("depth").factors(Place(role="branch", depth=16)).multiplier == 0.25
    assert StableResNet().factors(Place(role="branch", depth=16)) == Factors(multiplier=0.25)
    assert LayerScale().factors(Place(role="hidden")) == Factors()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Place(role="readout"), "role must be one of the known ones; got 'readout'"),
        (lambda: Place(fan_in=0), "fan_in must be a finite number >="),
        (lambda: Place(depth=0), "depth must be an integer >= 1; got 0"),
        (lambda: scheme_from_dict({"scheme": "mupp"}), "unknown scheme 'mupp'.\nHint: Did you mean 'mup'"),
        (lambda: scheme_from_dict({"scheme": "re_zero", "a": 1}), r"the fields of 're_zero' must be \[\]; got \['a'\]"),
    ],
)
def test_bad_arguments_are_errors(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()
