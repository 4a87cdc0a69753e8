"""The data of the demonstration: scikit-learn's handwritten digits, standardised and split, always the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

TEST_SHARE = 0.2
"""The share of the digits that no network trains on."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images and labels.

    Attributes:
        images, labels: to train on; (n, 64) float32 of mean 0 and standard deviation 1, and (n,) int64 of 0 to 9.
        test_images, test_labels: kept apart, scaled by the training images' mean and standard deviation.
    """

    images: torch.Tensor
    labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return int(self.labels.max()) + 1


def load(seed: int = 0) -> Digits:
    """Read the digits that come with scikit-learn; nothing is downloaded.

    Args:
        seed: of the split.
    """
    import torch
    from sklearn.datasets import load_digits

    pixels, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(pixels))
    held = round(TEST_SHARE * len(order))
    train, test = order[held:], order[:held]
    # One mean and one scale for the whole image: pixels that are always empty then stay finite.
    mean, std = pixels[train].mean(), pixels[train].std()
    images = torch.from_numpy(((pixels - mean) / std).astype(np.float32))
    labels = torch.from_numpy(targets.astype(np.int64))
    return Digits(images[train], labels[train], images[test], labels[test])
