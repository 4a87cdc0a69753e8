"""What unwritten memory is filled with, and how it is known again.

Floating-point numbers get a NaN whose payload no computation makes; integers a pattern that no index table holds. Bytes
and bools have no room for a pattern: they count as written when a write was seen.
"""

from __future__ import annotations

import torch

from penstock.torch.measure.blocks import BLOCK, flat

# Width in bytes -> the pattern as a signed integer. Each is a quiet NaN with a payload: sign 0, exponent all ones.
_FLOAT: dict[torch.dtype, tuple[torch.dtype, int]] = {
    torch.float64: (torch.int64, 0x7FF8_5EAF_1E55_0DD5),
    torch.float32: (torch.int32, 0x7FC5_1EE7),
    torch.bfloat16: (torch.int16, 0x7FD3),
    torch.float16: (torch.int16, 0x7F35),
}
_INTEGER: dict[torch.dtype, int] = {
    torch.int64: 0x5EA1_1E55_0DD5_EA15,
    torch.int32: 0x5EA1_1E55,
    torch.int16: 0x5EA1,
}


def fill(tensor: torch.Tensor) -> bool:
    """Fill memory that nobody has written yet; says whether the type has a sign for it."""
    known = _bits(tensor)
    if known is None:
        return False
    with torch.no_grad():
        known[0].fill_(known[1])
    return True


def unwritten_count(tensor: torch.Tensor) -> int | None:
    """Number of elements that still hold the sign; None for types that have none."""
    known = _bits(tensor)
    if known is None:
        return None
    count = sum(int((block == known[1]).sum()) for block in flat(known[0]).split(BLOCK))
    return count // 2 if tensor.is_complex() else count


def is_unwritten(tensor: torch.Tensor) -> torch.Tensor:
    """Which elements still hold the sign; all False for types that have none."""
    known = _bits(tensor)
    if known is None:
        return torch.zeros(tensor.shape, dtype=torch.bool, device=tensor.device)
    same = known[0] == known[1]
    return same.any(dim=-1) if tensor.is_complex() else same


def _bits(tensor: torch.Tensor) -> tuple[torch.Tensor, int] | None:
    """The tensor's memory as integers, and the pattern."""
    if tensor.layout != torch.strided or tensor.is_meta:
        return None
    plain = tensor.detach()
    if plain.is_complex():
        plain = torch.view_as_real(plain.resolve_conj() if plain.is_conj() else plain)
    if plain.dtype in _INTEGER:
        return plain, _INTEGER[plain.dtype]
    if plain.dtype in _FLOAT:
        integer, pattern = _FLOAT[plain.dtype]
        return plain.view(integer), pattern
    return None
