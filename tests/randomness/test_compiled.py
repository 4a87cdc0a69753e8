from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from penstock.errors import ArgumentError, ShapeError
from penstock.randomness import compiled, fill
from penstock.randomness.transforms import TRANSFORMS, TRUNCATED_STD, UNIFORM_STD, bfloat16_bits

pytest.importorskip("numba")

DISTRIBUTIONS = list(TRANSFORMS)
KINDS = ("float32", "float64", "float16", "bfloat16")


class NoKernels:
    """A loader for a machine without numba."""

    def get(self, size: int) -> None:
        """Nothing, ever."""


def by_numpy(*args, **kwargs) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "LOADER", NoKernels())
        return fill(*args, **kwargs)


@pytest.fixture(scope="module", autouse=True)
def kernels():
    assert compiled.LOADER.load() is not None
    return compiled.LOADER.kernels


def memory_of(shape: tuple[int, ...], kind: str) -> np.ndarray:
    return np.zeros(shape, dtype=np.uint16 if kind == "bfloat16" else kind)


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_distribution_and_type_has_numpys_bytes(distribution, kind):
    shape = (37, 1031)
    for scale, shift in ((1.0, 0.0), (0.02, 0.0), (0.3, -1.5), (0.0, 0.0), (-3e-39, 0.0), (2e-7, 0.0), (1e38, 3e38)):
        with np.errstate(over="ignore"):
            options = {"scale": scale, "shift": shift, "dtype": kind}
            ours = fill(distribution, shape, 5, out=memory_of(shape, kind), **options)
            reference = by_numpy(distribution, shape, 5, out=memory_of(shape, kind), **options)
        assert same_bytes(ours, reference), (scale, shift)
        # Outside the range of float16 nothing is left but the sign.
        assert len(np.unique(ours)) > 1 or not 1e-30 < abs(scale) < 1e30


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads_gives_the_same_bytes(kind, threads):
    shape = (1500, 1001)  # six tasks
    ours = fill("normal", shape, 2, out=memory_of(shape, kind), dtype=kind, threads=threads)
    assert same_bytes(ours, by_numpy("normal", shape, 2, out=memory_of(shape, kind), dtype=kind))
    # The control: another key.
    assert not same_bytes(ours, fill("normal", shape, 3, out=memory_of(shape, kind), dtype=kind, threads=threads))


@st.composite
def strided_windows(draw):
    """A shape, a window of it, and memory of the window's shape with axes in any order, reversed or with gaps."""
    shape = tuple(draw(st.lists(st.integers(1, 70), min_size=1, max_size=3)))
    window, counts = [], []
    for size in shape:
        start = draw(st.integers(0, size))
        window.append(slice(start, draw(st.integers(start, size))))
        counts.append(window[-1].stop - start)
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.integers(1, 3)) for _ in shape]
    signs = [draw(st.sampled_from([1, -1])) for _ in shape]
    return shape, tuple(window), tuple(counts), order, gaps, signs


@settings(max_examples=150, deadline=None)
@given(strided_windows(), st.sampled_from(DISTRIBUTIONS), st.sampled_from(KINDS), st.integers(0, 2**64 - 1))
def test_any_window_to_any_strides_has_numpys_bytes(case, distribution, kind, key):
    shape, window, counts, order, gaps, signs = case
    whole = memory_of(tuple(counts[axis] * gaps[axis] + 1 for axis in order), kind)
    out = whole.transpose(np.argsort(order))
    out = out[tuple(slice(0, n * gap, gap) for n, gap in zip(counts, gaps, strict=True))]
    out = out[tuple(slice(None, None, sign) for sign in signs)]
    assert fill(distribution, shape, key, window=window, out=out, dtype=kind, scale=0.3) is out
    reference = by_numpy(distribution, shape, key, window=window, out=memory_of(counts, kind), dtype=kind, scale=0.3)
    assert same_bytes(np.ascontiguousarray(out), reference)
    # Nothing else was written: no value is 0.
    assert np.count_nonzero(whole) == out.size


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_element_has_numpys_bytes(kind):
    for shape in ((), (1,), (1, 1)):
        ours = fill("normal", shape, 6, out=memory_of(shape, kind), dtype=kind)
        assert same_bytes(ours, by_numpy("normal", shape, 6, out=memory_of(shape, kind), dtype=kind))
        assert ours.ravel()[0] != 0


