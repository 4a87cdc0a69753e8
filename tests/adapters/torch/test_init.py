"""The behaviour that `torch.nn.init` promises in its documentation and its own test suite, held by our drop-in."""

from __future__ import annotations

import inspect
import math
import warnings

import numpy as np
import pytest
import torch
from laws import assert_law, assert_law_and_power, normal, truncated, uniform
from torch import nn
from torch.nn import functional as F

from penstock.errors import ArgumentError, PenstockError
from penstock.torch import init

PUBLIC = sorted(torch.nn.init.__all__)
UNDERSCORED = [name for name in PUBLIC if name.endswith("_")]
FAN_RULES = ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]
HALF = [torch.float16, torch.bfloat16]
SIZE = 200_000


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_has_the_arguments_and_defaults_of_torch(name):
    theirs, ours = inspect.signature(getattr(torch.nn.init, name)), inspect.signature(getattr(init, name))
    named = [p for p in ours.parameters.values() if p.kind is not p.VAR_KEYWORD or not name.endswith("_")]
    assert [(p.name, p.default, p.kind) for p in named] == [
        (p.name, p.default, p.kind) for p in theirs.parameters.values()
    ]
    assert name in init.__all__


def test_the_check_of_signatures_can_fail():
    ours = list(inspect.signature(init.he_normal_).parameters)
    assert ours[: len(ours) - 1] != list(inspect.signature(torch.nn.init.kaiming_normal_).parameters)


@pytest.mark.parametrize("name", "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d sigmoid".split())
def test_gain_is_1_for_linear_functions_and_sigmoid(name):
    assert init.calculate_gain(name) == 1


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("tanh", None, 5 / 3),
        ("relu", None, 2**0.5),
        ("selu", None, 0.75),
        ("leaky_relu", None, 1.4141428569978354),
        ("leaky_relu", 0, 2**0.5),
        ("leaky_relu", 0.01, 1.4141428569978354),
        ("leaky_relu", 10, 0.14071950894605836),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == gain == torch.nn.init.calculate_gain(name, param)


@pytest.mark.parametrize("param", [True, [1], {"a": "b"}])
def test_a_slope_must_be_a_number(param):
    with pytest.raises(ValueError, match=r"negative_slope .* is not a valid number"):
        init.calculate_gain("leaky_relu", param)


@pytest.mark.parametrize("name", ["ab", "lekay_relu", "x" * 25])
def test_unknown_nonlinearities_are_errors(name):
    with pytest.raises(ValueError, match=rf"unsupported nonlinearity '{name}'.\nHint: "):
        init.calculate_gain(name)


@pytest.mark.parametrize("shape", [(SIZE,), (400, 500), (20, 25, 20, 20)])
def test_laws_of_uniform_and_normal(shape):
    assert_law_and_power(init.uniform_(torch.zeros(shape), -1.5, 2.5, seed=1), uniform(-1.5, 2.5))
    assert_law_and_power(init.normal_(torch.zeros(shape), 0.2, 2.0, seed=2), normal(2.0, 0.2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -0.06, 0.06), (1.7, 0.3, 1.3, 2.1), (0.0, 1.0, 2.0, 3.0), (0.0, 1.0, 5.5, 6.0)],
)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_law_of_trunc_normal_within_its_bounds(mean, std, a, b, dtype):
    values = init.trunc_normal_(torch.empty(SIZE, dtype=dtype), mean, std, a, b, seed=3).double()
    assert values.min() >= a
    assert values.max() <= b
    law = truncated(mean, std, a, b)
    assert_law(values, law)
    with pytest.raises(AssertionError, match="sqrt"):
        assert_law(a + 0.94 * (values - a), law)
    assert values.unique().numel() > 0.9 * SIZE or b - a == 0.5


def test_trunc_normal_of_a_generator_is_that_of_the_default_one_in_the_same_state():
    ours = init.trunc_normal_(torch.empty(5), generator=torch.Generator().manual_seed(42))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        assert torch.equal(ours, init.trunc_normal_(torch.empty(5)))
        assert not torch.equal(ours, init.trunc_normal_(torch.empty(5)))


def test_trunc_normal_of_a_narrow_interval_in_float16():
    values = init.trunc_normal_(torch.empty(10_000, dtype=torch.float16), a=2.0, b=3.0, seed=3)
    assert values.min() >= 2
    assert values.max() <= 3
    # Steps of 2^-9 near 2 hold at most half a step times the density, 0.002, beside a standard error of 0.01.
    assert_law(values.float(), truncated(0.0, 1.0, 2.0, 3.0))
    with pytest.raises(AssertionError, match="sqrt"):
        assert_law(2 + 0.9 * (values.float() - 2), truncated(0.0, 1.0, 2.0, 3.0))


