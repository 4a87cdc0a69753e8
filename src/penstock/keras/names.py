"""The other names of `keras.initializers`: identifiers, configs, and second spellings of the classes."""

from __future__ import annotations

import re
from typing import Any

import keras
from keras.initializers import Initializer

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

IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, variance_scaling = GlorotNormal, GlorotUniform, VarianceScaling
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform

_CLASSES: tuple[type[Initializer], ...] = (
    *(Constant, DeltaOrthogonal, Identity, Ones, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, Zeros),
    *(GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform, VarianceScaling),
)
_BY_NAME: dict[str, type[Initializer]] = {
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    **{kind.__name__: kind for kind in _CLASSES},
    # HeNormal is he_normal too.
    **{re.sub(r"\B([A-Z])", r"_\1", kind.__name__).lower(): kind for kind in _CLASSES},
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
