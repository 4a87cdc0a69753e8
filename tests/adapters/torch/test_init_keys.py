from __future__ import annotations

import pickle
from functools import partial

import ml_dtypes
import numpy as np
import pytest
import torch
from laws import assert_law_and_power, normal
from standard_error import assert_mean
from torch import nn
from torch.nn.utils import parametrizations

import penstock.numpy as pnp
from penstock.errors import ArgumentError
from penstock.geometry import Geometry
from penstock.randomness import key_for
from penstock.recipes import Blocks, Orthogonal, he_normal
from penstock.torch import init
from penstock.torch.roles import layer_geometry

RANDOM = """
uniform_ normal_ trunc_normal_ xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_ orthogonal_
he_normal_ he_uniform_ glorot_normal_ glorot_uniform_ lecun_normal_ lecun_uniform_ variance_scaling_ truncated_normal_
scaled_orthogonal_
""".split()
every_random = pytest.mark.parametrize("name", RANDOM)


@every_random
def test_one_draw_of_a_generator_is_the_key(name):
    function, generator = getattr(init, name), torch.Generator().manual_seed(5)
    first, second = (function(torch.empty(6, 5), generator=generator) for _ in range(2))
    again = torch.Generator().manual_seed(5)
    drawn = [torch.empty((), dtype=torch.int64).random_(-(2**63), None, generator=again).item() for _ in range(2)]
    assert torch.equal(generator.get_state(), again.get_state())
    assert torch.equal(first, function(torch.empty(6, 5), key=int(drawn[0]) + 2**63))
    assert torch.equal(second, function(torch.empty(6, 5), key=int(drawn[1]) + 2**63))
    assert not torch.equal(first, second)


def test_the_default_generator_serves_without_one():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first, second = init.normal_(torch.empty(9)), init.normal_(torch.empty(9))
        torch.manual_seed(5)
        assert torch.equal(init.normal_(torch.empty(9)), first)
        assert not torch.equal(first, second)
    given = init.normal_(torch.empty(9), generator=torch.Generator().manual_seed(5))
    assert torch.equal(given, first)


@every_random
def test_seed_and_name_leave_the_global_state_alone(name):
    state = torch.get_rng_state()
    function = getattr(init, name)
    values = function(torch.empty(6, 5), seed=3, name="a.weight")
    assert torch.equal(values, function(torch.empty(6, 5), key=key_for(3, "a.weight")))
    assert not torch.equal(values, function(torch.empty(6, 5), seed=3, name="b.weight"))
    assert torch.equal(torch.get_rng_state(), state)


@every_random
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_hold_the_float32_values_rounded_once(name, dtype):
    function = getattr(init, name)
    expected = function(torch.empty(40, 30), seed=1).to(dtype)
    assert torch.equal(
        function(torch.empty(40, 30, dtype=dtype), seed=1),
        expected.clamp(max=1 - 2**-8) if name == "uniform_" and dtype is torch.bfloat16 else expected,
    )


def test_half_types_never_reach_the_end_that_is_left_out():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        values = init.uniform_(torch.empty(100_000, dtype=dtype), seed=0)
        assert values.min() > 0
        assert values.max() < 1


@every_random
def test_memory_layout_plays_no_part(name):
    function = getattr(init, name)
    plain = function(torch.empty(6, 5), seed=1)
    padded = torch.full((12, 20), 7.0)
    assert torch.equal(function(torch.empty(5, 6).T, seed=1), plain)
    assert torch.equal(function(padded[::2, 5:10], seed=1), plain)
    assert (padded[1::2] == 7).all()
    assert (padded[:, :5] == 7).all()


def test_large_tensors_are_written_piece_by_piece_with_the_same_bits(monkeypatch):
    whole = init.he_normal_(torch.empty(50, 7, 3), seed=1)
    monkeypatch.setattr("penstock.torch.init.write._PIECE", 64)
    assert torch.equal(init.he_normal_(torch.empty(50, 7, 3), seed=1), whole)


@pytest.mark.parametrize(
    "name", ["normal_", "uniform_", "xavier_uniform_", "he_normal_", "glorot_uniform_", "truncated_normal_"]
)
def test_complex_weights(name):
    values = getattr(init, name)(torch.empty(400, 500, dtype=torch.complex64), seed=1)
    assert not torch.equal(values.real, values.imag)
    power = (values.abs() ** 2).numpy()
    # U[0, 1) is a law of its bounds: 1/3 for each part. The others have E|w|^2 = std^2.
    expected = {"normal_": 1.0, "truncated_normal_": 1.0, "uniform_": 2 / 3, "he_normal_": 2 / 500}.get(name, 2 / 900)
    assert_mean(power, expected)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(1.02 * power, expected)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (4, 3, 2)])
