from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from standard_error import assert_mean, assert_share, assert_std

from penstock.randomness import words
from penstock.randomness.transforms import (
    CENTRE_END,
    TRANSFORMS,
    TRUNCATED_STD,
    UNIFORM_STD,
    normal,
    truncated_normal,
    uniform,
)

CDF_2 = special.ndtr(2.0) - 0.5
LAWS = {
    "uniform": stats.uniform(-1, 2),
    "normal": stats.norm(),
    "truncated_normal": stats.truncnorm(-2, 2),
}


def dense_distances() -> np.ndarray:
    """Distances from the centre: both ends whole, every magnitude between, and an even grid."""
    end = 2**31 - 1
    ends = np.arange(50_000)
    magnitudes = np.unique((2.0 ** np.linspace(0, 30.99, 150_000)).astype(np.int64))
    seam = CENTRE_END + np.arange(-20_000, 20_000)
    both = np.concatenate([ends, magnitudes, end - ends, end - magnitudes, seam, np.arange(0, end, 16_411)])
    return np.unique(both)


def words_of(signed: np.ndarray) -> np.ndarray:
    return signed.astype(np.int32).view(np.uint32)


def exact_normal(c: np.ndarray) -> np.ndarray:
    """Quantiles in float64: odd multiples of 2^-31 in the centre, every half word in the tails."""
    tail = (2.0**31 - 1 - c + 0.5) * 2.0**-32
    return np.where(c <= CENTRE_END, np.sqrt(2) * special.erfinv((c | 1) * 2.0**-31), -special.ndtri(tail))


def exact_truncated(c: np.ndarray) -> np.ndarray:
    return np.sqrt(2) * special.erfinv(2 * CDF_2 * (c | 1) * 2.0**-31)


@pytest.mark.parametrize(
    ("transform", "exact", "bound"), [(normal, exact_normal, 7e-7), (truncated_normal, exact_truncated, 7e-7)]
)
def test_quantiles_agree_with_float64(transform, exact, bound):
    c = dense_distances()
    values = transform(words_of(c)).astype(np.float64)
    relative = np.abs(values / exact(c) - 1.0)
    assert relative.max() < bound
    # The control: one part in a million more is seen.
    assert np.abs(values * (1 + 1e-6) / exact(c) - 1.0).max() > bound


@pytest.mark.parametrize("transform", TRANSFORMS.values())
def test_exactly_antisymmetric_and_never_zero(transform):
    c = dense_distances()
    upper, lower = transform(words_of(c)), transform(words_of(-1 - c))
    np.testing.assert_array_equal(upper, -lower)
    assert (upper > 0).all()


@pytest.mark.parametrize("transform", TRANSFORMS.values())
def test_rises_with_the_word_up_to_the_last_places(transform):
    values = transform(words_of(dense_distances()))
    steps = np.diff(values)
    assert (steps >= -6 * np.spacing(values[1:])).all()


def test_the_uniform_grid_is_the_odd_multiples_of_two_to_the_minus_24():
    values = uniform(words_of(np.arange(-(2**31), 2**31, 2**8 * 97)))
    scaled = values.astype(np.float64) * 2**24
    np.testing.assert_array_equal(scaled % 2, 1)
    ends = uniform(np.array([0x7FFFFFFF, 0x80000000], dtype=np.uint32))
    np.testing.assert_array_equal(ends, np.array([1 - 2.0**-24, 2.0**-24 - 1], dtype=np.float32))


def test_the_ends():
    top = np.array([0x7FFFFFFF], dtype=np.uint32)
    np.testing.assert_allclose(normal(top)[0], -special.ndtri(2.0**-33), rtol=6e-7)
    assert 1.999999 < truncated_normal(top)[0] < 2.0


def test_the_constants_are_the_moments_of_the_laws():
    np.testing.assert_allclose(UNIFORM_STD, LAWS["uniform"].std(), rtol=1e-15)
    np.testing.assert_allclose(TRUNCATED_STD, LAWS["truncated_normal"].std(), rtol=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_mean_std_and_distribution(law):
    values = TRANSFORMS[law](words(17, 0, 2**17)).astype(np.float64)
    assert_mean(values, 0.0)
    assert_std(values, float(LAWS[law].std()))
    assert stats.kstest(values, LAWS[law].cdf).pvalue > 1e-6
    # The control: a law three percent too wide.
    assert stats.kstest(values * 1.03, LAWS[law].cdf).pvalue < 1e-6


def test_tails_have_their_probability():
    magnitudes = np.abs(normal(words(23, 0, 2**21)))
    for sigma in (1.0, 2.0, 3.0, 4.0):
        assert_share(magnitudes > sigma, 2 * float(stats.norm.sf(sigma)))
    # The control: tails that end at 3.
    with pytest.raises(AssertionError, match="share"):
        assert_share(np.minimum(magnitudes, 3.0) > 3.0, 2 * float(stats.norm.sf(3.0)))


@pytest.mark.parametrize("transform", TRANSFORMS.values())
def test_every_step_is_float32_and_the_words_stay(transform):
    given = words(1, 0, 64)
    before = given.copy()
    assert transform(given).dtype == np.float32
    np.testing.assert_array_equal(given, before)


def test_the_same_bits_from_torch():
    torch = pytest.importorskip("torch")
    from penstock.randomness import transforms as own

    def product(factors):
        return (factors[0] * factors[1]) * (factors[2] * factors[3])

    given = words(5, 0, 2**17)
    signed = torch.from_numpy(given.view(np.int32).copy())
    x = (signed | 1).float() * float(own.CENTRE.step)
    square = x * x
    centre = product([float(root) - square for root in own.CENTRE.numerator])
    centre = centre / product([float(root) - square for root in own.CENTRE.denominator]) * x
    distance = signed ^ (signed >> 31)
    tail = (distance ^ 0x7FFFFFFF).float() + 0.5
    bits = tail.view(torch.int32)
    mantissa = ((bits & 0x007FFFFF) | 0x3F800000).view(torch.float32) - 1.5
    log = torch.full_like(mantissa, float(own.LOG[-1]))
    for coefficient in own.LOG[-2::-1]:
        log = log * mantissa + float(coefficient)
    depth = (159.0 - (bits >> 23).float()) + log
    below = [depth + float(root) for root in own.TAIL_DENOMINATOR]
    far = product([depth + float(root) for root in own.TAIL_NUMERATOR]) * float(own.TAIL_FACTOR)
    far = far / ((below[0] * below[1]) * below[2])
    value = torch.where(distance > own.CENTRE_END, torch.where(signed < 0, -far, far), centre)
    np.testing.assert_array_equal(value.numpy(), normal(given))
