"""Initializers in PyTorch's form: `import penstock.torch.init as init` stands in for `torch.nn.init`.

Every name of `torch.nn.init` is here with its arguments, defaults, law, warnings and no-ops (meta, no elements), and
`he_*_`, `glorot_*_`, `lecun_*_`, `variance_scaling_`, `truncated_normal_`, `scaled_orthogonal_`, `fill_` beside them.
All write in place without a gradient and return the tensor.

Where values come from. With nothing said, one 64-bit number is drawn from PyTorch's default CPU generator for each
call, and from it all values; a `generator` is advanced likewise by one draw. So `torch.manual_seed` gives the same
weights again, on every device, and one more layer changes those after it, as in PyTorch. With `seed=0, name="a.weight"`
values depend on these two alone, in any order: the key is `penstock.randomness.key_for(0, "a.weight")`, as in every
door.

What differs from `torch.nn.init`:
    - the values under one seed (the law is the same); they no longer depend on device, thread count or sharding;
    - a generator is advanced by one draw, not by one an element;
    - half types are rounded once from float32, float64 holds float32 values, and normal values end at 6.3 std;
    - a DTensor's parts are those of the whole tensor. Ranks share the key of the mesh's first rank (8 bytes are sent);
      with `seed` or `key` nothing is sent;
    - complex weights of the fan rules have E|w|^2 = std^2 for uniform laws too (PyTorch: twice that), and orthogonal
      ones are unitary (PyTorch: an error);
    - errors are `ArgumentError`, a ValueError, also where PyTorch raises RuntimeError; integer tensors, a TypeError;
    - a tensor that is computed, as a parametrized weight is, gives a warning, since the values are lost: `through_`.
"""

from __future__ import annotations

from penstock.torch.init.deprecated import (
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    sparse,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from penstock.torch.init.gain import (
    _calculate_correct_fan,  # noqa: F401
    _calculate_fan_in_and_fan_out,  # noqa: F401
    calculate_gain,
)
from penstock.torch.init.rules import (
    fill_,
    glorot_normal_,
    glorot_uniform_,
    he_normal_,
    he_uniform_,
    lecun_normal_,
    lecun_uniform_,
    scaled_orthogonal_,
    through_,
    truncated_normal_,
    variance_scaling_,
)
from penstock.torch.init.torch_names import (
    constant_,
    dirac_,
    eye_,
    kaiming_normal_,
    kaiming_uniform_,
    normal_,
    ones_,
    orthogonal_,
    sparse_,
    trunc_normal_,
    uniform_,
    xavier_normal_,
    xavier_uniform_,
    zeros_,
)

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "fill_",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "scaled_orthogonal_",
    "sparse",
    "sparse_",
    "through_",
    "trunc_normal_",
    "truncated_normal_",
    "uniform",
    "uniform_",
    "variance_scaling_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]