def test_complex_orthogonal_is_unitary(shape):
    weight = init.orthogonal_(torch.empty(shape, dtype=torch.complex64), 2.0, seed=1).reshape(shape[0], -1)
    small = weight @ weight.mH if weight.shape[0] <= weight.shape[1] else weight.mH @ weight
    torch.testing.assert_close(small, 4 * torch.eye(len(small), dtype=torch.complex64), atol=3e-6, rtol=0)
    assert weight.imag.abs().max() > 0.1


def test_unitary_matrices_are_haar_distributed():
    # For Haar measure the phase of every entry is uniform: E Q_11 = 0; LAPACK's own Q has a real first entry.
    entries = [init.orthogonal_(torch.empty(3, 3, dtype=torch.complex64), key=k)[0, 0].item() for k in range(2000)]
    assert_mean(np.real(entries), 0.0)
    assert_mean(np.imag(entries), 0.0)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(-np.abs(entries), 0.0)


@pytest.mark.parametrize(
    ("shape", "axes", "fan_in", "fan_out"),
    [
        ((8, 300, 40), {"in_axes": 2, "out_axes": 1, "batch_axes": 0}, 40, 300),
        ((8, 300, 40), {"in_axes": -1, "out_axes": -2, "batch_axes": (0,)}, 40, 300),
        ((600, 1, 5, 5), {"groups": 600}, 25, 25),
        ((300, 40), {"in_axes": 0, "out_axes": 1}, 300, 40),
        ((60, 20, 4, 4), {"transposed": True, "stride": 4}, 240, 320),
        ((60, 20, 4, 4), {"transposed": True, "stride": 4, "groups": 2}, 120, 320),
        ((5000, 8), {"lookup": True}, 1, 8),
    ],
)
def test_fans_follow_the_declared_axes(shape, axes, fan_in, fan_out):
    assert_law_and_power(init.lecun_normal_(torch.empty(shape), seed=1, **axes), normal(fan_in**-0.5), error=0.15)
    values = init.variance_scaling_(torch.empty(shape), 1.0, "fan_out", seed=1, **axes)
    assert_law_and_power(values, normal(fan_out**-0.5), error=0.15)


def test_any_recipe_with_a_layers_own_geometry():
    layer = nn.MultiheadAttention(16, 2)
    geometry = layer_geometry(layer)["in_proj_weight"]
    recipe = Blocks((Orthogonal(1.0),) * 3)
    init.fill_(layer.in_proj_weight, recipe, geometry=geometry, seed=0, name="in_proj_weight")
    for block in layer.in_proj_weight.detach().chunk(3):
        torch.testing.assert_close(block @ block.T, torch.eye(16), atol=1e-5, rtol=0)
    with pytest.raises(ArgumentError, match="stand without axes"):
        init.fill_(layer.in_proj_weight, recipe, geometry=geometry, groups=2)
    with pytest.raises(ArgumentError, match="geometry must be of the tensor's shape"):
        init.fill_(torch.empty(3, 3), he_normal(), geometry=Geometry((3, 2), (1,), (0,)))


