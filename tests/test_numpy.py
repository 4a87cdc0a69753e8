from __future__ import annotations

import inspect

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_law_and_power, normal, truncated, uniform
from standard_error import assert_mean

import penstock.numpy as pnp
from penstock.errors import ArgumentError, PenstockError, ShapeError
from penstock.geometry import Geometry
from penstock.randomness import key_for
from penstock.recipes import he_normal

FIXED = {"zeros": {}, "ones": {}, "constant": {"value": 2.5}, "identity": {}, "eye": {}, "dirac": {}}
RANDOM = sorted(set(pnp.__all__) - set(FIXED) - {"draw"})
FUNCTIONS = [*RANDOM, *FIXED]
every = pytest.mark.parametrize("name", FUNCTIONS)
every_random = pytest.mark.parametrize("name", RANDOM)


def call(name, shape, /, **keywords):
    if name not in FIXED:
        keywords = {"rng": 7} | keywords
    return getattr(pnp, name)(shape, **FIXED.get(name, {}), **keywords)


@every
def test_signature_starts_as_numpy_users_expect(name):
    parameters = list(inspect.signature(getattr(pnp, name)).parameters)
    expected = ["shape", "dtype", "out", "window"] if name in FIXED else ["shape", "dtype", "rng", "out", "window"]
    assert parameters[: len(expected)] == expected


@every
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_types_are_one_rounding_of_the_float32_values(name, dtype):
    whole = call(name, (3, 4, 6))
    assert whole.dtype == np.float32
    assert whole.shape == (3, 4, 6)
    values = call(name, (3, 4, 6), dtype=dtype)
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, whole.astype(dtype))


@every
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_windows_are_slices_of_the_whole(name, data):
    shape, window = (3, 4, 6), []
    for size in shape:
        start = data.draw(st.integers(0, size))
        window.append(slice(start, data.draw(st.integers(start, size))))
    part = call(name, shape, window=tuple(window))
    np.testing.assert_array_equal(part, call(name, shape)[tuple(window)], strict=True)


@every
def test_out_is_written_in_place_whatever_its_strides(name):
    memory = np.full((12, 5, 4), 7.0, dtype=np.float16)
    out = memory[::2, :3].transpose(2, 1, 0)
    assert call(name, (4, 3, 6), out=out) is out
    np.testing.assert_array_equal(out, call(name, (4, 3, 6), dtype=np.float16))
    assert (memory[1::2] == 7).all()
    assert (memory[:, 3:] == 7).all()
    part = np.empty((2, 3, 6), dtype=np.float32)
    window = (slice(1, 3), slice(None), slice(None))
    call(name, (4, 3, 6), out=part, window=window)
    np.testing.assert_array_equal(part, call(name, (4, 3, 6), window=window))


@every_random
def test_a_seed_gives_the_same_values_in_every_call_and_a_name_others(name):
    assert np.array_equal(call(name, (3, 4, 6)), call(name, (3, 4, 6)))
    assert not np.array_equal(call(name, (3, 4, 6)), call(name, (3, 4, 6), name="b"))
    assert not np.array_equal(call(name, (3, 4, 6)), call(name, (3, 4, 6), rng=8))


def test_values_are_those_of_the_recipe_under_the_key_of_seed_and_name():
    geometry = Geometry((512, 256), in_axes=(0,), out_axes=(1,))
    expected = he_normal().draw(geometry, key_for(3, "dense.kernel"))
    np.testing.assert_array_equal(pnp.he_normal((512, 256), rng=3, name="dense.kernel"), expected)


def test_every_kind_of_rng():
    sequence = np.random.SeedSequence(5)
    first = pnp.normal((9,), rng=sequence)
    np.testing.assert_array_equal(pnp.normal((9,), rng=np.random.SeedSequence(5)), first)
    assert not np.array_equal(pnp.normal((9,), rng=sequence.spawn(1)[0]), first)
    generator, again = np.random.default_rng(5), np.random.default_rng(5)
    drawn = pnp.normal((9,), rng=generator)
    np.testing.assert_array_equal(drawn, pnp.normal((9,), rng=int(again.integers(0, 2**64, dtype=np.uint64))))
    assert generator.bit_generator.state == again.bit_generator.state
    assert not np.array_equal(pnp.normal((9,), rng=generator), drawn)
    assert not np.array_equal(pnp.normal((9,)), pnp.normal((9,)))
    np.testing.assert_array_equal(pnp.normal((9,), rng=np.int64(4)), pnp.normal((9,), rng=4))


