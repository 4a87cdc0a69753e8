"""Random words to float32 values: the same bits wherever the arithmetic is IEEE.

One word makes one value. Only integer operations and IEEE float32 additions, multiplications and divisions are used,
each rounded on its own, in the order written here: no fused multiply-add, no rejection, and none of the platform's
log, exp or erf. Whoever repeats these operations in another framework gets the same bits.

Notation: a word is read as a signed integer s, -2^31 <= s < 2^31. Its distance from the centre is c = s for s >= 0 and
-1 - s else; m = 2^31 - 1 - c is its distance from the end. All values are odd functions of s + 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]

UNIFORM_STD = 0.57735026918962576
"""Standard deviation of `uniform`: 1/sqrt(3)."""
TRUNCATED_CUT = 2.0
"""Where `truncated_normal` is cut, in standard deviations of the normal law before it is cut."""
TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of `truncated_normal`: sqrt(1 - 2 a pdf(a) / (2 cdf(a) - 1)) at the cut a = 2."""

# Every coefficient below was fitted in float64 by least squares on Chebyshev nodes, reweighted until the largest error
# is spread evenly (Lawson), the rational ones on linearised residuals divided by the last denominator (Sanathanan and
# Koerner); then rounded to float32. References: NumPy's log2, SciPy's ndtri and erfinv. The roots of all numerators and
# denominators are real and lie outside the interval, so a product of differences has no cancellation, and its factors
# do not wait for each other as the terms of Horner's rule do.


class Centre(NamedTuple):
    """Constants of x' (p0 - x'^2) ... (p3 - x'^2) / ((q0 - x'^2) ... (q3 - x'^2)), where x' is a multiple of x.

    The multiple is chosen so that no further factor is needed.
    """

    step: np.float32
    """x' of the word 1, the smallest: the multiple times 2^-31."""
    numerator: tuple[np.float32, ...]
    denominator: tuple[np.float32, ...]


def _float32(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(value) for value in values)


TRUNCATED = Centre(
    np.float32(0.40953759 * 2.0**-31),
    _float32(0.18925528, 0.21808409, 0.35057404, 1.98789896),
    _float32(0.18790002, 0.209924, 0.2963846, 0.84228585),
)
"""ndtri(1/2 + (cdf(2) - 1/2) x) for |x| <= 1: largest relative error of the fit 6.8e-8."""
CENTRE = Centre(
    np.float32(0.42375466 * 2.0**-31),
    _float32(0.18490152, 0.21438777, 0.3485507, 1.9995403),
    _float32(0.18349178, 0.20599271, 0.29341868, 0.8422382),
)
"""ndtri((1 + x)/2) for |x| <= 0.95: largest relative error of the fit 4.9e-8."""
CENTRE_END = int(0.95 * 2**31)
"""The largest distance from the centre that belongs to it: |x| < 0.95, |z| < 1.96."""

LOG = _float32(
    -0.5849628, -0.9617954, 0.32063234, -0.14254531, 0.07058961, -0.037311334, 0.025123375, -0.01512525
)  # fmt: skip
"""-log2(3/2 + d) for |d| <= 1/2, lowest power first: largest absolute error of the fit 2.8e-7."""
TAIL_FACTOR = np.float32(0.03966819)
TAIL_NUMERATOR = _float32(-0.9536409, 4.40628, 27.798545, 343.3941)
TAIL_DENOMINATOR = _float32(1.6525015, 11.912979, 77.31784)
"""-ndtri(t) as f (l + p0) ... (l + p3) / ((l + q0) ... (l + q2)), l = -log2(t) in 5.3..33: relative error 1.6e-7."""

MANTISSA_BITS = 23
MANTISSA = np.int32(0x007FFFFF)
EXPONENT_OF_ONE = np.int32(0x3F800000)
EXPONENT_OF_2_32 = np.float32(127 + 32)
"""As IEEE stores it: what a tail probability is counted in."""
END = np.int32(0x7FFFFFFF)
SIGN = np.int32(-(2**31))
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)


def uniform(words: U32) -> F32:
    """Uniform values on (-1, 1): the odd multiples of 2^-24, each with the same probability.

    Never 0, never +-1, exactly symmetric; the variance is (1 - 2^-48) / 3. Made of the word's highest 24 bits:
    (s >> 8 + 1/2) 2^-23.

    Args:
        words: any shape.

    Returns:
        Values of the same shape.

    Examples:
        >>> uniform(np.array([0, 2**32 - 1], dtype=np.uint32)) * 2.0**24
        array([ 1., -1.], dtype=float32)
    """
    value = (words.view(np.int32) >> 8).astype(np.float32)
    value += _HALF
    value *= np.float32(2.0**-23)
    return value


