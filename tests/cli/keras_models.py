"""Small Keras models for the tests of the command line; run as a program, each line of its input is a command."""

from __future__ import annotations

import contextlib
import io
import json
import sys

from keras import initializers, layers, models, ops


def built():
    return models.Sequential([layers.Input((12,)), layers.Dense(24, activation="relu"), layers.Dense(3)])


def unbuilt():
    return models.Sequential([layers.Dense(24, activation="relu"), layers.Dense(3)])


def shared():
    same = initializers.HeNormal()
    body = [layers.Dense(12, kernel_initializer=same), layers.Dense(12, kernel_initializer=same)]
    return models.Sequential([layers.Input((12,)), *body])


class Times(initializers.RandomNormal):
    """Draws `factor` times what its standard deviation says."""

    def __init__(self, factor):
        super().__init__(stddev=0.02, seed=1)
        self.factor = factor

    def __call__(self, shape, dtype=None):
        return self.factor * super().__call__(shape, dtype)


def every_layer(factor=1.0):
    inputs = layers.Input((8,))
    h = layers.Embedding(50, 16)(inputs)
    h = layers.LSTM(8, return_sequences=True)(layers.MultiHeadAttention(2, 8)(h, h))
    h = layers.SeparableConv1D(12, 3)(layers.Bidirectional(layers.GRU(8, return_sequences=True))(h))
    h = layers.BatchNormalization()(layers.Conv1D(12, 3, kernel_initializer="truncated_normal")(h))
    h = layers.DepthwiseConv1D(3, depth_multiplier=8, depthwise_initializer=Times(factor), name="deep")(h)
    h = layers.Dense(64, kernel_initializer=Times(factor), name="wrong")(layers.Flatten()(h))
    return models.Model(inputs, layers.Dense(8, kernel_initializer="lecun_uniform", bias_initializer="ones")(h))


def loss(output):
    return ops.mean(ops.square(output - 1.0))


def run(arguments):
    from penstock.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return [code, out.getvalue(), err.getvalue()]


if __name__ == "__main__":
    print(json.dumps([run(json.loads(line)) for line in sys.stdin]))
