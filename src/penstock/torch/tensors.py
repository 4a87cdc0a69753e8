"""NumPy arrays as tensors, in types that NumPy does not have too."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch


def from_numpy(values: npt.NDArray[Any], dtype: str) -> torch.Tensor:
    """A tensor with these values.

    Args:
        values: any array.
        dtype: PyTorch's name of the type: "float32", "bfloat16", "int64", "bool", ...

    Examples:
        >>> import numpy as np
        >>> from_numpy(np.ones(2), dtype="bfloat16")
        tensor([1., 1.], dtype=torch.bfloat16)
    """
    return torch.from_numpy(values).to(getattr(torch, dtype))