@pytest.mark.filterwarnings("error")
def test_numpys_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002  (the state that must not change)
    pnp.he_normal((3, 3))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


SHAPE = (400, 500)
LAWS = {
    "he_normal": normal((2 / 400) ** 0.5),
    "he_uniform": uniform(-((6 / 400) ** 0.5), (6 / 400) ** 0.5),
    "glorot_normal": normal((2 / 900) ** 0.5),
    "glorot_uniform": uniform(-((6 / 900) ** 0.5), (6 / 900) ** 0.5),
    "lecun_normal": normal(400**-0.5),
    "lecun_uniform": uniform(-((3 / 400) ** 0.5), (3 / 400) ** 0.5),
    "variance_scaling": truncated(0, 0.05 / 0.8796256610342398, -0.1 / 0.8796256610342398, 0.1 / 0.8796256610342398),
    "truncated_normal": truncated(0, 1 / 0.8796256610342398, -2 / 0.8796256610342398, 2 / 0.8796256610342398),
    "normal": normal(1.0),
    "uniform": uniform(0, 1),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws(name):
    assert_law_and_power(call(name, SHAPE), LAWS[name])


@pytest.mark.parametrize(
    ("shape", "roles", "fan_in", "fan_out"),
    [
        ((5, 5, 100, 80), {}, 2500, 2000),
        ((5, 5, 1, 8000), {"groups": 8000}, 25, 25),
        ((800, 25, 8), {"in_axis": 1, "out_axis": 0, "batch_axis": 2}, 25, 800),
        ((8, 25, 800), {"batch_axis": 0}, 25, 800),
        ((64, 100, 4, 4), {"in_axis": 0, "out_axis": 1, "transposed": True, "stride": 4}, 256, 1600),
        ((20000, 8), {"lookup": True}, 1, 8),
        ((8, 40, 500), {"in_axis": (0, 1), "out_axis": 2}, 320, 500),
    ],
)
def test_fans_follow_the_axes(shape, roles, fan_in, fan_out):
    assert_law_and_power(pnp.lecun_normal(shape, rng=1, **roles), normal(fan_in**-0.5), error=0.15)
    values = pnp.variance_scaling(shape, rng=1, mode="fan_out", distribution="normal", **roles)
    assert_law_and_power(values, normal(fan_out**-0.5), error=0.15)


def test_truncated_before_the_cut_is_smaller():
    before, after = (pnp.truncated_normal((100,), rng=1, std=0.02, std_is=s).std() for s in ("before", "after"))
    np.testing.assert_allclose(before / after, 0.8796256610342398, rtol=1e-6)


def test_orthogonal_with_and_without_the_factor_for_widening_layers():
    plain = pnp.orthogonal((16, 64), rng=1)
    np.testing.assert_allclose(plain @ plain.T, np.eye(16), atol=1e-6)
    np.testing.assert_allclose(pnp.orthogonal((16, 64), rng=1, keep="rms"), 2 * plain, rtol=1e-5, atol=1e-7)
    kernel = pnp.delta_orthogonal((3, 3, 8, 16), rng=1)
    np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(8), atol=1e-6)
    assert not kernel[0].any()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex(dtype):
    values = pnp.lecun_normal(SHAPE, dtype=dtype, rng=1)
    assert values.dtype == dtype
    power = np.abs(values) ** 2
    assert_mean(power, 1 / 400)
    with pytest.raises(AssertionError, match="mean"):
        assert_mean(1.02 * power, 1 / 400)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_uniform_never_reaches_its_end(dtype):
    values = pnp.uniform((100_000,), dtype=dtype, rng=1)
    assert values.min() > 0
    assert values.max() < 1


