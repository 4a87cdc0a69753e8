"""Initializers in JAX's form: `import penstock.jax as initializers` stands in for `jax.nn.initializers`.

Every name of `jax.nn.initializers` is here with its arguments, defaults and law, so `he_normal` is a truncated normal
as it is there; `identity`, `initializer` (any recipe), `key`, `haiku` and `materialize` (a whole tree, each device its
part) are beside them. Each factory returns
`init(key, shape, dtype=None, out_sharding=None)`, which works under jit, vmap and eval_shape and as an initializer of
Flax (linen and nnx) and Equinox; of Haiku through `haiku(init)`.

The values under a key are not those of `jax.random`: they are penstock's, a function of the key's 64 bits and of the
element's index alone. `penstock.jax.key(seed, name)` is the key whose values are those of `rng=seed, name=name` in
every other door. In float32, bfloat16 and float16 they are the same bits as NumPy's, eager and compiled, on one device
or many. A call outside of `jit` for a CPU compiles nothing: NumPy's fills make it at once. Orthogonal matrices,
identities and complex values are drawn by NumPy in a callback, once for the whole array.

What differs from `jax.nn.initializers`:
    - values are made in float32 and rounded once, float64 holds float32 values;
    - complex values have independent parts with E|w|^2 = std^2, where JAX takes a disk; orthogonal ones are unitary;
    - initializers are values that can be compared, hashed and pickled; a negative scale is an error.
"""

from __future__ import annotations

from penstock.frameworks import Applied as Model
from penstock.jax.initializer import Initializer
from penstock.jax.keys import key
from penstock.jax.rules import (
    constant,
    delta_orthogonal,
    glorot_normal,
    glorot_uniform,
    haiku,
    he_normal,
    he_uniform,
    identity,
    initializer,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from penstock.jax.sharded import materialize
from penstock.jax.write import applied as apply

__all__ = [
    "Initializer",
    "Model",
    "apply",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "haiku",
    "he_normal",
    "he_uniform",
    "identity",
    "initializer",
    "kaiming_normal",
    "kaiming_uniform",
    "key",
    "lecun_normal",
    "lecun_uniform",
    "materialize",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
