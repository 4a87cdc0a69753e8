"""What a call asks for: its name with its numbers, and the mean and standard deviation that they imply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import FrameType
from typing import Any

from penstock.provenance import Form

# Not numbers of the law: what is filled, what it is drawn with, and what initializers keep in their own frames.
_SHOWN = frozenset({"mean", "std", "a", "b", "val", "gain", "mode", "nonlinearity", "sparsity", "groups"})
# What need not be said: the defaults that nobody gives.
_DEFAULTS = {"mean": 0.0, "gain": 1.0, "groups": 1, "mode": "fan_in", "nonlinearity": "leaky_relu"}
_CUT = {"a": -2.0, "b": 2.0}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for.

    Attributes:
        text: e.g. "normal_(std=0.02)".
        mean, std: of the law; None where it has none that is known.
        form: what it asks for beyond that.
    """

    text: str
    mean: float | None = None
    std: float | None = None
    form: Form | None = None


def asked_of(name: str, arguments: Mapping[str, Any]) -> Asked:
    """What an initializer asks for.

    Args:
        name: of the function: "normal_", "kaiming_uniform_".
        arguments: its arguments and local variables by name.

    Examples:
        >>> asked_of("normal_", {"mean": 0.0, "std": 0.02})
        Asked(text='normal_(std=0.02)', mean=0.0, std=0.02, form=None)
        >>> round(asked_of("uniform_", {"a": -1.0, "b": 1.0}).std, 6)
        0.57735
    """
    numbers = {k: v for k, v in arguments.items() if k in _SHOWN and isinstance(v, Real | str) and v is not None}
    silent = {**_DEFAULTS, **(_CUT if name == "trunc_normal_" else {})}
    numbers = {k: v for k, v in numbers.items() if k not in silent or v != silent[k]}
    mean, std = _moments(name, arguments)
    text = f"{name}({', '.join(f'{k}={_text(v)}' for k, v in numbers.items())})"
    return Asked(text, mean, std, _form(name, arguments))


def asked_by(frames: Sequence[FrameType]) -> Asked:
    """What running initializer functions ask for.

    Args:
        frames: the outermost one first; it gives the text, and the first one whose law is known the moments.
    """
    found = [_of_frame(frame) for frame in frames]
    known = next((asked for asked in found if asked.std is not None or asked.form is not None), found[0])
    return Asked(found[0].text, known.mean, known.std, known.form)


def _of_frame(frame: FrameType) -> Asked:
    code, values = frame.f_code, frame.f_locals
    taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    asked = asked_of(code.co_name, {name: values[name] for name in taken if name in values})
    if asked.std is None and code.co_name.startswith(("kaiming_", "xavier_")) and isinstance(values.get("std"), float):
        # PyTorch works the std out before it draws, also for uniform laws.
        return Asked(asked.text, 0.0, values["std"])
    return asked


def _moments(name: str, values: Mapping[str, Any]) -> tuple[float | None, float | None]:
    def value(key: str, default: float) -> float:
        found = values.get(key)
        return float(found) if isinstance(found, Real) else default

    if name == "normal_":
        return value("mean", 0.0), value("std", 1.0)
    if name == "trunc_normal_":
        return _truncated(value("mean", 0.0), value("std", 1.0), value("a", -2.0), value("b", 2.0))
    if name == "uniform_":
        low, high = value("a", 0.0), value("b", 1.0)
        return (low + high) / 2, (high - low) / math.sqrt(12)
    constants = {"zeros_": 0.0, "zero_": 0.0, "ones_": 1.0}
    if name in constants:
        return constants[name], 0.0
    if name in ("constant_", "fill_") and isinstance(values.get("val"), Real):
        return value("val", 0.0), 0.0
    return None, None


def _form(name: str, values: Mapping[str, Any]) -> Form | None:
    gain, share, shape = values.get("gain", 1.0), values.get("sparsity"), getattr(values.get("tensor"), "shape", ())
    if name == "orthogonal_" and isinstance(gain, Real) and float(gain) != 0.0:
        return Form(gain=abs(float(gain)))
    if name == "sparse_" and isinstance(share, Real) and len(shape) == 2 and shape[0]:
        std = values.get("std", 0.01)
        # So many rows of each column, rounded up: `torch.nn.init.sparse_`.
        zeros = min(max(math.ceil(float(share) * shape[0]), 0), shape[0]) / shape[0]
        return Form(zeros=zeros, std=float(std)) if isinstance(std, Real) else None
    return None


def _truncated(mean: float, std: float, low: float, high: float) -> tuple[float | None, float | None]:
    """Moments of a normal law cut at `low` and `high` (Johnson, Kotz and Balakrishnan 1994, section 10.1)."""
    if std <= 0.0 or low >= high:
        return None, None
    a, b = (low - mean) / std, (high - mean) / std
    mass = (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2))) / 2
    if mass < 1e-6:
        return None, None
    pa, pb = (math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (a, b))
    shift = (pa - pb) / mass
    # Bounds far outside make 0 * inf of what is 0.
    edge = (a * pa if pa else 0.0) - (b * pb if pb else 0.0)
    return mean + std * shift, std * math.sqrt(max(1 + edge / mass - shift * shift, 0.0))


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, Real):
        return repr(value)
    return f"{float(value):.4g}"