@pytest.mark.parametrize("dtype", HALF)
def test_trunc_normal_in_half_types(dtype):
    values = init.trunc_normal_(torch.empty(10_000, dtype=dtype), seed=4)
    assert values.isfinite().all()
    assert values.abs().max() <= 2
    assert values.unique().numel() > {torch.float16: 3000, torch.bfloat16: 1000}[dtype]
    # The steps of bfloat16 near 1 are 2^-8: the distance of distribution functions is at most half a step's share.
    assert_law(values.float(), truncated(0.0, 1.0, -2.0, 2.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALF])
def test_bounds_far_away_are_never_reached(dtype):
    values = init.trunc_normal_(torch.empty(10_000, dtype=dtype), std=0.1, seed=5)
    assert values.abs().max() < 1
    same = init.normal_(torch.empty(10_000, dtype=dtype), std=0.1, seed=5)
    assert torch.equal(values, same)


def test_trunc_normal_warns_when_the_mean_is_far_outside():
    with pytest.warns(UserWarning, match="mean is more than 2 std from"):
        init.trunc_normal_(torch.empty(3), mean=0.0, std=1.0, a=3.0, b=4.0)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 1, 2), ()])
def test_constants(shape):
    assert torch.equal(init.constant_(torch.empty(shape), 2.5), torch.full(shape, 2.5))
    assert torch.equal(init.ones_(torch.empty(shape)), torch.ones(shape))
    assert torch.equal(init.zeros_(torch.empty(shape, dtype=torch.int64)), torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32, torch.complex64])
def test_eye(shape, dtype):
    assert torch.equal(init.eye_(torch.empty(shape).to(dtype)), torch.eye(*shape, dtype=dtype))


@pytest.mark.parametrize("dims", [1, 3])
def test_eye_and_sparse_want_two_dimensions(dims):
    for function in (init.eye_, lambda t: init.sparse_(t, 0.5)):
        with pytest.raises(ValueError, match=r"tensor must have 2 dimensions; got .*\nHint: init\."):
            function(torch.zeros((2,) * dims))


