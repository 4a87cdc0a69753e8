"""Inputs described in words: what can be read, what is refused and with which words, and what is drawn."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from penstock.errors import ArgumentError
from penstock.inputs import InputSpec, draw, parse_input, parse_inputs

GOOD = [
    ("32,3,224,224", InputSpec((32, 3, 224, 224))),
    ("32", InputSpec((32,))),
    ("32,", InputSpec((32,))),
    ("8, 16", InputSpec((8, 16))),
    ("f16[8,16]", InputSpec((8, 16), "float16")),
    ("bf16[8,16]", InputSpec((8, 16), "bfloat16")),
    ("f32[8]", InputSpec((8,), "float32")),
    ("f64[8]", InputSpec((8,), "float64")),
    ("f32[]", InputSpec((), "float32")),
    ("bool[8,4]", InputSpec((8, 4), "bool")),
    ("i32[8]<2", InputSpec((8,), "int32", 2)),
    ("i64[8,128]<50257", InputSpec((8, 128), "int64", 50257)),
    ("ids=i64[8,128]<50257", InputSpec((8, 128), "int64", 50257, "ids")),
    ("pixel_values=2,3,8,8", InputSpec((2, 3, 8, 8), name="pixel_values")),
]

BAD = [
    ("", "must have sizes, or dtype[sizes]"),
    ("ids=", "must have sizes, or dtype[sizes]"),
    ("3,x,3", "positive whole numbers between commas; '3,x,3' are not"),
    ("3,,3", "positive whole numbers between commas; '3,,3' are not"),
    ("0,3", "positive whole numbers between commas; '0,3' are not"),
    ("-1,3", "positive whole numbers between commas; '-1,3' are not"),
    ("3.5", "positive whole numbers between commas; '3.5' are not"),
    ("f33[8]", "'f33' is none. Did you mean 'f32'? Known: bf16, bool, f16, f32, f64, i32, i64."),
    ("i64[8,128]", "a bound after integers, as in i64[8,128]<1000"),
    ("i64[8]<x", "a positive whole number; '<x' is none for int64"),
    ("i64[8]<0", "a positive whole number; '<0' is none for int64"),
    ("f32[8]<9", "a bound for integers only, a positive whole number; '<9' is none for float32"),
    ("8,8<9", "'<9' is none for float32"),
    ("i32[8]<5000000000", "a bound of at most 2147483647 for int32; 5000000000 is more"),
    ("i64[8]<5000000000", "a bound of at most 4294967296 for int64; 5000000000 is more"),
    ("i64[8", "must have sizes, or dtype[sizes]"),
    ("8]", "must have sizes, or dtype[sizes]"),
    ("i64[8]<5 rubbish", "a positive whole number; '<5rubbish' is none for int64"),
]


@pytest.mark.parametrize(("text", "wanted"), GOOD)
def test_good_descriptions(text, wanted):
    assert parse_input(text) == wanted
    assert parse_input(str(wanted)) == wanted


@pytest.mark.parametrize(("text", "wanted"), BAD)
def test_bad_descriptions_say_what_is_wrong(text, wanted):
    with pytest.raises(ArgumentError, match=re.escape(wanted)) as caught:
        parse_input(text)
    assert repr(text) in str(caught.value)
    assert "\nHint: 32,3,224,224 or i64[8,128]<50257" in str(caught.value)


def test_several_inputs_keep_their_order():
    assert [spec.name for spec in parse_inputs(["a=2", "b=3"])] == ["a", "b"]
    assert [spec.shape for spec in parse_inputs(["2", "3"])] == [(2,), (3,)]


def test_some_names_only_are_refused():
    with pytest.raises(ArgumentError, match=r"all inputs must have names or none; got a=2, 3\."):
        parse_inputs(["a=2", "3"])


def test_a_name_twice_is_refused():
    with pytest.raises(ArgumentError, match=r"each name must come once; 'a' comes 2 times\."):
        parse_inputs(["a=2", "a=3"])


def test_the_whole_message():
    with pytest.raises(ArgumentError, match="a known dtype") as caught:
        parse_input("i46[8]<9")
    assert str(caught.value) == (
        "input: 'i46[8]<9' must have a known dtype before [; 'i46' is none. "
        "Did you mean 'i64'? Known: bf16, bool, f16, f32, f64, i32, i64.\n"
        "Hint: 32,3,224,224 or i64[8,128]<50257 or ids=i64[8,128]<50257"
    )


def unit_variance(values) -> bool:
    """Whether mean 0 and variance 1 hold within 5 standard errors."""
    n = values.size
    return abs(values.mean()) < 5 / math.sqrt(n) and abs(values.var() - 1) < 5 * math.sqrt(2 / n)


def test_floats_are_normal():
    values = draw(parse_input("100,1000"))
    assert (values.dtype, values.shape) == (np.float32, (100, 1000))
    assert unit_variance(values)
    assert not unit_variance(1.05 * values)
    assert not unit_variance(values + 0.05)


def spread_evenly(values, high) -> bool:
    """Whether the mean of uniform integers is right within 5 standard errors."""
    error = math.sqrt((high**2 - 1) / 12 / values.size)
    return abs(values.mean() - (high - 1) / 2) < 5 * error


@pytest.mark.parametrize("high", [7, 50257, 3_000_000_000, 1 << 32])
def test_integers_are_uniform_below_their_bound(high):
    values = draw(InputSpec((100, 1000), "int64", high))
    assert values.dtype == np.int64
    assert values.min() >= 0
    assert values.max() < high
    assert spread_evenly(values, high)
    assert not spread_evenly(values // 2, high)


def test_small_bounds_reach_every_value():
    assert set(draw(InputSpec((1000,), "int32", 5)).tolist()) == {0, 1, 2, 3, 4}


def test_booleans_are_fair():
    values = draw(parse_input("bool[100,1000]"))
    assert values.dtype == np.bool_
    assert spread_evenly(values.astype(np.int64), 2)


def test_draws_depend_on_seed_and_name_alone():
    spec = parse_input("x=4,8")
    np.testing.assert_array_equal(draw(spec, seed=3, index=0), draw(spec, seed=3, index=5))
    assert not np.array_equal(draw(spec, seed=3), draw(spec, seed=4))
    assert not np.array_equal(draw(spec), draw(parse_input("y=4,8")))
    assert not np.array_equal(draw(parse_input("4,8"), index=0), draw(parse_input("4,8"), index=1))


def test_scalars_can_be_drawn():
    assert draw(parse_input("f32[]")).shape == ()
