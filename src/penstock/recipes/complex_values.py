"""Complex weights from real recipes: circular for random laws, unitary for orthogonal ones, real for fixed ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from penstock.errors import UnsupportedError, message
from penstock.geometry import Geometry
from penstock.randomness import Window, fill, key_for
from penstock.randomness.windows import checked_window
from penstock.recipes.constant import Constant
from penstock.recipes.identity import Identity
from penstock.recipes.matrices import from_matrices, matrix_stack, to_matrices
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.recipe import Recipe
from penstock.recipes.scaling import VarianceScaling
from penstock.recipes.semi_orthogonal import SemiOrthogonal
from penstock.recipes.truncated import TruncatedNormal
from penstock.recipes.uniform import Uniform
from penstock.recipes.uniform_between import UniformBetween


def draw_complex(
    recipe: Recipe, geometry: Geometry, key: int, *, window: Window | None = None
) -> npt.NDArray[np.complex64]:
    r"""Complex values with E|w|^2 = std^2, which is what keeps the RMS of complex signals.

    Real and imaginary part have their own keys, `key_for(key, "real")` and `key_for(key, "imaginary")`, and each the
    standard deviation of the recipe over sqrt(2). A mean and the fixed recipes are real. Orthogonal becomes unitary.
    `UniformBetween` alone is a law of its bounds, so both parts are uniform on [low, high), as in PyTorch.

    Args:
        recipe: Constant, Identity, Normal, TruncatedNormal, Uniform, UniformBetween, VarianceScaling, Orthogonal or
            SemiOrthogonal.
        geometry: of the whole parameter.
        key: 64 bits.
        window: as for `Recipe.draw`.

    Returns:
        An array of the window's shape.

    Raises:
        UnsupportedError: if there is no complex law for the recipe.

    Examples:
        >>> w = draw_complex(Normal(1.0), Geometry((300, 300)), 7)
        >>> bool(abs(np.mean(np.abs(w) ** 2) - 1.0) < 0.02)
        True

    Source:
        Trabelsi et al. 2018, "Deep complex networks", section 3.6; Mezzadri 2007, math-ph/0609050, for unitary ones
    """
    if isinstance(recipe, Constant | Identity):
        return recipe.draw(geometry, key, window=window).astype(np.complex64)
    if isinstance(recipe, Orthogonal | SemiOrthogonal):
        return _unitary(recipe, geometry, key, window)
    real, imaginary = _parts(recipe)
    real_values = real.draw(geometry, key_for(key, "real"), window=window)
    values = np.empty(real_values.shape, dtype=np.complex64)
    values.real = real_values
    values.imag = imaginary.draw(geometry, key_for(key, "imaginary"), window=window)
    return values


def check_complex(recipe: Recipe) -> None:
    """Nothing, if there is a complex law for the recipe.

    Raises:
        UnsupportedError: if there is none.
    """
    if not isinstance(recipe, Constant | Identity | Orthogonal | SemiOrthogonal):
        _parts(recipe)


def _parts(recipe: Recipe) -> tuple[Recipe, Recipe]:
    """The laws of the real and of the imaginary part."""
    if isinstance(recipe, UniformBetween):
        return recipe, recipe
    if isinstance(recipe, Normal):
        sigma = recipe.sigma / math.sqrt(2)
        return replace(recipe, sigma=sigma), Normal(sigma)
    if isinstance(recipe, TruncatedNormal | Uniform | VarianceScaling):
        part = recipe.scaled(1 / math.sqrt(2))
        return part, part
    fact = f"draw_complex: {recipe.describe()} has no law for complex weights."
    raise UnsupportedError(message(fact, hint="draw two real tensors and put them together: torch.complex(a, b)"))


def _unitary(
    recipe: Orthogonal | SemiOrthogonal, geometry: Geometry, key: int, window: Window | None
) -> npt.NDArray[np.complex64]:
    """Haar-distributed (semi-)unitary matrices; the phases of R's diagonal take the part of its signs."""
    if geometry.blocks:
        raise UnsupportedError(message("draw_complex: fused blocks have no unitary law; draw each block alone."))
    taken = checked_window("draw_complex", geometry.shape, window)
    _, _, rows, columns = matrix_stack("draw_complex", geometry)
    parts = [
        to_matrices("draw_complex", geometry, fill("normal", geometry.shape, key_for(key, part)))
        for part in ("real", "imaginary")
    ]
    gaussian = parts[0].astype(np.float64) + 1j * parts[1]
    if gaussian.size == 0:
        return np.zeros([len(part) for part in taken], dtype=np.complex64)
    wide = rows < columns
    q, r = np.linalg.qr(gaussian.swapaxes(-1, -2) if wide else gaussian)
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    length = np.abs(diagonal)
    q = q * np.where(length > 0.0, diagonal / np.where(length > 0.0, length, 1.0), 1.0)[..., None, :]
    factor = recipe.std(geometry) * math.sqrt(max(rows, columns))
    matrices = factor * (q.swapaxes(-1, -2) if wide else q)
    real, imaginary = (from_matrices(geometry, part.astype(np.float32)) for part in (matrices.real, matrices.imag))
    whole = np.empty(geometry.shape, dtype=np.complex64)
    whole.real, whole.imag = real, imaginary
    return whole[tuple(slice(part.start, part.stop) for part in taken)].copy()