def test_scaled_orthogonal_keeps_the_rms_of_a_widening_layer():
    weight = init.scaled_orthogonal_(torch.empty(64, 16), seed=0)
    torch.testing.assert_close(weight.T @ weight, 4 * torch.eye(16), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", "he_normal he_uniform glorot_uniform lecun_normal orthogonal truncated_normal".split())
@pytest.mark.parametrize("size", [5, 2000])
def test_the_same_bits_as_in_numpy(name, size):
    roles = {"in_axis": 1, "out_axis": 0}
    for dtype, kind in ((torch.float32, "f4"), (torch.float16, "f2"), (torch.float64, "f8")):
        ours = getattr(init, f"{name}_")(torch.empty(60, size, dtype=dtype), seed=3, name="a.weight").numpy()
        theirs = getattr(pnp, name)((60, size), dtype=kind, rng=3, name="a.weight", **roles)
        assert ours.tobytes() == theirs.tobytes()
        assert ours.tobytes() != getattr(pnp, name)((60, size), dtype=kind, rng=4, name="a.weight", **roles).tobytes()
    half = getattr(init, f"{name}_")(torch.empty(60, size, dtype=torch.bfloat16), seed=3, name="a.weight")
    theirs = getattr(pnp, name)((60, size), dtype=ml_dtypes.bfloat16, rng=3, name="a.weight", **roles)
    assert half.view(torch.int16).numpy().tobytes() == theirs.tobytes()


class Tagged(torch.Tensor):
    """A tensor subclass of someone else's."""


def test_subclasses_and_parameters_stay_what_they_are():
    tensor = torch.empty(4, 4).as_subclass(Tagged)
    assert init.he_normal_(tensor, seed=0) is tensor
    assert type(tensor) is Tagged
    assert torch.equal(tensor.as_subclass(torch.Tensor), init.he_normal_(torch.empty(4, 4), seed=0))


def test_initializers_can_be_partial_and_pickled():
    closure = pickle.loads(pickle.dumps(partial(init.he_normal_, mode="fan_out", seed=0)))
    assert torch.equal(closure(torch.empty(3, 4)), init.he_normal_(torch.empty(3, 4), mode="fan_out", seed=0))


def test_a_computed_tensor_gives_a_warning():
    layer = parametrizations.weight_norm(nn.Linear(4, 3))
    with pytest.warns(UserWarning, match="the tensor is computed .*no parameter is written"):
        init.he_normal_(layer.weight)
    # A view of a parameter is written through.
    weight = nn.Parameter(torch.zeros(6, 4))
    init.he_normal_(weight[:3], seed=0)
    assert weight[:3].count_nonzero() == 12
    assert weight[3:].count_nonzero() == 0


def test_through_parametrizations():
    expected = init.he_normal_(torch.empty(3, 4), seed=0)
    normed = parametrizations.weight_norm(nn.Linear(4, 3))
    torch.testing.assert_close(init.through_(normed, "weight", init.he_normal_, seed=0), expected)
    torch.testing.assert_close(normed.weight, expected)
    plain = nn.Linear(4, 3)
    assert init.through_(plain, "weight", init.he_normal_, seed=0) is plain.weight
    assert torch.equal(plain.weight, expected)
    spectral = parametrizations.spectral_norm(nn.Linear(4, 3), n_power_iterations=50).eval()
    init.through_(spectral, "weight", init.he_normal_, seed=0)
    assert torch.equal(spectral.parametrizations.weight.original, expected)
    rotated = parametrizations.orthogonal(nn.Linear(4, 4))
    weight = init.through_(rotated, "weight", init.orthogonal_, seed=0)
    torch.testing.assert_close(weight, init.orthogonal_(torch.empty(4, 4), seed=0), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
def test_through_the_older_weight_norm(dim):
    layer = nn.utils.weight_norm(nn.Linear(4, 3), dim=dim)
    init.through_(layer, "weight", init.he_normal_, seed=0)
    layer(torch.zeros(1, 4))
    torch.testing.assert_close(layer.weight, init.he_normal_(torch.empty(3, 4), seed=0))


@every_random
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_values_made_in_place_are_those_drawn_and_copied(name, dtype, monkeypatch):
    function = getattr(init, name)
    monkeypatch.setattr("penstock.torch.init.write._SMALL", 0)
    tensors = [torch.empty(70, 30, dtype=dtype), torch.empty(30, 70, dtype=dtype).T, torch.empty(140, 40)[::2, 3:33]]
    made = [function(tensor, seed=1).clone() for tensor in tensors]
    monkeypatch.setattr("penstock.torch.init.write.fill_memory", lambda *arguments: False)
    for tensor, values in zip(tensors, made, strict=True):
        assert torch.equal(function(tensor.zero_(), seed=1), values)


def test_what_cannot_be_written_in_memory_is_left_to_pytorch():
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        init.normal_(torch.zeros(1, 3).expand(4, 3), seed=0)
    with torch.inference_mode():
        inferred = init.normal_(torch.empty(4, 3), seed=0)
    assert torch.equal(inferred, init.normal_(torch.empty(4, 3), seed=0))
    negated = torch._neg_view(torch.empty(4, 3))
    assert torch.equal(init.normal_(negated, seed=0), init.normal_(torch.empty(4, 3), seed=0))


def test_whoever_watches_pytorchs_operations_sees_the_write():
    seen = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(function.overloadpacket.__name__)
            return function(*args, **(kwargs or {}))

    with Watch():
        init.normal_(torch.empty(4, 3), seed=0)
    assert "copy_" in seen


def test_gradients_know_of_the_write():
    weight = torch.ones(3, requires_grad=True)
    output = (weight * 1.0).exp()
    with torch.no_grad():
        init.normal_(output.detach(), seed=0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()
