from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standard_error import assert_share

from penstock.errors import ArgumentError
from penstock.randomness import key_for

names = st.text(max_size=12)
seeds = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("seed", "parts", "key"),
    [
        (0, ("layers.0.weight",), 0xC5C57B58336B87C1),
        (0, ("",), 0x896FCD8089E3A23A),
        (2**64 - 1, ("a", "b"), 0x1229F6489F04AFF2),
    ],
)
def test_keys_never_change_between_versions(seed, parts, key):
    assert key_for(seed, *parts) == key


@settings(deadline=None)
@given(seeds, st.lists(names, min_size=1, max_size=3), seeds, st.lists(names, min_size=1, max_size=3))
def test_keys_differ_exactly_when_what_they_are_made_of_differs(seed, parts, other_seed, other_parts):
    same = (seed, parts) == (other_seed, other_parts)
    assert (key_for(seed, *parts) == key_for(other_seed, *other_parts)) is same


def test_texts_do_not_run_together():
    keys = {key_for(0, *parts) for parts in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc")]}
    assert len(keys) == 5


def test_each_bit_of_the_key_flips_with_probability_one_half():
    near = [key_for(seed, f"layers.{i}.weight") for seed in range(2) for i in range(2000)]
    bits = np.unpackbits(np.array(near, dtype="<u8").view(np.uint8).reshape(-1, 8), axis=1)
    for bit in bits.T:
        assert_share(bit, 0.5)


def test_numpy_integers_are_seeds():
    assert key_for(np.uint64(5), "w") == key_for(5, "w")


def test_names_with_lone_surrogates_are_names():
    assert key_for(0, "\ud800") != key_for(0, "\ud801")


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "0", None])
def test_a_seed_out_of_range_is_an_error(seed):
    with pytest.raises(ArgumentError, match=r"key_for: seed must be an integer with 0 <= seed < 2\*\*64; got"):
        key_for(seed, "w")


def test_a_name_that_is_no_text_is_an_error():
    with pytest.raises(ArgumentError, match=r"key_for: name must be text; got 3 \(int\)"):
        key_for(0, "w", 3)