def test_a_large_transposed_output_and_rows_of_many_tasks():
    shape = (900, 1100)
    memory = np.zeros((1100, 900), dtype=np.float32)
    fill("uniform", shape, 4, out=memory.T)
    np.testing.assert_array_equal(memory.T, by_numpy("uniform", shape, 4))
    tall = (300_000, 3)
    window = (slice(None), slice(1, 2))
    np.testing.assert_array_equal(fill("normal", tall, 4, window=window), by_numpy("normal", tall, 4, window=window))


def test_far_counters():
    shape = (2**31, 2**31)
    for row in (2**28 - 1, 2**31 - 2):
        window = (slice(row, row + 2), slice(2**31 - 200, 2**31))
        np.testing.assert_array_equal(
            fill("normal", shape, 1, window=window), by_numpy("normal", shape, 1, window=window)
        )


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_round_every_exponent_and_every_tie_as_numpy_does(kind, kernels):
    high = np.arange(2**16, dtype=np.uint32) << 16
    low = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001, 0xEFFF, 0xF000, 0xFFFF], dtype=np.uint32)
    values = (high[:, None] | low).ravel().view(np.float32)
    values = values[~np.isnan(values)]
    ours = np.empty(values.size, dtype=np.uint16)
    if kind == "float16":
        kernels._float16(values, ours)
        with np.errstate(over="ignore"):
            reference = values.astype(np.float16).view(np.uint16)
    else:
        kernels._bfloat16(values, ours)
        ml_dtypes = pytest.importorskip("ml_dtypes")
        reference = values.astype(ml_dtypes.bfloat16).view(np.uint16)
        np.testing.assert_array_equal(bfloat16_bits(values), reference)
    np.testing.assert_array_equal(ours, reference)
    # The control: cutting off instead of rounding.
    assert (ours != values.view(np.uint32) >> 16).any()


def test_memory_that_cannot_be_addressed_by_elements_is_filled_too():
    raw = np.zeros(4 * 100 + 1, dtype=np.uint8)
    unaligned = raw[1:].view(np.float32)
    swapped = np.zeros(100, dtype=">f4")
    for out in (unaligned, swapped):
        np.testing.assert_array_equal(fill("normal", (100,), 1, out=out), fill("normal", (100,), 1))


def test_memory_that_does_not_fit_is_an_error():
    with pytest.raises(ShapeError, match=r"fill: out must be an array of the window's shape \(3,\); got \(4,\)"):
        fill("normal", (3,), 0, out=np.zeros(4, np.float32))
    with pytest.raises(ShapeError, match="fill: out must be an array"):
        fill("normal", (3,), 0, out=[0.0, 0.0, 0.0])
    with pytest.raises(ArgumentError, match="fill: out must have dtype float16; got float32"):
        fill("normal", (3,), 0, out=np.zeros(3, np.float32), dtype=np.float16)
    with pytest.raises(ArgumentError, match="fill: dtype must be floating-point; got int64"):
        fill("normal", (3,), 0, out=np.zeros(3, np.int64))
    with pytest.raises(ArgumentError, match="fill: out must be writeable"):
        fill("normal", (3,), 0, out=np.broadcast_to(np.float32(0.0), 3))


@pytest.mark.parametrize("threads", [0, -1, "many"])
def test_a_number_of_threads_that_is_none_is_an_error(threads, monkeypatch):
    with pytest.raises(ArgumentError, match="fill: threads must be an integer >= 1; got"):
        fill("normal", (3,), 0, threads=threads)
    monkeypatch.setenv("PENSTOCK_NUM_THREADS", str(threads))
    with pytest.raises(ArgumentError, match="fill: environment variable PENSTOCK_NUM_THREADS must be an integer"):
        compiled.allowed_threads()


def test_the_environment_says_how_many_threads(monkeypatch):
    monkeypatch.setenv("PENSTOCK_NUM_THREADS", "3")
    assert compiled.allowed_threads() == 3
    assert compiled.allowed_threads(2) == 2
    monkeypatch.delenv("PENSTOCK_NUM_THREADS")
    assert compiled.allowed_threads() >= 1


def test_the_short_first_fills_do_not_load_the_kernels(monkeypatch):
    loader = compiled._Loader()
    assert loader.get(64) is None
    assert loader.get(2**22) is None
    assert loader.get(2**24) is not None
    assert loader.get(1) is not None


