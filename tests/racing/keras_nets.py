"""Factories of Keras models for the race tests, where other processes can find them."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def mlp() -> Any:
    return keras.Sequential([layers.Input((13,)), layers.Dense(8, activation="relu"), layers.Dense(3)])


def softmax() -> Any:
    return keras.Sequential([layers.Input((13,)), layers.Dense(8, activation="relu"), layers.Dense(3, "softmax")])


def noisy() -> Any:
    """Dropout draws from a seed, the batch norm moves its statistics, one layer is frozen; built by its first batch."""
    return keras.Sequential(
        [
            layers.Dense(8, activation="tanh", trainable=False),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dropout(0.2, seed=7),
            layers.Dense(3),
        ]
    )


class Two(keras.Model):
    """Subclassed, and built by its first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = layers.Dense(8, activation="relu"), layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.last(self.first(x))


def penalised() -> Any:
    return keras.Sequential([layers.Dense(3, kernel_regularizer="l2")])


def fixed() -> Any:
    return keras.Sequential([layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=1))])


def one() -> Any:
    return keras.Sequential([layers.Dense(1, activation="sigmoid")])


def untrained() -> Any:
    return keras.Sequential([layers.Dense(3, trainable=False)])


def nothing() -> Any:
    return 7


def raises(model: Any) -> None:
    raise RuntimeError("this start does not fit")


def halved(model: Any) -> None:
    for variable in model.trainable_variables:
        variable.assign(variable / 2)
