"""The other names of `keras.initializers`: identifiers, configs, and second spellings of the classes."""

from __future__ import annotations

from typing import Any

import keras
from keras.initializers import STFT, Initializer, STFTInitializer, deserialize, serialize, stft

from penstock.keras.plain import (
    Constant,
    DeltaOrthogonal,
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
    "IdentityInitializer",
    "Initializer",
    "OrthogonalInitializer",
    "STFTInitializer",
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

IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, variance_scaling = GlorotNormal, GlorotUniform, VarianceScaling
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform

_BY_NAME: dict[str, type[Initializer]] = {
    "delta_orthogonal": DeltaOrthogonal,
    "DeltaOrthogonal": DeltaOrthogonal,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    **{
        name: kind
        for snake, kind in {
            "constant": Constant,
            "glorot_normal": GlorotNormal,
            "glorot_uniform": GlorotUniform,
            "he_normal": HeNormal,
            "he_uniform": HeUniform,
            "identity": Identity,
            "lecun_normal": LecunNormal,
            "lecun_uniform": LecunUniform,
            "ones": Ones,
            "orthogonal": Orthogonal,
            "random_normal": RandomNormal,
            "random_uniform": RandomUniform,
            "truncated_normal": TruncatedNormal,
            "variance_scaling": VarianceScaling,
            "zeros": Zeros,
        }.items()
        for name in (snake, kind.__name__)
    },
}


def get(identifier: Any) -> Any:
    """`keras.initializers.get`, whose text identifiers mean the classes of `penstock.keras` here.

    Args:
        identifier: a name ("he_normal", "HeNormal", "penstock>HeNormal"), a config, a class, a callable, an array,
            or None.

    Returns:
        An initializer, or None for None.

    Raises:
        ValueError: Keras's own, if it means nothing to Keras either.

    Examples:
        >>> type(get("he_normal")).__module__, type(keras.initializers.get("he_normal")).__module__.partition(".")[0]
        ('penstock.keras.scaling', 'keras')
    """
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    return keras.initializers.get(identifier)
