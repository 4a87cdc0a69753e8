"""Inputs described in words: shape, dtype and range of a tensor that nobody has at hand, and the numbers to fill it.

32,3,224,224            float32, independent normal numbers of mean 0 and variance 1
bf16[8,512]             the same in another dtype
i64[8,128]<50257        integers from 0 to 50256, each as likely
ids=i64[8,128]<50257    the same, under a name
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, closest, message
from penstock.randomness import fill, key_for, words

DTYPES = {
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "i32": "int32",
    "i64": "int64",
    "bool": "bool",
}

_TEXT = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*)=)?"
    r"(?:(?P<dtype>[A-Za-z]\w*)\[(?P<inner>.*?)\]|(?P<plain>[^<\[\]]*))"
    r"(?P<high><.*)?"
)
_EXAMPLES = "32,3,224,224 or i64[8,128]<50257 or ids=i64[8,128]<50257"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input tensor.

    Attributes:
        shape: its size along each axis, the batch's first.
        dtype: "float16", "bfloat16", "float32", "float64", "int32", "int64" or "bool".
        high: for integers, the smallest number above all values; else None.
        name: the model's keyword for it; None for a positional input.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    high: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        short = next((s for s, full in DTYPES.items() if full == self.dtype), self.dtype)
        name = f"{self.name}=" if self.name else ""
        return f"{name}{short}[{','.join(map(str, self.shape))}]{'' if self.high is None else f'<{self.high}'}"


def parse_input(text: str) -> InputSpec:
    """Read one description of an input.

    Args:
        text: `[name=]sizes` or `[name=]dtype[sizes]`, and `<bound` for integers.

    Returns:
        The description as a value.

    Raises:
        ArgumentError: if the text cannot be read, with what is wrong in it.

    Examples:
        >>> parse_input("ids=i64[8,128]<50257")
        InputSpec(shape=(8, 128), dtype='int64', high=50257, name='ids')
        >>> str(parse_input("32,3,224,224"))
        'f32[32,3,224,224]'
    """
    match = _TEXT.fullmatch(text.replace(" ", ""))
    if match is None:
        raise _problem(text, "sizes, or dtype[sizes]")
    short = match["dtype"] or "f32"
    if short not in DTYPES:
        raise _problem(text, f"a known dtype before [; {short!r} is none. {closest(short, DTYPES)}")
    sizes = match["inner"] if match["dtype"] else match["plain"]
    parts = sizes.removesuffix(",").split(",") if sizes else []
    if not match["dtype"] and not parts:
        raise _problem(text, "sizes, or dtype[sizes]")
    if not all(re.fullmatch(r"[0-9]+", part) and int(part) > 0 for part in parts):
        raise _problem(text, f"positive whole numbers between commas; {sizes!r} are not")
    dtype, high = DTYPES[short], match["high"]
    if high is not None and not (dtype.startswith("int") and re.fullmatch(r"<[0-9]+", high) and int(high[1:]) > 0):
        raise _problem(text, f"a bound for integers only, a positive whole number; {high!r} is none for {dtype}")
    if high is None and dtype.startswith("int"):
        raise _problem(text, f"a bound after integers, as in {short}[{sizes}]<1000 (what is the vocabulary's size?)")
    bound = None if high is None else int(high[1:])
    # 2^32, because an integer is drawn from 32 random bits.
    if bound is not None and bound > min(np.iinfo(dtype).max, 1 << 32):
        raise _problem(text, f"a bound of at most {min(np.iinfo(dtype).max, 1 << 32)} for {dtype}; {bound} is more")
    return InputSpec(tuple(map(int, parts)), dtype, bound, match["name"])


def parse_inputs(texts: Sequence[str]) -> tuple[InputSpec, ...]:
    """Read several descriptions: all positional, in order, or all with names.

    Raises:
        ArgumentError: if one cannot be read, if only some have names or if a name comes twice.

    Examples:
        >>> [str(spec) for spec in parse_inputs(["x=4,8", "t=4"])]
        ['x=f32[4,8]', 't=f32[4]']
    """
    specs = tuple(parse_input(text) for text in texts)
    names = [spec.name for spec in specs if spec.name]
    if names and len(names) < len(specs):
        raise ArgumentError(
            message(
                f"input: all inputs must have names or none; got {', '.join(texts)}.",
                because="named inputs are passed by keyword, the others in order",
            )
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ArgumentError(f"input: each name must come once; {twice!r} comes {names.count(twice)} times.")
    return specs


def draw(spec: InputSpec, *, seed: int = 0, index: int = 0) -> npt.NDArray[np.generic]:
    """Fill an input with numbers that depend on the seed and the input's name or position alone.

    Args:
        spec: what to make.
        seed: any whole number.
        index: position among the inputs; takes the name's place where there is none.

    Returns:
        Array of shape `spec.shape`. Floating-point values are normal with mean 0 and variance 1, in float32 (float64
        where asked for; float16 and bfloat16 are left to the framework to round to); integers are uniform in
        0..high-1; booleans are true half of the time.

    Examples:
        >>> draw(parse_input("i64[2,3]<10")).shape
        (2, 3)
    """
    key = key_for(seed, f"input.{spec.name or index}")
    if spec.dtype == "bool" or spec.high is not None:
        bits = words(key, 0, math.prod(spec.shape)).astype(np.uint64)
        high = np.uint64(2 if spec.high is None else spec.high)
        # The high half of the product: no value is rarer than another by more than one part in 2^32 / high.
        return ((bits * high) >> np.uint64(32)).reshape(spec.shape).astype(spec.dtype)
    return fill("normal", spec.shape, key, dtype=np.float64 if spec.dtype == "float64" else np.float32)


def _problem(text: str, wanted: str) -> ArgumentError:
    return ArgumentError(message(f"input: {text!r} must have {wanted.removesuffix('.')}.", hint=_EXAMPLES))
