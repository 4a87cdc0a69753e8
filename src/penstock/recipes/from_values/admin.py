"""Admin: post-norm residuals whose weight on the stream balances what the branches before have added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.recipes.entry import CatalogueEntry


def admin(branch_variances: Sequence[float]) -> npt.NDArray[np.float64]:
    r"""Weights omega of the stream in x_{i+1} = norm(omega_i x_i + f_i(x_i)), from the branches' measured variances.

    .. math::  \omega_i = \sqrt{\sum_{j<i} \mathrm{Var}[f_j(x_j)]}, \qquad \omega_1 = 1

    Args:
        branch_variances: Var[f_i(x_i)] of each residual branch in order, measured at Xavier's start with omega = 1.

    Returns:
        One factor a branch; each is the start of a vector parameter over the stream's channels.

    Raises:
        ArgumentError: if there is none, or one is negative or not finite.

    Examples:
        >>> admin([1.0, 1.0, 2.0, 5.0]).tolist()
        [1.0, 1.0, 1.4142135623730951, 2.0]

    Source:
        Liu, Liu, Gao, Chen, Han 2020, section 4.2, https://arxiv.org/abs/2004.08249
    """
    variances = np.asarray(branch_variances, dtype=np.float64)
    if variances.ndim != 1 or variances.size == 0 or not (np.isfinite(variances) & (variances >= 0.0)).all():
        raise ArgumentError(
            message(
                f"admin: branch_variances must be finite numbers >= 0, one a branch; got {branch_variances!r}.",
                hint="admin([0.9, 1.1, 1.0])",
            )
        )
    return np.sqrt(np.concatenate(([1.0], np.cumsum(variances)[:-1])))


ENTRIES = (
    CatalogueEntry(
        "admin",
        "omega_i = sqrt(sum_{j<i} Var[f_j]), omega_1 = 1",
        "transformers with norms after each sum, where one batch can be run first",
        "Liu et al. 2020, arXiv:2004.08249",
        "from values",
    ),
)
