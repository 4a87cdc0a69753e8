"""Initializers in Keras's form: `import penstock.keras as initializers` stands in for `keras.initializers`.

Each class has the name, arguments, defaults, law and config of Keras's own (so `HeNormal` is a truncated normal), and
a `name`; `DeltaOrthogonal` and `FromRecipe` are beside them; `get`, `serialize` and `deserialize` work as there. They
work on the TensorFlow, JAX and PyTorch backends, also where TensorFlow creates variables inside `tf.function`.
Importing this module makes them known to Keras, as "penstock>HeNormal" in configs, saved models and
`kernel_initializer="penstock>HeNormal"`.

Values are drawn by NumPy's fills and handed to the backend: float32, bfloat16 and float16 are the same bits on each of
them, on every machine, and equal to those of `rng=seed, name=name` in the other doors.

What differs from `keras.initializers`:
    - every call of an instance draws new values, also with an integer seed. So a reused instance gives no two layers
      the same weights, where Keras's gives all of one shape the same. Same seed, same order of calls: same weights;
    - an instance made from a config, or by `clone`, starts at its first draw. `MultiHeadAttention` copies its kernel
      initializer so for queries, keys and values: leave `seed` away there (`keras.utils.set_random_seed` governs it),
      for with an integer seed they start alike, as with Keras's own;
    - values are made in float32 and rounded once; float64 holds float32 values;
    - errors are `penstock.ArgumentError`, a ValueError.
"""

from __future__ import annotations

from keras.initializers import STFT, Initializer, STFTInitializer, deserialize, serialize, stft

from penstock.keras.names import (
    IdentityInitializer,
    OrthogonalInitializer,
    constant,
    get,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    identity,
    lecun_normal,
    lecun_uniform,
    ones,
    orthogonal,
    random_normal,
    random_uniform,
    truncated_normal,
    variance_scaling,
    zeros,
)
from penstock.keras.plain import (
    Constant,
    DeltaOrthogonal,
    FromRecipe,
    Identity,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    Zeros,
)
from penstock.keras.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

__all__ = [
    "STFT",
    "Constant",
    "DeltaOrthogonal",
    "FromRecipe",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