def test_fixed_rules():
    np.testing.assert_array_equal(pnp.eye((3, 4), dtype=int), np.eye(3, 4, dtype=int))
    kernel = pnp.dirac((3, 2, 2))
    np.testing.assert_array_equal(kernel[1], np.eye(2))
    assert not kernel[[0, 2]].any()
    assert pnp.ones((), dtype=np.float64) == 1.0


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"shape": (4,)}, ShapeError, "must have an input and an output axis"),
        ({"shape": ()}, ShapeError, "must have an input and an output axis"),
        ({"shape": (-1, 4)}, ShapeError, "shape must be a tuple of sizes >= 0"),
        ({"window": (slice(0, 5), slice(None))}, ShapeError, "window must be slices with 0 <= start"),
        ({"window": (slice(0, 2),)}, ShapeError, "window must be one slice for each of the 2 axes"),
        ({"in_axis": 5}, ShapeError, "in_axis must lie in -2..1; got 5"),
        ({"in_axis": -1}, ShapeError, "every axis must be named once"),
        ({"groups": 3}, ShapeError, "groups must divide the axis"),
        ({"dtype": np.int32}, PenstockError, "dtype must be floating-point or complex; got int32"),
        ({"rng": -1}, ArgumentError, "seed must be an integer with 0 <= seed"),
        ({"rng": "1"}, ArgumentError, "rng must be None, a seed .* got str"),
        ({"rng": np.random.RandomState}, ArgumentError, "got type"),
        ({"negative_slope": np.nan}, ArgumentError, "negative_slope must be a finite number"),
        ({"mode": "fan"}, ArgumentError, "mode must be one of the known ones"),
        ({"out": np.full((4, 3), 7.0, np.float32)}, ShapeError, r"out must have the shape of what is made, \(4, 4\)"),
        ({"out": np.full((4, 4), 7.0), "dtype": np.float32}, ArgumentError, "dtype must be that of out, float64"),
        ({"out": [7.0]}, ArgumentError, "out must be a NumPy array; got list"),
        ({"out": np.broadcast_to(np.float32(7), (4, 4))}, ArgumentError, "out must be writable"),
    ],
)
def test_bad_arguments_are_errors_and_out_is_untouched(keywords, error, match):
    out = np.full((4, 4), 7.0, np.float32)
    given = {} if "dtype" in keywords else {"out": out}
    with pytest.raises(error, match=match):
        pnp.he_normal(**{"shape": (4, 4), "rng": 0} | given | keywords)
    assert np.all(np.asarray(keywords.get("out", out)) == 7)


@pytest.mark.parametrize(
    ("name", "keywords", "match"),
    [
        ("normal", {"std": -1.0}, r"normal: std must be a finite number >= 0; got -1.*\nHint: penstock.numpy.normal\("),
        ("normal", {"std": np.nan}, "normal: std must be a finite number >= 0; got nan"),
        ("normal", {"mean": np.inf}, "normal: mean must be a finite number; got inf"),
        ("truncated_normal", {"std": -1.0}, "truncated_normal: std must be a finite number >= 0"),
        ("truncated_normal", {"std": np.nan, "std_is": "before"}, "truncated_normal: std must be a finite number >= 0"),
        ("uniform", {"low": 1.0, "high": 0.0}, "uniform: high must be at least low; got low=1, high=0"),
        ("uniform", {"low": -np.inf, "high": np.inf}, "uniform: high must be a finite number"),
        ("constant", {"value": "a"}, "constant: value must be a finite number; got 'a'"),
        ("orthogonal", {"gain": np.nan}, "orthogonal: gain must be a finite number >= 0; got nan"),
        ("glorot_uniform", {"gain": -1.0}, "glorot_uniform: gain must be a finite number >= 0"),
        (
            "variance_scaling",
            {"distribution": "norml"},
            r"variance_scaling: distribution .*\nHint: Did you mean 'normal'",
        ),
        ("delta_orthogonal", {"gain": -1.0}, "delta_orthogonal: gain must be"),
        ("identity", {"gain": np.nan}, "identity: gain must be a finite number"),
        ("he_uniform", {"mode": "fan_inn"}, r"he_uniform: mode must .*\nHint: Did you mean 'fan_in'"),
    ],
)
def test_errors_name_the_function_and_the_argument_and_out_is_untouched(name, keywords, match):
    out = np.full((4, 4), 7.0, np.float32)
    with pytest.raises(ArgumentError, match=match):
        getattr(pnp, name)((4, 4), out=out, **keywords)
    assert (out == 7).all()


def test_other_bad_arguments():
    with pytest.raises(ArgumentError, match="std_is must be 'after' or 'before'; got 'now'"):
        pnp.truncated_normal((3,), std_is="now")
    with pytest.raises(ArgumentError, match="scale must be >= 0; got -1"):
        pnp.variance_scaling((3, 3), scale=-1)
    with pytest.raises(ArgumentError, match="keep must be 'norm' or 'rms'"):
        pnp.orthogonal((3, 3), keep="all")
    with pytest.raises(TypeError, match=r"unknown argument 'sdt'.\nHint: Did you mean 'std'"):
        pnp.normal((3,), sdt=1.0)
    with pytest.raises(TypeError, match=r"recipe must be one of penstock\.recipes; got 'he_normal'"):
        pnp.draw("he_normal", (3, 3))
