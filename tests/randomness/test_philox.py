from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from standard_error import assert_share

from penstock.errors import ArgumentError
from penstock.randomness import words
from penstock.randomness.philox import philox, words_of_elements, words_of_runs

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0, 0, 0, 0], 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([ONES] * 4, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            0x299F31D0A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_the_published_known_answers(counter, key, expected):
    four = philox(np.array([counter], dtype=np.uint32), key)
    assert " ".join(f"{word:08x}" for word in four[0]) == expected


def slow_philox(counter: list[int], key: int) -> list[int]:
    """The paper's rounds on Python integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key & ONES, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & ONES, (p0 >> 32) ^ c3 ^ k1, p0 & ONES
        k0, k1 = (k0 + 0x9E3779B9) & ONES, (k1 + 0xBB67AE85) & ONES
    return [c0, c1, c2, c3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, ONES), min_size=4, max_size=4), min_size=1), st.integers(0, 2**64 - 1))
def test_equal_to_a_slow_second_implementation(counters, key):
    expected = [slow_philox(counter, key) for counter in counters]
    np.testing.assert_array_equal(philox(np.array(counters, dtype=np.uint32), key), expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 2**64 - 1))
def test_each_element_has_the_documented_place_in_counter_space(element, key):
    group, word, lane = element // 64, element % 64 // 16, element % 16
    number = 16 * group + lane
    expected = slow_philox([number & ONES, number >> 32, 0, 0], key)[word]
    assert words(key, element, 1)[0] == expected
    assert words_of_elements(key, np.array([element]))[0] == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(0, 200))
def test_runs_are_the_elements_in_them(starts, length):
    runs = words_of_runs(3, np.array(starts), length)
    assert runs.shape == (len(starts), length)
    for start, run in zip(starts, runs, strict=True):
        np.testing.assert_array_equal(run, words_of_elements(3, start + np.arange(length)))


def test_words_in_two_pieces_are_the_words_in_one():
    whole = words(9, 5, 1000)
    np.testing.assert_array_equal(np.concatenate([words(9, 5, 333), words(9, 338, 667)]), whole)


def test_every_bit_is_one_half_of_the_time():
    bits = np.unpackbits(words(11, 0, 2**16).view(np.uint8).reshape(-1, 4), axis=1)
    for bit in bits.T:
        assert_share(bit, 0.5)


def test_words_are_uniform_and_other_keys_are_independent():
    first, second = (words(key, 0, 2**18) >> 28 for key in (0, 1))
    table = np.bincount(first * 16 + second, minlength=256)
    assert stats.chisquare(table).pvalue > 1e-6
    # The control: neighbours of a stream that says every word twice.
    repeated = np.repeat(first[::2], 2)
    assert stats.chisquare(np.bincount(repeated[:-1] * 16 + repeated[1:], minlength=256)).pvalue < 1e-6


@pytest.mark.parametrize(("start", "count"), [(-1, 3), (0, -1)])
def test_negative_places_are_an_error(start, count):
    with pytest.raises(ArgumentError, match="words: start and count must be >= 0; got start="):
        words(0, start, count)