def test_fills_from_many_threads_at_once():
    expected = fill("normal", (700, 1000), 1)
    results: list[np.ndarray] = []
    makers = [threading.Thread(target=lambda: results.append(fill("normal", (700, 1000), 1))) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(results) == 4
    assert all(same_bytes(made, expected) for made in results)


PRINT_HASH = """
import hashlib, sys
{before}
from penstock.randomness import fill, compiled
compiled.LOADER.load()
values = fill("normal", (40, 1000), 9, scale=0.02, dtype="float16")
print(compiled.LOADER.kernels is not None, hashlib.sha256(values.tobytes()).hexdigest())
"""


def run_python(before: str, **environment: str) -> list[str]:
    source = Path(compiled.__file__).parents[2]
    known = os.environ | {"PYTHONPATH": str(source)} | environment
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASH.format(before=before)], env=known, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_without_numba_the_same_bits():
    here = by_numpy("normal", (40, 1000), 9, scale=0.02, dtype="float16")
    loaded, digest = run_python("sys.modules['numba'] = None")
    assert loaded == "False"
    assert digest == hashlib.sha256(here.tobytes()).hexdigest()
    assert same_bytes(here, fill("normal", (40, 1000), 9, scale=0.02, dtype="float16"))


def test_without_a_cache_folder_the_same_bits(kernels, monkeypatch):
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    def law(x):
        return x + 1

    assert kernels._compiled(law)(1) == 2


def test_a_cache_that_cannot_be_written_is_not_fatal(monkeypatch):
    def full_disk(module):
        raise OSError("No space left on device")

    monkeypatch.setattr(compiled, "_try_out", full_disk)
    loader = compiled._Loader()
    assert loader.load() is None
    assert loader.get(2**30) is None


def one_bit_off(right):
    def fill_run(law, key, start, out, scale, shift):
        right(law, key, start, out, scale, shift)
        out.view(np.uint32)[7] ^= 1

    return fill_run


def test_compiled_code_with_other_bits_is_made_anew_and_else_not_used(kernels, monkeypatch):
    wrong = type("Kernels", (), {"fill_run": staticmethod(one_bit_off(kernels.fill_run))})
    with pytest.raises(ArithmeticError, match="the compiled uniform law differs from NumPy's"):
        compiled._try_out(wrong)
    monkeypatch.setattr(kernels, "fill_run", one_bit_off(kernels.fill_run))
    monkeypatch.setattr(compiled, "_compiled_anew", lambda kernels: kernels)
    assert compiled._Loader().load() is None
    monkeypatch.undo()
    assert compiled._Loader().load() is not None


def exact_moments(distribution: str) -> tuple[float, float]:
    """Standard deviation and kurtosis."""
    if distribution == "uniform":
        return UNIFORM_STD, 1.8
    if distribution == "normal":
        return 1.0, 3.0
    law = stats.truncnorm(-2, 2)
    return TRUNCATED_STD, float(law.stats(moments="k")) + 3.0


def counts_and_moments(distribution: str, total: int, cuts: list[float], scale: float = 1.0):
    """Sum, sum of squares and how many lie beyond each cut, of `total` draws in parts that fit the cache."""
    sums = np.zeros(2)
    beyond = np.zeros(len(cuts))
    part = 2**20
    buffer = np.empty(part, dtype=np.float32)
    for start in range(0, total, part):
        values = fill(distribution, (total,), 77, window=(slice(start, start + part),), out=buffer, scale=scale)
        sums += values.sum(dtype=np.float64), float(np.dot(values, values))
        magnitudes = np.abs(values)
        beyond += [np.count_nonzero(magnitudes > cut) for cut in cuts]
    return sums[0] / total, float(np.sqrt(sums[1] / total)), beyond / total


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_hundred_million_draws(distribution):
    total = 96 * 2**20
    cuts = [1.0, 3.0, 4.0, 5.0] if distribution == "normal" else [0.5, 0.9]
    mean, std, beyond = counts_and_moments(distribution, total, cuts)
    exact, kurtosis = exact_moments(distribution)
    assert abs(mean) < 5 * exact / np.sqrt(total)
    tolerance = 5 * exact * np.sqrt((kurtosis - 1) / (4 * total))
    # float32 products are summed too: 1e-6 for their rounding.
    assert abs(std - exact) < tolerance + 1e-6
    assert tolerance < 1e-3
    # The control: one percent more.
    assert abs(1.01 * std - exact) > tolerance + 1e-6
    law = {"normal": stats.norm(), "uniform": stats.uniform(-1, 2), "truncated_normal": stats.truncnorm(-2, 2)}
    for cut, share in zip(cuts, beyond, strict=True):
        expected = 2 * float(law[distribution].sf(cut))
        error = np.sqrt(expected * (1 - expected) / total)
        assert abs(share - expected) < 5 * error
        # The control: a tail that is missing, or a law a percent too wide.
        assert abs(0.0 - expected) > 5 * error
        wider = 2 * float(law[distribution].sf(cut / 1.01))
        assert abs(share - wider) > 5 * error or cut >= 5.0
