from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ArgumentError, ShapeError
from penstock.randomness import fill, words
from penstock.randomness.transforms import TRANSFORMS

DISTRIBUTIONS = list(TRANSFORMS)


@st.composite
def shapes_and_windows(draw):
    shape = tuple(draw(st.lists(st.integers(0, 40), max_size=4)))
    window = []
    for size in shape:
        start = draw(st.integers(0, size))
        window.append(slice(start, draw(st.integers(start, size))))
    return shape, tuple(window)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_an_element_is_the_transform_of_its_own_word(distribution):
    values = fill(distribution, (7, 11, 13), 99)
    np.testing.assert_array_equal(values.ravel(), TRANSFORMS[distribution](words(99, 0, 7 * 11 * 13)))


@settings(max_examples=150, deadline=None)
@given(shapes_and_windows(), st.sampled_from(DISTRIBUTIONS))
def test_any_window_alone_is_the_slice_of_the_whole(shape_and_window, distribution):
    shape, window = shape_and_window
    part = fill(distribution, shape, 3, window=window)
    np.testing.assert_array_equal(part, fill(distribution, shape, 3)[window], strict=True)


def test_windows_of_every_kind_of_run_are_slices_of_the_whole():
    shape = (300, 5, 400)  # 600 000 elements: several blocks
    whole = fill("normal", shape, 8)
    for window in [
        (slice(100, 250), slice(None), slice(None)),
        (slice(None), slice(1, 4), slice(None)),
        (slice(None), slice(None), slice(7, 390)),
        (slice(None), slice(None), slice(7, 10)),
        (slice(2, 300), slice(2, 3), slice(399, 400)),
    ]:
        np.testing.assert_array_equal(fill("normal", shape, 8, window=window), whole[window], strict=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 300), st.lists(st.integers(0, 300), max_size=4))
def test_shards_tile_the_whole(rows, columns, cuts):
    bounds = sorted({0, columns, *(cut for cut in cuts if cut < columns)})
    shards = [
        fill("uniform", (rows, columns), 4, window=(slice(None), slice(a, b))) for a, b in itertools.pairwise(bounds)
    ]
    np.testing.assert_array_equal(np.concatenate(shards, axis=1), fill("uniform", (rows, columns), 4))


def test_a_window_of_a_tensor_too_large_to_build():
    shape = (2**30, 2**32)
    part = fill("normal", shape, 1, window=(slice(2**30 - 2, 2**30), slice(2**32 - 100, 2**32)))
    np.testing.assert_array_equal(part[1], TRANSFORMS["normal"](words(1, 2**62 - 100, 100)))


def test_the_index_is_row_major_in_the_logical_shape():
    np.testing.assert_array_equal(fill("normal", (6, 10), 2).ravel(), fill("normal", (60,), 2))


def test_other_keys_give_other_values():
    assert not np.isin(fill("normal", (100,), 1), fill("normal", (100,), 2)).any()


def test_temporaries_stay_small():
    size = 2**22
    fill("normal", (8,), 0)
    tracemalloc.start()
    values = fill("normal", (size,), 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - values.nbytes < 8 * 2**20


@pytest.mark.parametrize(("shape", "size"), [((), 1), ((0,), 0), ((3, 0, 2), 0), ((1, 1), 1)])
def test_small_shapes(shape, size):
    values = fill("normal", shape, 0)
    assert values.shape == shape
    assert values.size == size
    np.testing.assert_array_equal(values.ravel(), fill("normal", (size,), 0))


def test_scale_and_shift_are_float32_operations():
    raw = fill("normal", (1000,), 5)
    values = fill("normal", (1000,), 5, scale=0.3, shift=2.0)
    np.testing.assert_array_equal(values, raw * np.float32(0.3) + np.float32(2.0), strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, "bfloat16"])
def test_other_types_are_one_rounding_of_float32(dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    values = fill("normal", (1000,), 5, scale=0.02, dtype=dtype)
    np.testing.assert_array_equal(values, fill("normal", (1000,), 5, scale=0.02).astype(dtype), strict=True)


def test_numpys_global_state_is_neither_read_nor_changed():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = fill("normal", (10,), 0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(fill("normal", (10,), 0), first)


@pytest.mark.parametrize("shape", [(-1,), (2.0, 3), 3, (2**32, 2**32)])
def test_a_shape_that_is_none_is_an_error(shape):
    with pytest.raises(ShapeError, match="fill: shape must be a tuple of sizes >= 0 with less than"):
        fill("normal", shape, 0)


@pytest.mark.parametrize(
    ("window", "requirement"),
    [
        ((slice(0, 2),), "one slice for each of the 2 axes"),
        ([slice(0, 2), slice(0, 2)], "one slice for each of the 2 axes"),
        ((slice(0, 2), slice(0, 6, 2)), "slices with step 1"),
        ((slice(0, 2), 3), "slices with step 1"),
        ((slice(0, 5), slice(0, 6)), "slices with 0 <= start <= stop <= size"),
        ((slice(-1, 2), slice(0, 6)), "slices with 0 <= start <= stop <= size"),
        ((slice(3, 2), slice(0, 6)), "slices with 0 <= start <= stop <= size"),
    ],
)
def test_a_window_that_does_not_fit_is_an_error(window, requirement):
    with pytest.raises(ShapeError, match=f"fill: window must be {requirement}; got") as caught:
        fill("normal", (4, 6), 0, window=window)
    assert str(caught.value).endswith("for shape (4, 6).\nHint: window=(slice(0, 4), slice(0, 6))")


def test_unknown_distributions_keys_and_types_are_errors():
    with pytest.raises(ArgumentError, match="Did you mean 'normal'"):
        fill("norml", (3,), 0)
    with pytest.raises(ArgumentError, match="fill: key must be 64 bits"):
        fill("normal", (3,), 2**64)
    with pytest.raises(ArgumentError, match="fill: dtype must be floating-point; got int32"):
        fill("normal", (3,), 0, dtype=np.int32)
