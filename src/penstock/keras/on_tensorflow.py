"""A Keras model on the TensorFlow backend, as the graph function of its variables that TensorFlow makes of it."""

from __future__ import annotations

import keras

from penstock.keras.tensorflow import target as models
from penstock.keras.tensorflow.check import check
from penstock.keras.tensorflow.initialize import apply, initialize, plan
from penstock.keras.tensorflow.target import Target, batch_of
from penstock.ledger.arrays_file import save_arrays

__all__ = ["apply", "batch_of", "check", "initialize", "plan", "save", "target_of"]


def target_of(model: keras.layers.Layer, function: str) -> Target:
    """The model as a function of its variables."""
    return models.target_of(model)


def save(target: Target, path: str) -> None:
    """Write a model's parameters to a safetensors file, by their names."""
    save_arrays(target.arrays(), path)