@pytest.mark.parametrize("taps", [(3,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("inputs", [2, 7])
def test_dirac_has_one_1_for_each_input_passed_on(taps, groups, inputs):
    weight = init.dirac_(torch.randn(4 * groups, inputs, *taps, generator=torch.Generator()), groups)
    assert torch.count_nonzero(weight) == weight.sum() == groups * min(4, inputs)
    assert torch.equal(weight, torch.nn.init.dirac_(torch.empty_like(weight), groups))


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_dirac_passes_the_inputs_on_and_gives_zeros_beyond_them(dims, groups):
    signal = torch.randn(8, 3, *(5,) * dims, generator=torch.Generator().manual_seed(0))
    weight = init.dirac_(torch.empty(9, 3, *(3,) * dims), groups)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[dims]
    output, units = convolve(signal, weight), 9 // groups
    inner = signal[(slice(None), slice(None), *(slice(1, -1),) * dims)]
    for group in range(groups):
        assert torch.equal(output[:, units * group : units * group + 3], inner)
        assert not output[:, units * group + 3 : units * (group + 1)].any()


@pytest.mark.parametrize("dims", [1, 2, 6])
def test_dirac_wants_3_to_5_dimensions(dims):
    with pytest.raises(ValueError, match="tensor must have 3 or 4 or 5 dimensions"):
        init.dirac_(torch.zeros((2,) * dims))


def test_dirac_wants_groups_that_divide():
    with pytest.raises(ValueError, match="groups must divide axis 0; got 2"):
        init.dirac_(torch.zeros(5, 1, 3), 2)


@pytest.mark.parametrize("name", [*FAN_RULES, "orthogonal_", "he_normal_", "lecun_uniform_"])
@pytest.mark.parametrize("shape", [(), (4,)])
def test_rules_with_fans_want_two_dimensions(name, shape):
    tensor = torch.full(shape, 7.0)
    with pytest.raises(ValueError, match=f"{name}: tensor must have 2 dimensions or more"):
        getattr(init, name)(tensor)
    assert (tensor == 7).all()


@pytest.mark.parametrize("shape", [(500, 400), (40, 25, 10, 20)])
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_laws_of_xavier(shape, gain):
    taps = math.prod(shape[2:])
    std = gain * math.sqrt(2 / (taps * (shape[0] + shape[1])))
    assert_law_and_power(init.xavier_normal_(torch.empty(shape), gain, seed=6), normal(std))
    assert_law_and_power(init.xavier_uniform_(torch.empty(shape), gain, seed=7), uniform(-(3**0.5) * std, 3**0.5 * std))


@pytest.mark.parametrize("shape", [(500, 400), (40, 25, 10, 20)])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "FAN_IN"])
@pytest.mark.parametrize("a", [0, 1.3])
def test_laws_of_kaiming(shape, mode, a):
    fan = math.prod(shape[2:]) * (shape[1] if mode.lower() == "fan_in" else shape[0])
    std = math.sqrt(2 / ((1 + a**2) * fan))
    assert_law_and_power(init.kaiming_normal_(torch.empty(shape), a, mode, seed=8), normal(std))
    bound = 3**0.5 * std
    assert_law_and_power(init.kaiming_uniform_(torch.empty(shape), a, mode, seed=9), uniform(-bound, bound))


def test_kaiming_knows_its_modes_and_nonlinearities():
    with pytest.raises(ValueError, match=r"kaiming_normal_: mode 'fan_inn' is not supported.\nHint: Did you mean"):
        init.kaiming_normal_(torch.empty(2, 2), mode="fan_inn")
    values = init.kaiming_normal_(torch.empty(300, 300), nonlinearity="tanh", seed=0)
    assert_law(values, normal(5 / 3 / 300**0.5))


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_", "he_normal_"])
def test_a_tensor_without_elements_gives_a_warning_at_the_callers_line(name):
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op") as caught:
        assert getattr(init, name)(torch.empty(0, 1)).shape == (0, 1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["uniform_", "normal_", "trunc_normal_", "orthogonal_", "xavier_normal_", "eye_"])
def test_other_rules_leave_a_tensor_without_elements_in_silence(name):
    assert getattr(init, name)(torch.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("std", [None, 0.15])
def test_sparse_has_its_zeros_in_each_column_and_normal_values_elsewhere(std):
    keywords = {} if std is None else {"std": std}
    weight = init.sparse_(torch.empty(500, 600), 0.15, seed=10, **keywords)
    assert ((weight == 0).sum(dim=0) == 75).all()
    assert (weight == 0).any(dim=1).all()
    assert_law_and_power(weight[weight != 0], normal(0.01 if std is None else std))
    assert not init.sparse_(torch.ones(4, 3), 1.0).any()
    with pytest.raises(ValueError, match="sparsity must lie within"):
        init.sparse_(torch.empty(3, 3), 1.5)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (20, 2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("gain", [1.0, 0.4, -1.5])
def test_orthogonal(shape, gain):
    weight = init.orthogonal_(torch.zeros(shape), gain=gain, seed=11).reshape(shape[0], -1).double()
    small = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    torch.testing.assert_close(
        small, gain**2 * torch.eye(len(small), dtype=torch.float64), atol=1e-6 * max(1.0, gain**2), rtol=0
    )


@pytest.mark.parametrize("name", [n for n in PUBLIC if not n.endswith("_") and n != "calculate_gain"])
def test_old_names_warn_and_work(name):
    tensor = torch.empty(3, 3, 3) if name == "dirac" else torch.empty(3, 3)
    more = {"constant": (1.0,), "sparse": (0.5,)}.get(name, ())
    with pytest.warns(FutureWarning, match=f"`init.{name}` is now deprecated in favor of `init.{name}_`") as caught:
        assert getattr(init, name)(tensor, *more) is tensor
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", UNDERSCORED)
def test_in_place_without_gradient_and_the_same_tensor_back(name):
    parameter = nn.Parameter(torch.zeros(4, 4, 3) if name == "dirac_" else torch.full((4, 4), 9.0))
    version = parameter._version
    more = {"constant_": (1.0,), "sparse_": (0.5,)}.get(name, ())
    assert getattr(init, name)(parameter, *more) is parameter
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert parameter._version > version
    assert not (parameter == 9).any()


@pytest.mark.parametrize("name", [*UNDERSCORED, "he_normal_", "scaled_orthogonal_", "truncated_normal_"])
def test_meta_is_left_alone_and_no_generator_is_advanced(name):
    state = torch.get_rng_state()
    shape = (4, 4, 3) if name == "dirac_" else (4, 4)
    more = {"constant_": (1.0,), "sparse_": (0.5,)}.get(name, ())
    assert getattr(init, name)(torch.empty(shape, device="meta"), *more).is_meta
    assert torch.equal(torch.get_rng_state(), state)


def test_private_fans_are_there_too():
    weight = torch.empty(8, 4, 3, 3)
    assert init._calculate_fan_in_and_fan_out(weight) == torch.nn.init._calculate_fan_in_and_fan_out(weight)
    assert init._calculate_correct_fan(weight, "fan_out") == 72


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda t: init.normal_(t, std=-1.0),
            r"normal_: std must be a finite number >= 0; got -1.*\nHint: init.normal_",
        ),
        (lambda t: init.normal_(t, std=math.nan), "normal_: std must be a finite number >= 0; got nan"),
        (lambda t: init.uniform_(t, 1.0, 0.0), "uniform_: b must be at least a; got a=1, b=0"),
        (lambda t: init.uniform_(t, -math.inf, math.inf), "uniform_: b must be a finite number"),
        (lambda t: init.trunc_normal_(t, a=2.0, b=2.0), "trunc_normal_: std must be positive and a less than b"),
        (lambda t: init.trunc_normal_(t, std=math.nan), "trunc_normal_: std must be a finite number; got nan"),
        (lambda t: init.truncated_normal_(t, -1.0), "truncated_normal_: std must be a finite number >= 0; got -1"),
        (lambda t: init.sparse_(t, 0.5, -1.0), "sparse_: std must be a finite number >= 0; got -1"),
        (lambda t: init.sparse_(t, math.nan), "sparse_: sparsity must lie within 0..1; got nan"),
        (lambda t: init.xavier_uniform_(t, math.nan), "xavier_uniform_: gain must be a finite number >= 0; got nan"),
        (lambda t: init.orthogonal_(t, math.nan), "orthogonal_: gain must be a finite number >= 0; got nan"),
        (lambda t: init.kaiming_normal_(t, math.nan), "calculate_gain: negative_slope nan is not a valid number"),
        (lambda t: init.kaiming_normal_(t, mode=None), "kaiming_normal_: mode None is not supported"),
        (lambda t: init.kaiming_normal_(t, nonlinearity=None), "unsupported nonlinearity None"),
        (lambda t: init.he_uniform_(t, math.inf), "he_uniform_: negative_slope must be a finite number; got inf"),
        (lambda t: init.variance_scaling_(t, -2.0), "variance_scaling_: gain must be a finite number >= 0"),
        (lambda t: init.variance_scaling_(t, distribution="gauss"), "variance_scaling_: distribution must be one of"),
        (lambda t: init.lecun_normal_(t, -1.0), "lecun_normal_: gain must be"),
        (lambda t: init.scaled_orthogonal_(t, math.nan), "scaled_orthogonal_: gain must be"),
        (lambda t: init.normal_(t, seed=0, key=1), "one of generator, key, or seed"),
        (lambda t: init.normal_(t, name="w"), "one of generator, key, or seed"),
        (lambda t: init.normal_(t, generator=torch.Generator(), seed=1), "one of generator, key, or seed"),
        (lambda t: init.normal_(t, key=2**64), "key must be an integer with"),
        (lambda t: init.normal_(t, seed=-1), "seed must be an integer"),
        (lambda t: init.he_normal_(t, in_axes=2), "in_axes must lie in"),
        (lambda t: init.he_normal_(t, groups=3), "groups must divide axis 0"),
        (
            lambda t: init.he_normal_(t, mode="fan"),
            r"he_normal_: mode must be one of the known ones.*\nHint: Did you mean",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_bad_arguments_are_errors_and_the_tensor_and_generator_are_untouched(call, match):
    tensor, state = torch.full((4, 4), 7.0), torch.get_rng_state()
    with pytest.raises(ArgumentError, match=match):
        call(tensor)
    assert (tensor == 7).all()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda t: init.normal_(t, sead=0), r"normal_: unknown argument 'sead'.\nHint: Did you mean 'seed'"),
        (
            lambda t: init.he_normal_(t, in_axis=0),
            r"he_normal_: unknown argument 'in_axis'.\nHint: Did you mean 'in_axes'",
        ),
        (lambda t: init.fill_(t, "he_normal"), "fill_: recipe must be one of penstock.recipes; got 'he_normal'"),
        (lambda t: init.normal_(t, generator=3), "normal_: generator must be a torch.Generator or None; got 3"),
        (lambda t: init.he_normal_(t.numpy()), "he_normal_: tensor must be a torch.Tensor; got ndarray"),
    ],
)
def test_what_is_of_the_wrong_kind_is_a_type_error_in_words(call, match):
    tensor, state = torch.full((4, 4), 7.0), torch.get_rng_state()
    with pytest.raises(TypeError, match=match):
        call(tensor)
    assert (tensor == 7).all()
    assert torch.equal(torch.get_rng_state(), state)


def test_integers_cannot_be_random():
    tensor = torch.full((4, 4), 7)
    with pytest.raises(
        PenstockError, match=r"normal_: tensor must be of a floating-point or complex type; got torch.int64"
    ):
        init.normal_(tensor)
    assert (tensor == 7).all()


def test_no_warning_is_given_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "orthogonal_"):
            assert np.isfinite(getattr(init, name)(torch.empty(4, 4)).numpy()).all()
