"""Recurrent cells."""

from __future__ import annotations

import math

from penstock.recipes.arguments import count
from penstock.recipes.blocks import Blocks
from penstock.recipes.constant import Constant
from penstock.recipes.families.family import Family, entry
from penstock.recipes.identity import Identity
from penstock.recipes.named import small_init, wang_init
from penstock.recipes.normal import Normal
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.per_block import PerBlock
from penstock.recipes.recipe import finite
from penstock.recipes.scaling import VarianceScaling, glorot_uniform, he_normal
from penstock.recipes.skew_rotations import Law, SkewRotations
from penstock.recipes.uniform import Uniform


def irnn(*, scale: float = 1.0) -> Family:
    """A ReLU recurrence that starts by copying its state.

    Args:
        scale: of the identity: 1 for long memory, smaller (0.01) for tasks with short dependences.

    Examples:
        >>> irnn()["recurrent"].describe()
        'identity(gain=1)'

    Source:
        Le, Jaitly, Hinton 2015, https://arxiv.org/abs/1504.00941
    """
    return {"input": Normal(0.001), "recurrent": Identity(finite("irnn", "scale", scale)), "bias": Constant(0.0)}


def lstm(*, hidden: int, forget: float = 1.0) -> Family:
    """Glorot inputs, orthogonal recurrence for each gate, forget bias 1 (gates i, f, g, o or i, f, c, o).

    Where a cell adds two biases (PyTorch, cuDNN), give this to one and zeros to the other. Cells that add 1 to the
    forget gate themselves (Haiku, TensorFlow 1) want forget=0.

    Examples:
        >>> lstm(hidden=8)["bias"].describe()
        'per_block(0, 1, 0, 0)'

    Source:
        Jozefowicz, Zaremba, Sutskever 2015 (forget bias 1); Keras's defaults for the weights
    """
    hidden = count("lstm", "hidden", hidden)
    return {
        "input": Blocks((VarianceScaling(1.0, "fan_avg", "uniform"),) * 4),
        "recurrent": Blocks((Orthogonal(1.0),) * 4),
        "bias": PerBlock((0.0, finite("lstm", "forget", forget), 0.0, 0.0), (hidden,) * 4),
    }


def gru() -> Family:
    """Glorot inputs, orthogonal recurrence for each gate, biases 0 (gates r, z, n or z, r, h).

    Examples:
        >>> gru()["recurrent"].describe()
        '3 x orthogonal(gain=1)'

    Source:
        Keras's defaults; a long memory wants `chrono` biases, with the sign that the cell's update gate has
    """
    return {
        "input": Blocks((VarianceScaling(1.0, "fan_avg", "uniform"),) * 3),
        "recurrent": Blocks((Orthogonal(1.0),) * 3),
        "bias": Constant(0.0),
    }


def urnn(*, hidden: int) -> Family:
    """A complex recurrence D3 R2 F^-1 D2 P R1 F D1 that is unitary by construction: phases D, reflections R, Fourier F.

    Args:
        hidden: complex units; reflections have shape (2, 2 hidden), the first state shape (2 hidden,).

    Examples:
        >>> urnn(hidden=6)["initial_state"].describe()
        'uniform(bound=0.5)'

    Source:
        Arjovsky, Shah, Bengio 2016, section 4.3, https://arxiv.org/abs/1511.06464, and its code
    """
    hidden = count("urnn", "hidden", hidden)
    return {
        "phases": Uniform(math.pi),
        "reflections": Uniform(math.sqrt(6.0 / (2 + 2 * hidden))),
        "input": glorot_uniform(),
        "bias": Constant(0.0),
        "initial_state": Uniform(math.sqrt(3.0 / (2 * hidden))),
    }


def exp_rnn(*, law: Law = "cayley") -> Family:
    """An orthogonal recurrence exp(A): A is skew-symmetric, and starts as independent rotations of pairs of units.

    Args:
        law: of the angles: "henaff" or "cayley", see `SkewRotations`.

    Examples:
        >>> exp_rnn()["skew"].describe()
        'skew_rotations(law=cayley, gain=1)'

    Source:
        Lezcano-Casado & Martinez-Rubio 2019, section 4.3, https://arxiv.org/abs/1901.08428, and its code
    """
    return {"skew": SkewRotations(law), "input": he_normal(), "bias": Constant(0.0), "modrelu_bias": Uniform(0.01)}


def xlstm(*, width: int, layers: int, heads: int) -> Family:
    """Small weights, smaller still where a block ends; forget gates from 3 to 6 over the heads, input gates closed.

    Args:
        width: of the residual stream.
        layers: blocks.
        heads: of one block; a single head gets 3.

    Examples:
        >>> xlstm(width=64, layers=2, heads=4)["forget_bias"].describe()
        'per_block(3, 4, 5, 6)'

    Source:
        Beck et al. 2024, https://arxiv.org/abs/2405.04517, as in the code that its authors published
    """
    heads = count("xlstm", "heads", heads)
    forget = tuple(3.0 + 3.0 * head / max(heads - 1, 1) for head in range(heads))
    return {
        "up": small_init(width),
        "down": wang_init(width, layers=layers),
        "gate": Constant(0.0),
        "forget_bias": PerBlock(forget, (1,) * heads),
        "input_bias": Normal(0.1),
    }


ENTRIES = (
    entry(
        "irnn", "W_hh = I, W_xh ~ N(0, 0.001^2), b = 0", "ReLU recurrences", "Le, Jaitly, Hinton 2015, arXiv:1504.00941"
    ),
    entry(
        "lstm",
        "W_x Glorot and W_h orthogonal for each gate, b_forget = 1",
        "LSTM cells",
        "Jozefowicz, Zaremba, Sutskever 2015",
    ),
    entry("gru", "W_x Glorot and W_h orthogonal for each gate, b = 0", "GRU cells", "Keras's defaults"),
    entry(
        "urnn",
        "phases U(+-pi), reflections and inputs Glorot, h_0 U(+-sqrt(3/(2n)))",
        "unitary recurrences",
        "arXiv:1511.06464",
    ),
    entry("exp_rnn", "exp(A), A = rotations of pairs", "orthogonal recurrences", "arXiv:1901.08428"),
    entry(
        "xlstm",
        "up sqrt(2/(5d)), down 2/(L sqrt(d)); b_forget 3 to 6, gates 0, b_input N(0, 0.1^2)",
        "xLSTM",
        "arXiv:2405.04517",
    ),
)
