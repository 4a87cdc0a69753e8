"""Random words to float32 values: the same bits wherever the arithmetic is IEEE.

One word makes one value. Only integer operations and IEEE float32 additions, multiplications and divisions are used,
each rounded on its own, in the order written here: no fused multiply-add, no rejection, and none of the platform's
log, exp or erf. Whoever repeats these operations in another framework gets the same bits.

Notation: a word is read as a signed integer s, -2^31 <= s < 2^31. Its distance from the centre is c = s for s >= 0 and
-1 - s else; m = 2^31 - 1 - c is its distance from the end. All values are odd functions of s + 1/2.
"""

from __future__ import annotations

from collections.abc import Callable

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
# Koerner); then rounded to float32. References: NumPy's log2, SciPy's ndtri and erfinv. Lowest power first. All
# coefficients of the rational functions are positive, so that nothing cancels.

_LOG = (-0.5849628, -0.9617954, 0.32063234, -0.14254531, 0.07058961, -0.037311334, 0.025123375, -0.01512525)
"""-log2(3/2 + d) for |d| <= 1/2: largest absolute error of the fit 2.8e-7."""
_NORMAL_NUMERATOR = (1.2533143, 0.31357506, 0.04315896, 0.003954646, 2.3069832e-04, 4.6862397e-06)
_NORMAL_DENOMINATOR = (1.0, 0.06873311, 0.015696717, 7.592282e-04, 3.9192495e-05, 1.6135037e-07)
"""ndtri((1 + x)/2) / x as a function of -log2(1 - x^2) in 0..31: largest relative error of the fit 1.1e-7."""
_TRUNCATED_NUMERATOR = (1.9999999, 24.256409, 74.49113, 54.242306, 4.3845253)
_TRUNCATED_DENOMINATOR = (1.0, 13.838023, 52.42601, 55.253998, 10.706039)
"""ndtri(1/2 + (cdf(2) - 1/2) x) / x as a function of 1 - x^2 in 0..1: largest relative error of the fit 6.8e-8."""

_MANTISSA_BITS = 23
_MANTISSA = np.int32(0x007FFFFF)
_EXPONENT_OF_ONE = np.int32(0x3F800000)
# The exponent that IEEE stores for 1/4: the largest value of tail * (1 - tail).
_EXPONENT_OF_QUARTER = np.float32(125)
_END = np.int32(0x7FFFFFFF)
_SIGN = np.int32(-(2**31))
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
                 = x\, R(-\log_2(1 - x^2)), \quad x = (s + \tfrac12)\, 2^{-31}

    R is one rational function of degree 5/5 for centre and tails alike. 1 - x^2 is made as 4 t (1 - t) from the tail
    probability t = (m + 1/2) 2^-32, which does not cancel. Exactly antisymmetric; rises with s but for a few units in
    the last place between words whose values lie closer than float32 can tell. Relative error against float64 below
    5.5e-7 for every word that was tried; no closer, because each of about 30 operations rounds to float32.

    Args:
        words: any shape.

    Returns:
        Values of the same shape.

    Examples:
        >>> ends = normal(np.array([2**31 - 1, 2**31, 0], dtype=np.uint32))
        >>> [round(float(z), 3) for z in ends]
        [6.338, -6.338, 0.0]

    Source:
        The variable log(1 - x^2): Giles 2012, "Approximating the erfinv function", GPU Computing Gems.
    """
    signed = words.view(np.int32)
    centre = signed ^ (signed >> 31)
    tail = (centre ^ _END).astype(np.float32)
    tail += _HALF
    tail *= np.float32(2.0**-32)
    depth = _minus_log2_of_four_times(np.multiply(tail, np.subtract(_ONE, tail)))
    value = centre.astype(np.float32)
    value += _HALF
    value *= np.float32(2.0**-31)
    value *= _ratio(_NORMAL_NUMERATOR, _NORMAL_DENOMINATOR, depth)
    return _with_sign_of(signed, value)


def truncated_normal(words: U32) -> F32:
    r"""Standard normal values cut at two sigma, by the inverse of the distribution function; |z| < 2.

    .. math::  z = \Phi^{-1}\left(\tfrac12 + (\Phi(2) - \tfrac12)\, x\right), \quad x = (s + \tfrac12)\, 2^{-31}

    The standard deviation is `TRUNCATED_STD`, not 1: nothing is corrected here. Exactly antisymmetric. Relative error
    against float64 below 5e-7.

    Args:
        words: any shape.

    Returns:
        Values of the same shape.

    Examples:
        >>> ends = truncated_normal(np.array([2**31 - 1, 2**31], dtype=np.uint32))
        >>> [round(float(z), 6) for z in ends]
        [2.0, -2.0]
    """
    signed = words.view(np.int32)
    value = (signed ^ (signed >> 31)).astype(np.float32)
    value += _HALF
    value *= np.float32(2.0**-31)
    square = value * value
    value *= _ratio(_TRUNCATED_NUMERATOR, _TRUNCATED_DENOMINATOR, _ONE - square)
    return _with_sign_of(signed, value)


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


def _minus_log2_of_four_times(quarter: F32) -> F32:
    """-log2(4 q) for 0 < q <= 1/4: the exponent as an integer, the mantissa by a polynomial."""
    bits = quarter.view(np.int32)
    exponent = (bits >> _MANTISSA_BITS).astype(np.float32)
    mantissa = ((bits & _MANTISSA) | _EXPONENT_OF_ONE).view(np.float32)
    mantissa -= np.float32(1.5)
    result = _EXPONENT_OF_QUARTER - exponent
    result += _polynomial(_LOG, mantissa)
    return result


def _ratio(numerator: tuple[float, ...], denominator: tuple[float, ...], x: F32) -> F32:
    above = _polynomial(numerator, x)
    above /= _polynomial(denominator, x)
    return above


def _polynomial(coefficients: tuple[float, ...], x: F32) -> F32:
    """Horner's rule; each product is rounded before the sum."""
    highest, following, *rest = (np.float32(value) for value in reversed(coefficients))
    total = x * highest
    total += following
    for coefficient in rest:
        total *= x
        total += coefficient
    return total


def _with_sign_of(signed: I32, value: F32) -> F32:
    bits = value.view(np.int32)
    bits |= signed & _SIGN
    return value