def normal(words: U32) -> F32:
    r"""Standard normal values, by the inverse of the distribution function, with tails out to 2^-33 (6.34 sigma).

    .. math::  z = \Phi^{-1}\left(\tfrac12 + (s + \tfrac12)\, 2^{-32}\right)

    Where |z| < 1.96 (95 of 100 words) z = x R(x^2) with R a rational function of degree 4/4 and x = (s | 1) 2^-31: the
    lowest bit is set instead of adding 1/2. Beyond, z is a rational function of -log2(t) with the tail probability
    t = (m + 1/2) 2^-32, which does not cancel. Exactly antisymmetric; rises with s but for a few units in the last
    place between words whose values lie closer than float32 can tell. Relative error against float64 below 7e-7 for
    every word that was tried; no closer, because each of about 20 operations rounds to float32.

    Args:
        words: any shape.

    Returns:
        Values of the same shape.

    Examples:
        >>> ends = normal(np.array([2**31 - 1, 2**31, 0], dtype=np.uint32))
        >>> [round(float(z), 3) for z in ends]
        [6.338, -6.338, 0.0]

    Source:
        Centre and tails apart, rational functions of x^2 and of the logarithm: Wichura 1988, AS 241, Appl. Stat. 37.
    """
    signed = words.view(np.int32)
    values = _centre(CENTRE, signed)
    far = (signed ^ (signed >> 31)) > CENTRE_END
    values[far] = _tail(signed[far])
    return values


def truncated_normal(words: U32) -> F32:
    r"""Standard normal values cut at two sigma, by the inverse of the distribution function; |z| < 2.

    .. math::  z = \Phi^{-1}\left(\tfrac12 + (\Phi(2) - \tfrac12)\, x\right), \quad x = (s \mathbin{|} 1)\, 2^{-31}

    s | 1 is s with its lowest bit set: the odd numbers, symmetric about 0. The standard deviation is `TRUNCATED_STD`,
    not 1: nothing is corrected here. Exactly antisymmetric. Relative error against float64 below 7e-7.

    Args:
        words: any shape.

    Returns:
        Values of the same shape.

    Examples:
        >>> ends = truncated_normal(np.array([2**31 - 1, 2**31], dtype=np.uint32))
        >>> [round(float(z), 6) for z in ends]
        [2.0, -2.0]
    """
    return _centre(TRUNCATED, words.view(np.int32))


TRANSFORMS: dict[str, Callable[[U32], F32]] = {
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": truncated_normal,
}


def bfloat16_bits(values: F32) -> npt.NDArray[np.uint16]:
    """The bits of the nearest bfloat16 values, ties to even; NaN stays NaN.

    Args:
        values: float32, any shape.

    Returns:
        Upper halves of the float32 format, same shape.

    Examples:
        >>> [hex(bits) for bits in bfloat16_bits(np.array([1.0, 1.00390625, 1.01171875], dtype=np.float32))]
        ['0x3f80', '0x3f80', '0x3f82']
    """
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16
    return np.where(np.isnan(values), (bits >> 16) | np.uint32(0x0040), rounded).astype(np.uint16)


def _centre(law: Centre, signed: I32) -> F32:
    x = (signed | 1).astype(np.float32)
    x *= law.step
    square = x * x
    value = _product_of_four([root - square for root in law.numerator])
    value /= _product_of_four([root - square for root in law.denominator])
    value *= x
    return value


def _tail(signed: I32) -> F32:
    """Normal values far from the centre."""
    tail = (signed ^ (signed >> 31) ^ END).astype(np.float32)
    tail += _HALF
    depth = _minus_log2(tail, EXPONENT_OF_2_32)
    value = _product_of_four([depth + root for root in TAIL_NUMERATOR])
    value *= TAIL_FACTOR
    first, second, third = (depth + root for root in TAIL_DENOMINATOR)
    value /= (first * second) * third
    return _with_sign_of(signed, value)


def _minus_log2(x: F32, exponent_of_one: np.float32) -> F32:
    """-log2(x / 2^e), 2^e having this stored exponent: x's exponent as an integer, its mantissa by a polynomial."""
    bits = x.view(np.int32)
    exponent = (bits >> MANTISSA_BITS).astype(np.float32)
    mantissa = ((bits & MANTISSA) | EXPONENT_OF_ONE).view(np.float32)
    mantissa -= np.float32(1.5)
    result = exponent_of_one - exponent
    result += _polynomial(LOG, mantissa)
    return result


def _product_of_four(factors: list[F32]) -> F32:
    product = factors[0] * factors[1]
    product *= factors[2] * factors[3]
    return product


def _polynomial(coefficients: tuple[np.float32, ...], x: F32) -> F32:
    """Horner's rule; each product is rounded before the sum."""
    highest, following, *rest = reversed(coefficients)
    total = x * highest
    total += following
    for coefficient in rest:
        total *= x
        total += coefficient
    return total


def _with_sign_of(signed: I32, value: F32) -> F32:
    bits = value.view(np.int32)
    bits |= signed & SIGN
    return value
